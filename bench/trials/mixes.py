"""YCSB's standard mixes A to F, as its paper defines them (Cooper et al., SoCC 2010), over the store's records.

Reads, blind updates, inserts, short scans and read-modify-writes. `zipfian` draws few records often (exponent 0.99),
scattered over all keys; `latest` draws the newest most often. A scan reads 1 to 100 records.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

ZIPFIAN = 0.99
SCAN_MAX = 100


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each operation comes, in percent, and which records it meets."""

    name: str
    title: str
    operations: Mapping[str, int]
    latest: bool = False


class Step(NamedTuple):
    """One operation: on the record of a number, or of that many before the newest, over `length` records."""

    operation: str
    number: int
    length: int


MIXES = (
    Mix("ycsb-a", "YCSB A: half reads, half updates", {"read": 50, "update": 50}),
    Mix("ycsb-b", "YCSB B: 95 % reads, 5 % updates", {"read": 95, "update": 5}),
    Mix("ycsb-c", "YCSB C: reads only", {"read": 100}),
    Mix("ycsb-d", "YCSB D: reads of the latest, 5 % inserts", {"read": 95, "insert": 5}, latest=True),
    Mix("ycsb-e", "YCSB E: short scans, 5 % inserts", {"scan": 95, "insert": 5}),
    Mix("ycsb-f", "YCSB F: reads, read-modify-writes", {"read": 50, "add": 50}),
)


def steps(mix: Mix, records: int, count: int, seed: str) -> list[Step]:
    """Draw operations over so many records."""
    drawn = random.Random(seed)
    order = list(range(records))
    if not mix.latest:
        random.Random(records).shuffle(order)
    weights = list(accumulate(1 / rank**ZIPFIAN for rank in range(1, records + 1)))
    operations = drawn.choices(list(mix.operations), list(mix.operations.values()), k=count)
    numbers = drawn.choices(order, cum_weights=weights, k=count)
    return [
        Step(operation, number, drawn.randint(1, SCAN_MAX))
        for operation, number in zip(operations, numbers, strict=True)
    ]
