"""What `pictact top` shows: figures of a running store, and what became of them since the last look.

Pure: from two looks at `stats` to lines and tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pictact_actors.cli.terminal import Column, Part

Figures = Mapping[str, Any]
SHARDS_MAX = 8
WAITS_MAX = 6
COMMANDS_MAX = 8
_WANTED_MAX = 3
_LOOK_UP = "get"
"""Those that went to the state; they are among the look-ups."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_KIB = 1024
_SUMMARY_COLUMNS = (Column(""), Column("", prose=True))
_SHARD_COLUMNS = (
    *(Column(name, figures=True) for name in ("shard", "in flight", "queued", "oldest", "restarts")),
    *(Column(name, figures=True) for name in ("waits", "deadlocks", "aborts")),
)
_WAIT_COLUMNS = (
    Column("waits"),
    Column("for", figures=True),
    Column("wants", prose=True),
    Column("behind", prose=True),
)
_COMMAND_COLUMNS = (Column("what"), *(Column(name, figures=True) for name in ("a second", "p50", "p95", "p99")))


@dataclass(frozen=True, slots=True)
class Look:
    """The figures of a store, and those of an earlier look at it; both as `pictact stats --json` has them."""

    before: Figures
    now: Figures

    @property
    def seconds(self) -> float:
        """The time between the looks; if the store was opened in between, since then."""
        since = float(self.now["uptimeS"]) - float(self.before["uptimeS"])
        return since if since > 0 else max(float(self.now["uptimeS"]), 1e-3)

    def per_second(self) -> dict[str, float]:
        """Return how much was done each second, on average."""
        return {
            "writes": self._rate(lambda figures: _sum(figures["commands"])),
            "commits": self._rate(lambda figures: figures["commits"]),
            "syncs": self._rate(lambda figures: figures["groups"]),
            "reads": self._rate(_reads),
        }

    def to_dict(self) -> dict[str, object]:
        """Return everything, for JSON."""
        return {"seconds": self.seconds, "perSecond": self.per_second(), "stats": self.now}

    def rates_of(self, kind: str) -> dict[str, float]:
        """Return how often each command or query was done, a second."""
        counts = {one["name"]: one["count"] for one in self.before[kind]} if self._goes_on else {}
        return {one["name"]: (one["count"] - counts.get(one["name"], 0)) / self.seconds for one in self.now[kind]}

    @property
    def _goes_on(self) -> bool:
        return float(self.now["uptimeS"]) > float(self.before["uptimeS"])

    def _rate(self, count: Any) -> float:
        done = count(self.now) - (count(self.before) if self._goes_on else 0)
        return float(done / self.seconds)


def picture(look: Look) -> list[Part]:
    """Return the picture, what matters most first."""
    parts = [
        Part("", _SUMMARY_COLUMNS, list(_summary(look))),
        Part("shards", _SHARD_COLUMNS, list(_shards(look.now["shards"]))),
        Part("who waits for whom", _WAIT_COLUMNS, list(_waits(look.now))),
        Part("commands and queries", _COMMAND_COLUMNS, list(_commands(look))),
    ]
    return [part for part in parts if part.rows]


def headline(data: str, look: Look) -> str:
    """Return what store it is and how far it is."""
    return f"pictact top  {data}  open for {duration(look.now['uptimeS'])}  commit {look.now['seq']:,}"


def _summary(look: Look) -> Iterator[tuple[str, str]]:
    now, rates = look.now, look.per_second()
    shared = f", {rates['commits'] / rates['syncs']:.1f} commits a sync" if rates["syncs"] else ""
    yield (
        "a second",
        (
            f"{rates['writes']:,.0f} writes, {rates['commits']:,.0f} commits, {rates['syncs']:,.0f} syncs{shared}, "
            f"{rates['reads']:,.0f} reads"
        ),
    )
    yield "p50 / p99", ", ".join(f"{name} {_pair(now, name)}" for name in ("write", "read", "sync"))
    flight = sum(shard["inFlight"] for shard in now["shards"])
    queued = sum(shard["queued"] for shard in now["shards"])
    yield (
        "in flight",
        (
            f"{flight:,} messages, {queued:,} of them queued; "
            f"{now['transactions']:,} transactions, {now['waiting']:,} waiting; "
            f"a thread woke up {milliseconds(now['wakeLagS'])} late"
        ),
    )
    yield (
        "memory",
        (
            f"cache {_share(now['cacheHitRate'])} hits, {now['cachedRecords']:,} records, {size(now['cacheBytes'])}; "
            f"{now['boards']:,} boards"
        ),
    )
    kinds = ("journal", "base", "state", "archive", "backup", "damaged")
    parts = ", ".join(f"{kind} {size(now[f'{kind}Bytes'])}" for kind in kinds if now[f"{kind}Bytes"])
    yield "disk", f"{size(now['sizeBytes'])}" + (f": {parts}" if parts else "")
    yield "cleanup", _cleanup(now)
    yield "backup", _backup(now)
    yield from (("TROUBLE", trouble) for trouble in _troubles(now))


def _cleanup(now: Figures) -> str:
    if not now["cleanups"]:
        return "nothing was due since the store was opened"
    return (
        f"{now['cleanedMatches']:,} matches, {now['cleanedRecords']:,} records in {now['cleanups']:,} cleanups, "
        f"the last {duration(now['cleanupAgeS'])} ago"
    )


def _backup(now: Figures) -> str:
    if now["backupSeq"] is None:
        return "none is known"
    return f"up to commit {now['backupSeq']:,}, {duration(now['backupAgeS'])} ago"


def _troubles(now: Figures) -> Iterator[str]:
    """Yield what an operator should look after."""
    if now["failure"]:
        yield f"writes are refused until the store is reopened: {now['failure']}"
    if now["storageFull"]:
        yield f"no room for writes: {now['storageFull']}"
    for count, what in (
        (sum(shard["restarts"] for shard in now["shards"]), "actors were restarted"),
        (sum(shard["quarantined"] for shard in now["shards"]), "messages are in quarantine"),
        (now["scrubProblems"], "problems were found by the last scrub"),
        (now["alarms"], "alarms: limits of the game were missed, see the log"),
    ):
        if count:
            yield f"{count:,} {what}"


def _shards(shards: Sequence[Figures]) -> Iterator[list[str]]:
    """Yield the shards, or those with the longest queues if there are many."""
    busiest = sorted(shards, key=lambda shard: (-shard["queueAgeS"], -shard["inFlight"]))[:SHARDS_MAX]
    for shard in sorted(busiest, key=lambda shard: int(shard["index"])):
        yield [
            str(shard["index"]),
            f"{shard['inFlight']:,}",
            f"{shard['queued']:,}",
            milliseconds(shard["queueAgeS"]),
            *(f"{shard[name]:,}" for name in ("restarts", "waits", "deadlocks", "aborts")),
        ]
    yield from _rest(len(shards) - SHARDS_MAX, len(_SHARD_COLUMNS))


def _waits(now: Figures) -> Iterator[list[str]]:
    blocked = now["blocked"]
    for wait in blocked[:WAITS_MAX]:
        yield [wait["waiter"], milliseconds(wait["ageS"]), _few(wait["wants"]), _few(wait["behind"])]
    yield from _rest(max(len(blocked), now["waiting"]) - WAITS_MAX if blocked else 0, len(_WAIT_COLUMNS))


def _commands(look: Look) -> Iterator[list[str]]:
    """Yield what is done most often, commands and queries together."""
    found = [(look.rates_of(kind)[one["name"]], one) for kind in ("commands", "queries") for one in look.now[kind]]
    for rate, one in sorted(found, key=lambda pair: -pair[0])[:COMMANDS_MAX]:
        yield [one["name"], f"{rate:,.0f}", *(milliseconds(one[f"p{part}S"]) for part in (50, 95, 99))]
    yield from _rest(len(found) - COMMANDS_MAX, len(_COMMAND_COLUMNS))


def _rest(count: int, columns: int) -> Iterator[list[str]]:
    if count > 0:
        yield [f"+{count}", *[""] * (columns - 1)]


def _few(names: Sequence[str]) -> str:
    more = f", +{len(names) - _WANTED_MAX}" if len(names) > _WANTED_MAX else ""
    return ", ".join(names[:_WANTED_MAX]) + more


def _reads(figures: Figures) -> int:
    """Count look-ups of one record, by readers and shards, and what is asked of several."""
    return int(figures["cacheReads"]) + _sum(query for query in figures["queries"] if query["name"] != _LOOK_UP)


def _sum(latencies: Iterable[Figures]) -> int:
    return sum(one["count"] for one in latencies)


def _pair(now: Figures, name: str) -> str:
    return f"{milliseconds(now[f'{name}P50S'])} / {milliseconds(now[f'{name}P99S'])}"


def _share(part: float | None) -> str:
    return "no" if part is None else f"{part:.1%}"


def milliseconds(seconds: float | None) -> str:
    """Return a short time; a dash where there is none.

    >>> milliseconds(0.0123)
    '12.3 ms'
    """
    if seconds is None:
        return "-"
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1e3:.{1 if seconds >= 0.01 or not seconds else 2}f} ms"  # noqa: PLR2004 - 10 ms


def duration(seconds: float) -> str:
    """Return a long time.

    >>> duration(3725)
    '1 h 02 min'
    """
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:02.0f} s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:02.0f} min"
    return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:02.0f} h"


def size(size_bytes: float) -> str:
    """Return a size in powers of 1024.

    >>> size(1536)
    '1.5 KiB'
    """
    if size_bytes < _KIB:
        return f"{size_bytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size_bytes /= _KIB
        if size_bytes < _KIB:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / _KIB:.1f} TiB"
