"""The identity of a store: which one a directory belongs to, and since when.

    STORE = JSON { "format": 1, "store": store id in hex, "createdAt": epoch seconds, "crc32c": of the rest, in hex }

Older ones have no checksum. Every segment of the journal and every layer of the base names the store too: so an
identity that is lost, or that none of them knows, is taken from them if they agree.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.truth.layer import store_of
from pictact_actors.storage.truth.segment import SegmentFile, crc_of, sync_directory, write_durably

NAME = "STORE"
MENDED = "STORE.mended"
FORMAT_VERSION = 1
_ID_BYTES = 16


class Identity(NamedTuple):
    """Which store it is, and when it was created (epoch s; 0: unknown).

    `lost` says what was wrong with it if it was taken from other files.
    """

    store_id: bytes
    created_at: float
    lost: str | None = None

    @classmethod
    def new(cls, now: float) -> Self:
        """Return one that nobody else has."""
        return cls(uuid.uuid4().bytes, now)

    def shown(self) -> dict[str, Any]:
        """Return what the file says, without its checksum."""
        return {"format": FORMAT_VERSION, "store": self.store_id.hex(), "createdAt": self.created_at}

    def write(self, path: Path) -> None:
        """Write it to a file, durably."""
        shown = self.shown()
        write_durably(path, json.dumps({**shown, "crc32c": _checksum(shown)}).encode() + b"\n")
        sync_directory(path.parent)

    def mend(self, root: Path) -> None:
        """Put it in the place of what was lost, durably."""
        self.write(root / MENDED)  # not STORE.new: that would say that nothing else counts
        (root / MENDED).rename(root / NAME)
        sync_directory(root)


def identity_of(root: Path, sealed: Mapping[str, Any] | None) -> Identity:
    """Read the identity of a directory, or find it out. `sealed` is what a seal says of it.

    Raises `StoreDamaged` if there is none, or it is of a newer version.
    """
    try:
        identity, is_certain = _read(root / NAME)
        known = set(_named_in(root))
        if is_certain or not known or identity.store_id in known:
            return identity
        lost = f"{root / NAME} names a store that no other file knows"
    except FileNotFoundError:
        lost = f"{root / NAME} is missing"
    except (ValueError, KeyError, TypeError) as error:
        lost = f"{root / NAME} does not read: {error}"
    return _found_out(root, sealed, lost)


def names_a_store(root: Path) -> bool:
    """Whether there are files that say which store they are of."""
    return any(_named_in(root))


def _found_out(root: Path, sealed: Mapping[str, Any] | None, lost: str) -> Identity:
    known = set(_named_in(root))
    if len(known) != 1:
        what = "no other file says which store this is" if not known else "the other files are of several stores"
        raise StoreDamaged(f"{lost}, and {what}")
    (store_id,) = known
    with suppress(ValueError, KeyError, TypeError):
        if sealed is not None and bytes.fromhex(sealed["store"]) == store_id:
            return Identity(store_id, float(sealed["createdAt"]), lost)
    return Identity(store_id, 0.0, lost)


def _read(path: Path) -> tuple[Identity, bool]:
    """Return what a file says, and whether a checksum vouches for it. Raises `ValueError`, `KeyError`, `TypeError`."""
    shown = json.loads(path.read_bytes())
    checksum = shown.pop("crc32c", None)
    if checksum is not None and checksum != _checksum(shown):
        raise ValueError("it fails its checksum")
    version, store_id = shown["format"], bytes.fromhex(shown["store"])
    if checksum is not None and version != FORMAT_VERSION:
        raise StoreDamaged(f"{path} has format {version}, this version knows {FORMAT_VERSION}")
    if version != FORMAT_VERSION or len(store_id) != _ID_BYTES:
        raise ValueError(f"it has format {version} and an id of {len(store_id)} bytes")
    return Identity(store_id, float(shown["createdAt"])), checksum is not None


def _named_in(root: Path) -> Iterator[bytes]:
    """Iterate the stores that segments and layers say they are of."""
    for path in sorted(root.glob("journal/*.journal")):
        with suppress(StoreDamaged, OSError), closing(SegmentFile(path)) as segment:
            yield segment.header().store_id
    for path in sorted(root.glob("base/*.layer")):
        with suppress(StoreDamaged, OSError):
            yield store_of(path)


def _checksum(shown: Mapping[str, Any]) -> str:
    return crc_of(json.dumps(shown, sort_keys=True).encode()).hex()
