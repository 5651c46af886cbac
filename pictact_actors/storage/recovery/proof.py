"""Proving the chain: every file of base and journal is read and compared with itself and with what it follows.

Nothing is changed, so that damage can be looked at before a store is opened, which would mend it. Nobody may have the
store open meanwhile: what is being written reads as broken.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pictact_actors.errors import NotAStore, StoreDamaged, StoreLocked
from pictact_actors.storage.truth.body import entries_of
from pictact_actors.storage.truth.layer import Layer, Next, read_layer
from pictact_actors.storage.truth.segment import HEADER_BYTES, Header, SegmentFile, segment_name
from pictact_actors.storage.truth.stack import stacked

_LAYERS = "[0-9]" * 10 + ".layer"
_SEGMENTS = "[0-9]" * 10 + ".journal"


@dataclass(frozen=True, slots=True)
class Proof:
    """What reading a file has shown: the commits in it, its size in bytes, and what is wrong with it, if anything.

    `torn_bytes` at the end of the last segment are no flaw: a crash leaves them, and opening the store cuts them.
    """

    file: str
    first_seq: int = 0
    last_seq: int = 0
    size_bytes: int = 0
    torn_bytes: int = 0
    flaw: str | None = None

    def to_dict(self) -> dict[str, object]:
        """All fields, plain."""
        return {
            "file": self.file,
            "firstSeq": self.first_seq,
            "lastSeq": self.last_seq,
            "sizeBytes": self.size_bytes,
            "tornBytes": self.torn_bytes,
            "flaw": self.flaw,
        }


def proofs(root: Path) -> Iterator[Proof]:
    """Read a data directory and yield what each file is worth. Raises `NotAStore`, `StoreLocked`."""
    segments = sorted(root.glob(f"journal/{_SEGMENTS}"))
    if not segments and not (root / "STORE").is_file():
        raise NotAStore(str(root), "there is none; check the path")
    with _closed(root):
        store_id, proof = _identity(root, segments)
        yield proof
        layers: list[Layer] = []
        for path in sorted(root.glob(f"base/{_LAYERS}")):
            layer, proof = _layer(root, path, store_id)
            layers += [layer] if layer is not None and proof.flaw is None else []
            yield proof
        follows, flaw = _next_of(layers)
        if flaw is not None:
            yield Proof("base", flaw=flaw)
        yield from _segments(root, segments, store_id, follows)


@contextmanager
def _closed(root: Path) -> Iterator[None]:
    """Keep others from opening the store. Raises `StoreLocked`."""
    try:
        fd = os.open(root / "LOCK", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # then nobody has it open
        yield
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        holder = os.pread(fd, 64, 0).decode(errors="replace").strip()
        raise StoreLocked(str(root), holder or "another process") from None
    finally:
        os.close(fd)


def _identity(root: Path, segments: Sequence[Path]) -> tuple[bytes | None, Proof]:
    """Return the id that every file must bear: what `STORE` says, unless all segments say something else."""
    path = root / "STORE"
    found = {header.store_id for header in map(_header, segments) if header is not None}
    agreed = next(iter(found)) if len(found) == 1 else None
    try:
        store_id = bytes.fromhex(json.loads(path.read_bytes())["store"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return agreed, Proof("STORE", flaw=f"{path} does not read: {error}")
    if agreed is not None and agreed != store_id:
        return agreed, Proof("STORE", flaw=f"{path} names another store than the journal")
    return store_id, Proof("STORE", size_bytes=path.stat().st_size)


def _header(path: Path) -> Header | None:
    try:
        with closing(SegmentFile(path)) as segment:
            return segment.header()
    except (StoreDamaged, OSError):
        return None


def _layer(root: Path, path: Path, store_id: bytes | None) -> tuple[Layer | None, Proof]:
    name, layer = str(path.relative_to(root)), None
    try:
        layer = read_layer(path, store_id or b"")
        for _ in layer.frames():
            pass
    except (StoreDamaged, OSError) as error:
        return layer, Proof(name, size_bytes=path.stat().st_size, flaw=_what(error))
    return layer, Proof(name, layer.first_seq, layer.last_seq, layer.size_bytes)


def _next_of(layers: Sequence[Layer]) -> tuple[Next | None, str | None]:
    """Return the segment that follows the layers, and what is wrong with how they lie on each other."""
    try:
        return stacked(layers).next, None
    except StoreDamaged as damage:
        return None, damage.what


def _segments(root: Path, paths: Sequence[Path], store_id: bytes | None, follows: Next | None) -> Iterator[Proof]:
    """Read the journal, from the segment that the base leads to or what is left over from before."""
    headers = {int(path.stem): _header(path) for path in paths}
    begin = (1, 1, store_id) if follows is None else (follows.number, follows.first_seq, follows.chain)
    for number in range(min((begin[0], *headers)), max((begin[0], *headers)) + 1):
        path = root / "journal" / segment_name(number)
        try:
            header, last_seq, torn_bytes = _segment(path, headers.get(number + 1), is_last=number == max((0, *headers)))
            _require_place(path, header, store_id, begin)
        except FileNotFoundError:
            yield Proof(f"journal/{path.name}", flaw=f"{path} is missing")
        except (StoreDamaged, OSError) as error:
            yield Proof(f"journal/{path.name}", size_bytes=path.stat().st_size, flaw=_what(error))
        else:
            yield Proof(f"journal/{path.name}", header.first_seq, last_seq, path.stat().st_size, torn_bytes)


def _require_place(path: Path, header: Header, store_id: bytes | None, begin: tuple[int, int, bytes | None]) -> None:
    if (header.store_id, segment_name(header.number)) != (store_id, path.name):
        raise StoreDamaged(f"{path} belongs to another store or place")
    if header.number == begin[0] and (header.first_seq, header.chain) != begin[1:]:
        raise StoreDamaged(f"{path} does not follow what the base holds, the commits before {begin[1]}")


def _segment(path: Path, following: Header | None, *, is_last: bool) -> tuple[Header, int, int]:
    """Read a segment up to its end; return its header, its last commit, and the bytes of a torn last frame."""
    with closing(SegmentFile(path)) as segment:
        header = segment.header()
        seq, chain, at = header.first_seq - 1, header.chain, HEADER_BYTES
        while (frame := segment.frame(at, chain)) is not None:
            seq += sum(1 for _ in entries_of(frame.body, seq + 1))
            chain, at = frame.chain, frame.end
        if following is not None and (following.first_seq, following.chain) != (seq + 1, chain):
            raise StoreDamaged(f"{path} breaks off at byte {at}, after commit {seq}: what is behind it does not follow")
        return header, seq, segment.tail(header.chain)[0].torn_bytes if is_last else 0


def _what(error: Exception) -> str:
    return error.what if isinstance(error, StoreDamaged) else str(error)
