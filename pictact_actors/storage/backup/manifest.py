r"""The manifest of a backup: what store and moment it is of, and the files that it needs.

    manifest = BODY "\n" crc32c of BODY, 8 hex digits "\n"      named SEQ-CHAIN.backup, CHAIN: 8 hex digits
    BODY     = JSON { format, store, storeCreatedAt, seq, ts, chain, records, digest, takenAt, source,
                      baseSeq, baseTs, files: [ { name, pooled, sizeBytes, digest }, ... ] }

`name` is a file's place in a data directory, `pooled` its name in the pool (`place.py`). `digest` is that of the whole
store at `seq` (`digest.py`), or of a file. Commits up to `baseSeq` are in it as what they led to. Times in epoch s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pictact_actors.errors import BackupInvalid
from pictact_actors.storage.truth.segment import crc_of

FORMAT_VERSION = 1
PATTERN = "[0-9]" * 16 + "-*.backup"
_NAME = re.compile(r"(base/\d{10}\.layer|journal/\d{10}\.journal|archive/[\w.-]+)\Z", re.ASCII)
_POOLED = re.compile(r"\w[\w.-]+\Z", re.ASCII)
_CRC_DIGITS = 8
_ID_BYTES = 16
_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of a backup: its place in a data directory, its name in the pool, its size and digest."""

    name: str
    pooled: str
    size_bytes: int
    digest: bytes

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer of the base."""
        return self.name.startswith("base/")

    @property
    def is_segment(self) -> bool:
        """Whether it is a segment of the journal."""
        return self.name.startswith("journal/")

    @property
    def number(self) -> int:
        """The number of a layer or a segment."""
        return int(Path(self.name).stem)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. See the top of this file."""

    store_id: bytes
    store_created_at: float
    seq: int
    ts: float
    chain: bytes
    records: int
    digest: bytes
    taken_at: float
    source: str
    base_seq: int
    base_ts: float
    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.seq:016d}-{self.chain.hex()[:_CRC_DIGITS]}.backup"

    @property
    def size_bytes(self) -> int:
        """What its files take."""
        return sum(piece.size_bytes for piece in self.pieces)

    def packed(self) -> bytes:
        """Return it as it stands in its file."""
        body = json.dumps(
            {
                "format": FORMAT_VERSION,
                "store": self.store_id.hex(),
                "storeCreatedAt": self.store_created_at,
                "seq": self.seq,
                "ts": self.ts,
                "chain": self.chain.hex(),
                "records": self.records,
                "digest": self.digest.hex(),
                "takenAt": self.taken_at,
                "source": self.source,
                "baseSeq": self.base_seq,
                "baseTs": self.base_ts,
                "files": [
                    {
                        "name": piece.name,
                        "pooled": piece.pooled,
                        "sizeBytes": piece.size_bytes,
                        "digest": piece.digest.hex(),
                    }
                    for piece in self.pieces
                ],
            }
        ).encode()
        return body + b"\n" + crc_of(body).hex().encode() + b"\n"


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """A backup that was written, synced, read back and compared.

    `path` is its own file: give it, or its directory, to `Store.restore`. It holds the `records` as they were after
    commit `seq` (at `ts`, epoch s). `digest` (hex) says the same of two backups if and only if they hold the same.
    """

    path: str
    seq: int
    ts: float
    records: int
    digest: str
    store: str
    """The id of the store, in hex."""
    size_bytes: int
    """What it needs of the directory."""
    copied_bytes: int
    """What was not there already, from a backup before it."""
    taken_at: float
    """Epoch seconds."""

    def to_dict(self) -> dict[str, object]:
        """All fields."""
        shown = asdict(self)
        renamed = {"size_bytes": "sizeBytes", "copied_bytes": "copiedBytes", "taken_at": "takenAt"}
        return {renamed.get(name, name): value for name, value in shown.items()}


def info_of(manifest: Manifest, place: Path, copied_bytes: int = 0) -> BackupInfo:
    """Return what a manifest says to people."""
    return BackupInfo(
        path=str(place / manifest.name),
        seq=manifest.seq,
        ts=manifest.ts,
        records=manifest.records,
        digest=manifest.digest.hex(),
        store=manifest.store_id.hex(),
        size_bytes=manifest.size_bytes,
        copied_bytes=copied_bytes,
        taken_at=manifest.taken_at,
    )


def read_manifest(path: Path) -> Manifest:
    """Read and verify a manifest. Raises `BackupInvalid`."""
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX)
    except OSError as error:
        raise BackupInvalid(str(path), f"it cannot be read: {error.strerror}") from error
    if not data.strip(b"\0"):
        raise BackupInvalid(str(path), "it is empty")
    body, _, crc = data.partition(b"\n")
    if crc != crc_of(body).hex().encode() + b"\n":
        what = "it is damaged or truncated" if body.startswith(b'{"format"') else "it is not the file of a backup"
        raise BackupInvalid(str(path), f"{what}: its checksum is missing or wrong")
    try:
        return _manifest_of(json.loads(body))
    except (ValueError, TypeError, KeyError) as error:
        raise BackupInvalid(str(path), f"it does not read as a backup: {error}") from error


def _manifest_of(shown: Mapping[str, Any]) -> Manifest:
    if shown["format"] > FORMAT_VERSION:
        raise ValueError(f"format {shown['format']} is of a newer version")
    manifest = Manifest(
        store_id=bytes.fromhex(shown["store"]),
        store_created_at=float(shown["storeCreatedAt"]),
        seq=int(shown["seq"]),
        ts=float(shown["ts"]),
        chain=bytes.fromhex(shown["chain"]),
        records=int(shown["records"]),
        digest=bytes.fromhex(shown["digest"]),
        taken_at=float(shown["takenAt"]),
        source=str(shown["source"]),
        base_seq=int(shown["baseSeq"]),
        base_ts=float(shown["baseTs"]),
        pieces=tuple(map(_piece_of, shown["files"])),
    )
    if len(manifest.store_id) != _ID_BYTES or not any(piece.is_segment for piece in manifest.pieces):
        raise ValueError("it names no store or no journal")
    return manifest


def _piece_of(shown: Mapping[str, Any]) -> Piece:
    name, pooled = str(shown["name"]), str(shown["pooled"])
    if not _NAME.match(name) or not _POOLED.match(pooled):
        raise ValueError(f"{name!r} as {pooled!r} is no file of a store")
    return Piece(name, pooled, int(shown["sizeBytes"]), bytes.fromhex(shown["digest"]))
