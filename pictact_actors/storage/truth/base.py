"""The base: what the oldest commits led to, so that the journal need not keep them.

    directory = base/ ( NUMBER.layer )*          see `layer.py` for a file, `stack.py` for how they lie on each other

Every value in it comes from the journal, checked against its chain, and never from LevelDB: what that may lose cannot
get in here. So base and journal together are what the journal alone was, the truth, and the state can be rebuilt from
them. A layer takes the place of journal segments, and a part that of other layers, only when it is durable and was read
back; what it replaces goes afterwards, newest last, so that what is left is in one piece at any moment.

One thread at a time writes; any thread reads. Whoever reads longer takes a `pin`: nothing is removed while it lives.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.engine import FOLDED, Entry
from pictact_actors.storage.truth.journal import Journal
from pictact_actors.storage.truth.layer import Layer, LayerWriter, read_layer
from pictact_actors.storage.truth.segment import sync_directory
from pictact_actors.storage.truth.stack import Stack, stacked

_LAYERS = "[0-9]" * 10 + ".layer"


class Pin:
    """Keeps files from being removed as long as somebody holds it."""


class Base:
    """The layers of one store. The directory is made when it is needed."""

    def __init__(self, directory: Path, store_id: bytes) -> None:
        """Look at what is there. Raises `StoreDamaged`; what a crash left half written goes."""
        self._directory = directory
        self._store_id = store_id
        self._lock = threading.Lock()
        self._pins: weakref.WeakSet[Pin] = weakref.WeakSet()
        for path in directory.glob("*.new"):
            path.unlink()
        self._layers = tuple(sorted((read_layer(path, store_id) for path in directory.glob(_LAYERS)), key=_number_of))
        self.stack = stacked(self._layers)

    @property
    def seq(self) -> int:
        """The last commit whose changes are in it; 0 if there is none."""
        return self.stack.seq

    def pin(self) -> Pin:
        """Keep what is there from being removed, here and in the journal."""
        pin = Pin()
        with self._lock:
            self._pins.add(pin)
        return pin

    @contextmanager
    def removing(self) -> Iterator[bool]:
        """Say whether something may be removed: nobody takes a pin meanwhile, and nobody has one."""
        with self._lock:
            yield not self._pins

    def require_journal(self, journal: Journal) -> None:
        """Raise `StoreDamaged` unless a journal goes on where this ends."""
        follows = self.stack.next
        if follows is None:
            if journal.first_seq != 1:
                raise StoreDamaged(f"{self._directory} lacks the commits before {journal.first_seq}")
            return
        header = journal.header(follows.number)
        if (header.first_seq, header.chain) != (follows.first_seq, follows.chain):
            raise StoreDamaged(f"the journal does not go on after commit {self.seq}, where {self._directory} ends")

    def entries(self, from_seq: int, stack: Stack) -> Iterator[Entry]:
        """Iterate what leads from the commits before `from_seq` to those of a stack: only each key's last value.

        An entry's `seq` says which commits are whole after it. From 1 on that is everything; from elsewhere it raises
        `StoreDamaged` if the runs do not reach as far back.
        """
        held = from_seq - 1
        if not held:
            for pairs in chain.from_iterable(tile.frames() for tile in stack.tiles):
                yield Entry(held, 0.0, FOLDED, None, pairs)
            held = stack.part_seq
            yield Entry(held, 0.0, FOLDED, None, {})
        elif not stack.reaches(held):
            raise StoreDamaged(f"the commits from {from_seq} to {stack.part_seq} are not kept one by one")
        for run in stack.runs:
            if run.last_seq > held:
                for pairs in run.frames():
                    yield Entry(held, run.covers.next.ts, FOLDED, None, pairs)
                held = run.last_seq
                yield Entry(held, run.covers.next.ts, FOLDED, None, {})

    def records(self) -> tuple[int, Iterator[tuple[str, bytes]]]:
        """Return the last commit in it, and all records right after it; nothing is removed while the iterator lives."""
        pin, stack = self.pin(), self.stack
        return stack.seq, _holding(pin, stack.pairs())

    def begin(self) -> LayerWriter:
        """Begin another layer."""
        if not self._directory.exists():
            self._directory.mkdir()
            sync_directory(self._directory.parent)
        return LayerWriter(self._directory, self._layers[-1].number + 1 if self._layers else 1, self._store_id)

    def add(self, layer: Layer) -> None:
        """Make the name of a finished layer durable, and count on it."""
        sync_directory(self._directory)
        self._replace((*self._layers, layer))

    def clear(self) -> None:
        """Remove what is left over, unless somebody reads: parts first, a run may hide what is in an older part."""
        left_over = self.stack.left_over
        for parts in (True, False):
            self._drop([layer for layer in left_over if (layer.first_seq == 1) is parts])

    def _drop(self, layers: list[Layer]) -> None:
        with self.removing() as may:
            if not layers or not may:
                return
            for layer in layers:
                with suppress(FileNotFoundError):
                    layer.path.unlink()
            sync_directory(self._directory)
        gone = {layer.number for layer in layers}
        self._replace(tuple(layer for layer in self._layers if layer.number not in gone))

    def size_bytes(self) -> int:
        """Disk space of all layers."""
        return sum(layer.size_bytes for layer in self._layers)

    def _replace(self, layers: tuple[Layer, ...]) -> None:
        self._layers, self.stack = layers, stacked(layers)


def _number_of(layer: Layer) -> int:
    return layer.number


def _holding(pin: Pin, records: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    yield from records
    del pin
