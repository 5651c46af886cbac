r"""The seal: what the files of a directory were when its store was closed. There only while nobody has it open.

    CLOSED = BODY "\n" crc32c of BODY, 8 hex digits "\n"
    BODY   = JSON { "format": 1, "store": what is in STORE, "position": [ seq, ts, mark, chain in hex, number, offset ],
                    "files": { name: [ size, crc32c ] }, "stateOpened": boolean }

It is written when everything else is at rest and durable, and goes before anything else is written. So a directory
with a seal was closed in peace, and a file that is not as the seal says was harmed since, or the seal was: the seal
says where to look, not what to believe. A directory without one was left by a crash, or lost its seal.

Base and journal may have to be healed from the state, and LevelDB writes to its files when it is opened. So that it is
still known then that they were as they should be, if that is interrupted, it is noted before: `stateOpened`.

Files that hold nothing are not sealed (`LOCK`, `ballast`, LevelDB's own log for people), nor is the archive, which has
a copy of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.truth.segment import checksum_of, crc_of, sync_directory, write_durably

NAME = "CLOSED"
FORMAT_VERSION = 1
_SEALED = ("STORE", "journal/*.journal", "base/*.layer", "state/*")
_SAY_NOTHING = frozenset({"state/LOCK", "state/LOG", "state/LOG.old"})


class Stamp(NamedTuple):
    """A file as it was read: its size, when it was last written (ns), and its CRC32C."""

    size_bytes: int
    written_ns: int
    crc: int


class Seal(NamedTuple):
    """What a closed directory says of itself."""

    identity: dict[str, Any]
    position: Position
    files: dict[str, tuple[int, int]]
    state_opened: bool = False


def read(root: Path) -> Seal | None:
    """Return the seal of a directory; None if it has none, or one that does not read."""
    try:
        body, _, crc = (root / NAME).read_bytes().partition(b"\n")
        if crc != _signature(body):
            return None
        shown = json.loads(body)
        seq, ts, mark, chain, number, offset = shown["position"]
        position = Position.unpacked([seq, ts, mark, bytes.fromhex(chain), number, offset])
        if shown["format"] != FORMAT_VERSION or position is None:
            return None
        files = {name: (size, crc) for name, (size, crc) in shown["files"].items()}
        return Seal(dict(shown["store"]), position, files, bool(shown["stateOpened"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write(root: Path, identity: Mapping[str, Any], position: Position, known: Mapping[str, Stamp]) -> None:
    """Seal a directory that is at rest, durably. Files that are still as they are `known` are not read again.

    What is damaged meanwhile, and was not written, must not be sealed as it is: what is known of it says what it was.
    """
    stamped = {name: _sealed(root / name, known.get(name)) for name in _names(root)}
    files = {name: (stamp.size_bytes, stamp.crc) for name, stamp in stamped.items()}
    put(root, Seal(dict(identity), position, files))


def put(root: Path, seal: Seal) -> None:
    """Write a seal durably."""
    body = json.dumps(
        {
            "format": FORMAT_VERSION,
            "store": seal.identity,
            "position": [part.hex() if isinstance(part, bytes) else part for part in seal.position],
            "files": seal.files,
            "stateOpened": seal.state_opened,
        }
    ).encode()
    aside = root / f"{NAME}.new"
    write_durably(aside, body + b"\n" + _signature(body))
    aside.rename(root / NAME)
    sync_directory(root)


def remove(root: Path) -> None:
    """Break the seal, durably. None is fine."""
    with suppress(FileNotFoundError):
        (root / NAME).unlink()
        sync_directory(root)


def stamps(root: Path) -> dict[str, Stamp]:
    """Read every file that a seal is about."""
    return {name: _stamp_of(root / name) for name in _names(root)}


def differing(seal: Seal, found: Mapping[str, Stamp]) -> frozenset[str]:
    """Return the names of files that are missing, or not as the seal says, or that it does not know."""
    there = {name: (stamp.size_bytes, stamp.crc) for name, stamp in found.items()}
    return frozenset(name for name in seal.files.keys() | there.keys() if seal.files.get(name) != there.get(name))


def _names(root: Path) -> Iterator[str]:
    for pattern in _SEALED:
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).as_posix()
            if name not in _SAY_NOTHING and path.is_file():
                yield name


def _sealed(path: Path, known: Stamp | None) -> Stamp:
    status = path.stat()
    if known is not None and (status.st_size, status.st_mtime_ns) == known[:2]:
        return known
    return _stamp_of(path)


def _stamp_of(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, checksum_of(path))


def _signature(body: bytes) -> bytes:
    return crc_of(body).hex().encode() + b"\n"
