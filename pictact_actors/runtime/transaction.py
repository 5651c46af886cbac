"""A caller's transaction: it runs on the caller's thread and locks groups through the actors that own them.

A group is locked from the first touch until the end, so what was read stays as it is; writes are kept here until the
commit, which is one more message: the home shard hands them to the committer, and they become real at one place in
the order of all commits. So transactions and commands are strictly serializable together. A scan locks its group, or
every shard if its prefix spans groups, and so keeps phantoms out.

Nothing here waits. What an operation needs from a shard it yields as an `Errand`; who drives it (a thread, an event
loop) sends the message and goes on with the operation once it is answered.

The caller's thread owns everything but: `epochs`, `visited`, `mark` and `granted_at`, which the shards write while the
caller waits for them, `over`, which the end writes wherever it is decided, and `_reason`, where the first one counts.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeVar

from pictact_actors.clock import UniqueTimes, monotonic
from pictact_actors.errors import ConflictAborted, InvalidValue, NotFound, RequestTimeout
from pictact_actors.model import keys
from pictact_actors.model.codec import checked_public, encode
from pictact_actors.model.commands import Command, CompleteMatch
from pictact_actors.model.deciding import answered_before, complete, crosses_groups, decide, participants
from pictact_actors.model.indexes import KINDS as INDEXED
from pictact_actors.model.indexes import reindexed
from pictact_actors.model.records import Record
from pictact_actors.model.removal import anew
from pictact_actors.model.rules import When, stamped
from pictact_actors.runtime.expiry import WithWhatIsDue
from pictact_actors.runtime.holder import Holder
from pictact_actors.runtime.locks import WHOLE
from pictact_actors.runtime.messages import GiveUp
from pictact_actors.runtime.staging import RECORD_OVERHEAD_BYTES, Batch, Staged
from pictact_actors.storage.merge import merged, under

if TYPE_CHECKING:
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.shard import ShardActor
    from pictact_actors.runtime.transactions import Transactions

T = TypeVar("T")
_GIVEN_UP = InvalidValue("transaction", "it", "was rolled back; begin another one")


class Errand(NamedTuple):
    """A message that an operation needs answered by a shard before it can go on."""

    link: ShardLink
    command: Command


Operation = Generator[Errand, object, T]
"""Work of a transaction that returns a `T`; it yields what it waits for."""


class _Internal(Command):
    """A message that the runtime makes itself, so there is nothing in it to check."""

    __slots__ = ()
    NAME: ClassVar[str] = "transaction"
    request_id: str | None = None

    def checked(self) -> Self:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Lock(_Internal):
    """Lock groups of one shard for a transaction."""

    transaction: Transaction
    groups: tuple[str, ...]

    @property
    def group(self) -> str:
        """One of the groups: they live in one shard."""
        return self.groups[0]


@dataclass(frozen=True, slots=True, eq=False)
class Commit(_Internal):
    """Hand a transaction's writes to the committer."""

    transaction: Transaction

    @property
    def group(self) -> str:
        """Nothing in particular: the transaction has all its locks."""
        return WHOLE


class Transaction(Holder):
    """One attempt: locks, what was written so far, and its end."""

    gives_way = True

    def __init__(self, transactions: Transactions, timeout_s: float) -> None:
        super().__init__()
        self.timeout_s = timeout_s
        self.granted_at: float | None = None
        self._transactions = transactions
        self._workplace = transactions.workplace
        self._committed = self._workplace.committed
        self._home: ShardLink | None = None
        self._held: set[str] = set()
        self._gone: set[str] = set()
        self._writes: dict[str, Record | None] = {}
        self._changes: dict[str, bytes | None] = {}
        self._size_bytes = 0
        self._times = UniqueTimes()
        self._call: Call | None = None
        self._asked: ShardLink | None = None
        self._committing = False
        self._reason: Exception | None = None

    @property
    def home(self) -> ShardLink:
        """The first shard that it locked something in."""
        return self._home or self._workplace.links[0]

    @property
    def title(self) -> str:
        """What people call it."""
        return f"transaction {self.number}"

    @property
    def changes(self) -> dict[str, bytes | None]:
        """What it writes, once it commits."""
        return self._changes

    def groups_held(self) -> list[str]:
        """Return the groups that it has locked."""
        return sorted(self._held.copy())

    # -- operations

    def reading(self, key: str) -> Operation[Record]:
        """Read a record. Raises `NotFound`, `InvalidKey`."""
        yield from self._locking([_group(key)])
        record = self.get(key)
        self._require_held()
        if record is None:
            raise NotFound(key)
        return record

    def reading_many(self, wanted: Iterable[str]) -> Operation[dict[str, Record]]:
        """Read the records that exist among the wanted ones."""
        listed = list(wanted)
        yield from self._locking(map(_group, listed))
        found = {key: self.get(key) for key in listed}
        self._require_held()
        return {key: record for key, record in found.items() if record is not None}

    def writing(self, key: str, record: Record) -> Operation[Record]:
        """Write a record, and return it with its times. Raises `InvalidKey`, `InvalidValue`."""
        given = checked_public(key, record)
        yield from self._locking([_group(key)])
        written = stamped(given, self.get(key), self._when())
        self._require_held()
        self._writes[key] = written
        return written

    def deleting(self, key: str) -> Operation[None]:
        """Delete a record, if there is one."""
        yield from self._locking([_group(key)])
        self._require_held()
        self._writes[key] = None

    def scanning(self, prefix: str, after: str | None) -> Operation[Iterator[tuple[str, Record]]]:
        """Iterate the public records under a prefix as they are now, in key order, behind `after`."""
        group = keys.group_under(prefix)
        if group is not None:
            yield from self._locking([group])
        else:
            for link in self._workplace.links:
                yield from self._lock(link, (WHOLE,))
        pairs = merged(self._committed.scan(prefix, after), under(prefix, after, self._writes))
        return self._shown(pairs)

    def doing(self, command: Command) -> Operation[object]:
        """Do a command as part of the transaction. Raises what it raises, and then nothing of it is written."""
        command = command.checked()
        yield from self._locking([command.group])
        completes = (
            isinstance(command, CompleteMatch)
            and crosses_groups(command, self)
            and answered_before(command, self, self._when()) is None
        )
        if completes and isinstance(command, CompleteMatch):
            yield from self._locking(map(keys.lifetime_key, participants(command, self)))
            outcome = complete(command, self, self._when(), self._workplace.config.match_expiry_s)
        else:
            outcome = decide(command, self, self._when())
        self._require_held()
        self._writes.update(outcome.changes)
        return outcome.answer

    def committing(self) -> Operation[None]:
        """Commit everything in one step. Raises `ConflictAborted` and the errors of a write."""
        self._require_open()
        if self._home is None:
            self.roll_back()
            return
        try:
            self._encode()
            self._committing = True
            yield Errand(self._home, Commit(self))
        except BaseException as error:
            self.roll_back(error)
            raise

    def roll_back(self, reason: BaseException | None = None) -> None:
        """End it without a trace; if its commit is on the way, unless that comes first. Waits for nobody."""
        self._end(reason)
        if self._committing:
            self._transactions.cancel(self)
        elif not self.over:
            self.release()

    # -- the records as it sees them (a `View` for the rules)

    def get(self, key: str) -> Record | None:
        """Return the record under a key that is locked."""
        return self._writes[key] if key in self._writes else self._committed.get(key)

    def scan(self, prefix: str) -> Iterator[Record]:
        """Yield the records of a locked group under a prefix."""
        for _, record in merged(self._committed.scan(prefix), under(prefix, None, self._writes)):
            yield record

    # -- the shards' and the committer's side

    def asks(self, call: Call, link: ShardLink) -> None:
        """Note the message that asks for locks now. Raises why there are none for it any more."""
        self._call, self._asked = call, link  # first: who ends it meanwhile tells the shard
        if self.over or self.is_ending():
            raise self._ended()

    def asking(self, link: ShardLink) -> Call | None:
        """Return the message with which it has asked a shard for locks and got no answer yet."""
        return self._call if self._asked is link and self._call is not None and not self._call.done() else None

    def granted(self, shard: ShardActor) -> None:
        """Note that it has what it asked a shard for. What it decides from now on comes after what that one decided."""
        self.rely_on(shard.link, shard.epoch)
        self.mark = max(self.mark, shard.mark)
        if self.granted_at is None:
            self.granted_at = monotonic()

    def enter(self, shard: ShardActor) -> None:
        """Go on after a wait."""
        self.granted(shard)
        if self._call is not None:
            shard.grant(self._call)

    def gave_up(self, shard: ShardActor) -> None:
        """Answer the message that still waits for locks in a shard."""
        if self._call is not None:
            shard.refuse([self._call], self._ended())

    def batch(self, call: Call, shard: ShardActor) -> Batch:
        """Return everything it wrote, as one commit."""
        written = Staged(call, Commit.NAME, None, self._changes, self._writes, None, None)
        return Batch(shard.link, shard.epoch, 0, [written], self._size_bytes, self.mark, self)

    def refused(self) -> Exception:
        """Return why it cannot commit."""
        return self._reason or ConflictAborted("a shard that it relied on was restarted, or its records read anew")

    def is_ending(self) -> bool:
        """Whether somebody has told it to end."""
        return self._reason is not None

    def abort(self, error: Exception) -> None:
        """End it from outside: a commit that is on its way before this counts, a later one does not."""
        self._end(error)
        self._transactions.cancel(self)
        if self._asked is not None:
            self._asked.tell(GiveUp(self))  # not in the order of commits: who asks for locks has none on its way

    def release(self) -> None:
        """Unlock everything, everywhere: it is over."""
        super().release()
        self._workplace.waits.end(self)
        self._transactions.forget(self)

    def count(self, **counts: int) -> None:
        """Add to the counters of its home shard."""
        self.home.tally.add(**counts)

    # -- locking and writing

    def _locking(self, groups: Iterable[str]) -> Operation[None]:
        """Lock groups, shard by shard in the order of crossings."""
        self._require_open()
        missing: dict[tuple[bool, int], list[str]] = {}
        for group in dict.fromkeys(groups):
            if group not in self._held:
                place = (group.startswith("lifetime:"), self._workplace.link_of(group).index)
                missing.setdefault(place, []).append(group)
        for place in sorted(missing):
            yield from self._lock(self._workplace.links[place[1]], tuple(missing[place]))

    def _lock(self, link: ShardLink, groups: tuple[str, ...]) -> Operation[None]:
        self._require_open()
        if self._home is None:
            self._transactions.keep(self, link)
            self._home = link
        self.visited.add(link)
        try:
            yield Errand(link, Lock(self, groups))
        except RequestTimeout as late:
            error = ConflictAborted(f"{self.title} waited {late.timeout_s:g} s for {', '.join(groups[:5])}")
            self.roll_back(error)
            raise error from late
        except BaseException as error:
            self.roll_back(error)
            raise
        self._held.update(groups if WHOLE not in groups else {f"all of shard {link.index}"})
        self._gone.update(group for group in groups if group != WHOLE and self._committed.hides(group))
        self._require_held()

    def _when(self) -> When:
        times = self._times
        times.mark = max(times.mark, self.mark)
        times.now = now = self._workplace.clock.now()
        return When(now, times.next, *self._workplace.config.periods)

    def _encode(self) -> None:
        """Turn what was written into a commit. Raises `InvalidValue` when it is too large for one."""
        limit_bytes = self._workplace.config.commit_bytes_max
        for post_id in self._posts_anew():
            self._writes = dict(anew(post_id, self._writes, WithWhatIsDue(self._committed), self._when()))
        for key, record in self._writes.items():
            self._changes[key] = value = None if record is None else encode(record)
            self._size_bytes += len(key) + len(value or b"") + RECORD_OVERHEAD_BYTES
            if key.startswith(INDEXED):
                self._changes.update(reindexed(self._committed.get_due(key), record))
        self.mark = max(self.mark, self._times.mark)
        if self._size_bytes > limit_bytes:
            raise InvalidValue("transaction", len(self._writes), "records are too many for one step (commit_bytes_max)")

    def _posts_anew(self) -> list[str]:
        """Return the posts that are due, and where something is written.

        Raises `ConflictAborted` for one that was still there when it was locked.
        """
        hidden = dict.fromkeys(keys.parse(key).group for key in self._writes if self._committed.hides(key))
        for group in hidden:
            if group in self._held and group not in self._gone:
                raise ConflictAborted(f"{group} has expired meanwhile")
        return [group.removeprefix("match:") for group in hidden]

    def _shown(self, pairs: Iterable[tuple[str, Record]]) -> Iterator[tuple[str, Record]]:
        for key, record in pairs:
            self._require_held()
            if keys.is_public(key):
                yield key, record

    def _require_open(self) -> None:
        if self.over or self._committing or self._reason is not None:
            raise self._ended()

    def _require_held(self) -> None:
        """Make sure that what was just read was locked at that time. Raises `ConflictAborted`."""
        self._require_open()
        if not self.is_current():
            self.roll_back(self.refused())
            raise self.refused()

    def _end(self, reason: BaseException | None) -> None:
        """Note why it ends; the first reason counts."""
        if not self.is_ending() and not self.over:
            self._reason = reason if isinstance(reason, Exception) else _GIVEN_UP
            self.count(aborts=1)

    def _ended(self) -> Exception:
        if self._reason is not None and self._reason is not _GIVEN_UP:
            return self._reason.with_traceback(None)
        return InvalidValue("transaction", self.number, "has ended; begin another one")


def _group(key: str) -> str:
    return keys.parse(keys.require_public(key)).group
