"""The janitor: removes what is due, through the ordinary actors, a bounded number of records at a time.

It finds what is due in the indexes (`model/indexes.py`), oldest first, and asks the owning shard to remove it, step by
step, as any caller would: so a removal waits its turn, and everybody else goes on in between.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice

from pictact_actors import log
from pictact_actors.archiving import Archiving
from pictact_actors.clock import monotonic
from pictact_actors.errors import Rejected, RequestTimeout, ShardFailed, StoreClosed, StoreError
from pictact_actors.model import keys
from pictact_actors.model.chores import Expire, Forget, Strike, Sweep
from pictact_actors.model.commands import Command
from pictact_actors.model.indexes import HOUR_S, due_parts
from pictact_actors.model.records import FORGOTTEN
from pictact_actors.model.removal import Removal
from pictact_actors.runtime.runtime import Runtime
from pictact_actors.runtime.tally import Tally

_STOP_S = 5.0
_REST_S_MAX = 0.05


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a cleanup did, in counts, and how long it took (s). `records` is everything that it removed."""

    matches: int = 0
    records: int = 0
    requests: int = 0
    """Answers to requests of users that were forgotten."""
    details: int = 0
    """Details of analytics that were archived, or removed if there is no archive."""
    audits: int = 0
    """Entries of the audit that were old enough."""
    seconds: float = field(default=0.0, compare=False)

    def __bool__(self) -> bool:
        return bool(self.records)

    def to_dict(self) -> dict[str, object]:
        """All fields."""
        return asdict(self)


class Janitor:
    """Cleans up now and then, on a thread of its own, and whenever it is asked to."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config = runtime.config
        self._cleaning = threading.Lock()
        self._stopping = threading.Event()
        self._archiving = Archiving(runtime, self._stopping)
        self._hurry = threading.Event()
        runtime.space.hurry = self._hurry.set
        self._failing: str | None = None
        self._ended_at: float | None = None
        self.cleaned = Tally()
        """Cleanups since the store was opened, and what they removed, by the names of `CleanupReport`."""
        self._thread = threading.Thread(target=self._run, name="pictact-janitor", daemon=True)

    def start(self) -> None:
        """Finish what a crash left half archived, so that nobody sees it, and begin."""
        try:
            self._counting(self._resume)
        except (StoreError, OSError) as error:
            self._failed(error)
        self._thread.start()

    def stop(self) -> None:
        """Clean up no more, but for the step that is being done."""
        self._stopping.set()
        self._hurry.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    def clean(self) -> CleanupReport:
        """Remove everything that is due now, and report. One cleanup at a time. Raises what a command may raise."""
        return self._counting(lambda counts: self._clean(counts, self._now() - self._config.observation_expiry_s))

    @property
    def cleanup_age_s(self) -> float | None:
        """How long ago the last cleanup ended that removed something, in seconds."""
        return None if self._ended_at is None else monotonic() - self._ended_at

    def _counting(self, work: Callable[[Counter[str]], None]) -> CleanupReport:
        """Report, and log once, what was removed, also when something came in between."""
        with self._cleaning:
            since = monotonic()
            counts: Counter[str] = Counter()
            try:
                work(counts)
            finally:
                report = CleanupReport(**counts, seconds=monotonic() - since)
                if report:
                    self._ended_at = monotonic()
                    self.cleaned.add(cleanups=1, **counts)
                    log.info(log.CLEANED_UP, **report.to_dict())
                    self._runtime.space.give_back()
        return report

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._hurry.wait(self._config.cleanup_interval_s)
            self._hurry.clear()
            if self._stopping.is_set():
                return
            try:
                self._runtime.committed.drop_idle_boards(self._config.board_idle_s)
                self._counting(lambda counts: self._clean(counts, self._last_hour()))
                self._failing = None
            except StoreClosed:  # for good, then it is stopping; or only what it was reading from
                continue
            except Exception as error:  # noqa: BLE001 - nobody else would clean up
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Say so once, not each time while it lasts."""
        cause = repr(error)
        if cause != self._failing:
            self._failing = cause
            if isinstance(error, StoreError):
                log.warning(log.CLEANUP_FAILED, cause=str(error))
            else:
                log.error(log.CLEANUP_FAILED, cause=cause, exc_info=error)

    def _clean(self, counts: Counter[str], observed_until: float) -> None:
        """Remove what is due; details last, because the archive may have no room for them."""
        now, step = self._now(), self._config.cleanup_step
        failed = self._expire(counts)
        for hour, user in self._due("answered", self._config.request_expiry_s + HOUR_S):
            sweep = Sweep(now, keys.shard_of(keys.lifetime_key(user), self._config.shards), FORGOTTEN)
            removed = self._remove(Forget(user, hour, step, sweep))
            counts.update(requests=removed, records=removed)
        for ids in self._old_audits():
            removed = self._remove(Strike(f"{keys.AUDIT}:{ids}", now - self._config.audit_expiry_s))
            counts.update(audits=removed, records=removed)
        for removed in self._archiving.clear(now, observed_until):
            counts.update(details=removed, records=removed)
        for error in failed.values():
            raise error

    def _expire(self, counts: Counter[str]) -> dict[int, StoreError]:
        """Remove the matches that are due; return which shards could not, and why. The others go on."""
        failed: dict[int, StoreError] = {}
        for post_id in self._due_posts():
            shard = keys.shard_of(keys.match_key(post_id), self._config.shards)
            if shard in failed:
                continue
            try:
                removed = self._remove(Expire(post_id, self._config.cleanup_step))
            except StoreClosed:
                raise
            except (Rejected, RequestTimeout, ShardFailed) as error:
                failed[shard] = error
            else:
                counts.update(matches=int(removed > 0), records=removed)
        return failed

    def _resume(self, counts: Counter[str]) -> None:
        for removed in self._archiving.resume(self._now()):
            counts.update(details=removed, records=removed)

    def _remove(self, command: Command) -> int:
        """Have a command done until there is nothing left for it; return how many records went."""
        records = 0
        while True:
            if self._stopping.is_set():
                raise StoreClosed
            began = monotonic()
            removal = self._runtime.send(command, self._config.crossing_timeout_s).get()
            if not isinstance(removal, Removal):
                raise TypeError(f"{command.NAME} answered {removal!r}")
            records += removal.records
            self._give_way(monotonic() - began)
            if removal.done:
                return records
            if isinstance(command, Expire):
                command = replace(command, after=removal.last)

    def _give_way(self, took_s: float) -> None:
        """Rest as long as a step took while others are at work, unless room is wanted: they do not wait, it may."""
        space = self._runtime.space
        if any(link.gate.in_flight for link in self._runtime.links) and not (space.tight or space.full):
            self._stopping.wait(min(took_s, _REST_S_MAX))

    def _due_posts(self) -> Iterator[str]:
        config = self._config
        for basis, period_s in (
            ("completed", 0.0),
            ("cancelled", config.match_expiry_s),
            ("idle", config.match_idle_s),
        ):
            for _, post_id in self._due(basis, period_s):
                yield post_id

    def _old_audits(self) -> Iterator[str]:
        """Iterate entries of the audit that are old, and not among the latest."""
        newer = islice(self._runtime.engine.scan("due:audited:"), self._config.audit_entries_min, None)
        for (_, ids), _ in zip(self._due("audited", self._config.audit_expiry_s), newer, strict=False):
            yield ids

    def _due(self, basis: str, period_s: float) -> Iterator[tuple[float, str]]:
        """Iterate what is due in an index, oldest first."""
        latest = self._now() - period_s
        for key, _ in self._runtime.engine.scan(f"due:{basis}:"):
            _, time, owner = due_parts(key)
            if time > latest:
                return
            yield time, owner

    def _last_hour(self) -> float:
        """Return the beginning of the hour that is becoming due: by itself, the janitor archives whole hours."""
        return (self._now() - self._config.observation_expiry_s) // HOUR_S * HOUR_S

    def _now(self) -> float:
        return self._runtime.clock.now()
