"""Who is measured: the store, the parts it is made of, and what a user would write by hand. One file each."""

from __future__ import annotations

from bench.subjects.bare import BareParts, BulkParts
from bench.subjects.pictact import PictactStore
from bench.subjects.protocol import Draw, Pipelining, Subject
from bench.subjects.sqlite import Connections, OneConnection
from bench.subjects.striped import StripedPlyvel

SUBJECTS: tuple[type[Subject], ...] = (PictactStore, BareParts, BulkParts, StripedPlyvel, OneConnection, Connections)

__all__ = ["SUBJECTS", "Draw", "Pipelining", "Subject"]
