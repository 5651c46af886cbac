"""Commands over several groups: a crossing travels from shard to shard, as a message.

At each stop the owning actor locks its groups, decides its own records in steps of a few milliseconds, and passes the
crossing on; the last stop hands everything to the committer as one commit. Nobody waits for anybody: while a crossing
is elsewhere, the groups it locked hold up their commands, and all others go on.

Stops are in one order for everybody (posts before users, then by shard), so crossings never wait in a circle.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

from pictact_actors.clock import monotonic
from pictact_actors.errors import InvalidValue, Rejected, RequestTimeout, ShardRestarted
from pictact_actors.model import keys
from pictact_actors.model.chores import Expire
from pictact_actors.model.codec import encode
from pictact_actors.model.commands import CompleteMatch, PutMany
from pictact_actors.model.deciding import answered_before, answering, crosses_groups, decide
from pictact_actors.model.indexes import INDEXED, reindexed
from pictact_actors.model.indexes import KINDS as INDEXED_KINDS
from pictact_actors.model.records import Lifetime, Match, Record, Score, Standing
from pictact_actors.model.removal import Emptied, anew, expire_examined, may_be_idle, times_of_changes
from pictact_actors.model.rules import Outcome, View, closing, settle, stamped
from pictact_actors.runtime.holder import Holder
from pictact_actors.runtime.leaderboard import Board
from pictact_actors.runtime.messages import Arrive
from pictact_actors.runtime.staging import RECORD_OVERHEAD_BYTES, Batch, Staged, rejected

if TYPE_CHECKING:
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.shard import ShardActor
    from pictact_actors.runtime.workplace import Workplace

STEP_S = 0.002
"""How long a job works before other messages of its shard have their turn."""
_CARRIED_MAX = 2_048
"""Players whose decoded lifetimes go along into the cache: they play on. With more of them it would take too long."""

CROSSING_COMMANDS = frozenset({CompleteMatch, PutMany})


class Stop(NamedTuple):
    """The groups that a crossing needs in one shard."""

    link: ShardLink
    groups: list[str]


class Crossing(Holder):
    """A command under way through the shards that own its groups.

    It belongs to the one thread that works on it; messages hand it over. `visited` has each shard before it gets there.
    When one of these is restarted, this one is over, and its command begins another one (`fence.py`): to go back and
    lock again there what was lost, with locks held elsewhere, might be against the one order.
    """

    def __init__(self, call: Call, workplace: Workplace, stops: list[Stop]) -> None:
        super().__init__()
        self.call = call
        self.workplace = workplace
        self.stops = stops
        self.position = 0
        self.size_bytes = 0
        self._home = workplace.link_of(call.command.group)
        self.visited.add(self._home)
        self._changes: dict[str, bytes | None] = {}
        self._records: dict[str, Record] = {}

    @property
    def home(self) -> ShardLink:
        """The shard that owns its command's group."""
        return self._home

    def asking(self, link: ShardLink) -> Call | None:
        """Return its command where that came from."""
        return self.call if link is self._home else None

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.call.command.NAME} {self.call.command.group}"

    @property
    def changes(self) -> dict[str, bytes | None]:
        """What it writes."""
        return self._changes

    @abstractmethod
    def work(self, shard: ShardActor) -> Iterator[None]:
        """Decide what is to be decided at this stop; yield often."""

    @abstractmethod
    def answer(self) -> object:
        """Return what the caller gets."""

    def begin(self) -> None:
        """Set off, or set off again with the locks kept, to decide on fresh records."""
        self.position = 0
        self.epochs.clear()
        self.changes.clear()
        self._records.clear()
        self.size_bytes = 0
        self._go()

    def refused(self) -> None:
        """Set off again, unless its command has been answered, or goes another way."""
        if self.call.done():
            self.release()
        elif not self.over:
            self.begin()

    def is_current(self) -> bool:
        """Whether everything it relied on still stands, and nobody did the same: it may have been begun twice."""
        return super().is_current() and not self.call.done()

    def release(self) -> None:
        """Unlock everything, everywhere: it is over."""
        super().release()
        self.workplace.waits.end(self)
        self.workplace.crossings.pop(self, None)

    def gave_up(self, shard: ShardActor) -> None:
        """Do nothing: the command has gone another way, and is answered there."""

    def groups_here(self) -> list[str]:
        """Return the groups that this stop needs."""
        return self.stops[self.position].groups

    def groups_held(self) -> list[str]:
        """Return the groups of the stops it has been to."""
        return [group for stop in self.stops[: self.position] for group in stop.groups]

    def enter(self, shard: ShardActor) -> None:
        """Begin the work at this stop, unless nobody waits for it any more."""
        if self.call.deadline < monotonic():
            self.give_up(shard, RequestTimeout(self.call.timeout_s))
        else:
            shard.begin(Job(self, shard))

    def write(self, record: Record, shard: ShardActor) -> None:
        """Add a record to the commit. Raises `InvalidValue` when it grows beyond its limit."""
        value = encode(record)
        self.size_bytes += len(record.key) + len(value) + RECORD_OVERHEAD_BYTES
        if self.size_bytes > self.workplace.config.commit_bytes_max:
            raise InvalidValue("records", len(self.changes), "are too many for one atomic step (commit_bytes_max)")
        self.changes[record.key] = value
        if record.__class__ is Lifetime and len(self._records) <= _CARRIED_MAX:
            self._records[record.key] = record
        if record.__class__ in INDEXED:
            self.changes.update(reindexed(shard.get(record.key), record))

    def change(self, key: str, record: Record | None, shard: ShardActor) -> None:
        """Add a change to the commit: a record, or None to delete it."""
        if record is None:
            self.changes[key] = None
            self.changes.update(reindexed(shard.get(key), None) if key.startswith(INDEXED_KINDS) else {})
        else:
            self.write(record, shard)

    def advance(self, shard: ShardActor) -> None:
        """Go to the next stop, or to the committer after the last one."""
        self.position += 1
        if self.position < len(self.stops):
            self._go()
            return
        command = self.call.command
        records = self._records if len(self._records) <= _CARRIED_MAX else None
        decided = Staged(self.call, command.NAME, command.request_id, self.changes, records, self.answer(), None)
        shard.finish(Batch(shard.link, shard.epoch, 0, [decided], self.size_bytes, shard.mark, self))

    def give_up(self, shard: ShardActor, error: Exception) -> None:
        """Answer with an error, through the committer, and write nothing."""
        shard.finish(Batch(shard.link, shard.epoch, 0, [rejected(self.call, error)], 0, shard.mark, self))

    def _go(self) -> None:
        """Go to the next stop."""
        link = self.stops[self.position].link
        self.visited.add(link)  # first: who ends it meanwhile unlocks there too
        link.tell(Arrive(self))


class Job:
    """A crossing's work at one stop, done step by step."""

    def __init__(self, crossing: Crossing, shard: ShardActor) -> None:
        self.call = crossing.call
        self._crossing = crossing
        self._shard = shard
        self._work = crossing.work(shard)

    def step(self) -> bool:
        """Work for about `STEP_S`; say whether this stop is done."""
        if self._crossing.over:
            return True
        until = monotonic() + STEP_S
        try:
            for _ in self._work:
                if monotonic() > until:
                    return False
        except Rejected as error:
            self._crossing.give_up(self._shard, error)
        except BaseException as error:  # noqa: BLE001 - a mistake of ours harms only its own call, an exit too
            self._crossing.give_up(self._shard, ShardRestarted(self._shard.link.index, repr(error)))
        else:
            self._crossing.advance(self._shard)
        return True


class _Share(NamedTuple):
    """What one participant takes from a match."""

    user: str
    standing: Standing | None
    trophies: tuple[str, ...]


class Completion(Crossing):
    """Completing a match: its final order at home, then every participant's lifetime and history where they live."""

    def __init__(self, call: Call, command: CompleteMatch, workplace: Workplace) -> None:
        super().__init__(call, workplace, [Stop(workplace.link_of(command.group), [command.group])])
        self._command = command
        self._match: Match
        self._standings: list[Standing] = []
        self._shares: list[list[_Share]] = []

    def work(self, shard: ShardActor) -> Iterator[None]:
        """Gather the scores at home, settle players elsewhere."""
        if self.position == 0:
            yield from self._gather(shard)
        else:
            yield from self._settle(shard)

    def answer(self) -> object:
        """Return the final standings."""
        return self._standings

    def _gather(self, shard: ShardActor) -> Iterator[None]:
        match = shard.get(self._command.group)
        if not isinstance(match, Match) or not crosses_groups(self._command, shard):
            self._answer_as_it_is(shard)
            return
        self._match = closing(match, shard.clock.now(), self.workplace.config.match_expiry_s)
        self.write(self._match, shard)
        board = Board()
        for score in shard.scan(f"score:{self._command.post_id}:"):
            if isinstance(score, Score):
                board.put(score)
            yield
        self._standings = []
        for standing in board.standings():
            self._standings.append(standing)
            yield
        for answered in answering(self._command, None, self._match.updated_at).values():
            if answered is not None:
                self.write(answered, shard)
        yield from self._share_out()

    def _answer_as_it_is(self, shard: ShardActor) -> None:
        """Decide it as a command of one group: on fresh records, somebody else has ended the match since."""
        outcome = decide(self._command, shard, shard.when())
        self._standings = cast("list[Standing]", outcome.answer)
        self.stops = self.stops[:1]
        for record in outcome.changes.values():
            if record is not None:
                self.write(record, shard)

    def _share_out(self) -> Iterator[None]:
        """Sort the participants by the shard that owns them."""
        trophies = self._command.trophies
        shares: dict[ShardLink, list[_Share]] = {}
        for standing in self._standings:
            share = _Share(standing.user, standing, tuple(trophies.get(standing.user, ())))
            shares.setdefault(self.workplace.link_of(keys.lifetime_key(standing.user)), []).append(share)
            yield
        participants = {standing.user for standing in self._standings}
        for user in trophies.keys() - participants:
            share = _Share(user, None, tuple(trophies[user]))
            shares.setdefault(self.workplace.link_of(keys.lifetime_key(user)), []).append(share)
        ordered = sorted(shares, key=lambda link: link.index)
        self.stops = [
            self.stops[0],
            *(Stop(link, [keys.lifetime_key(s.user) for s in shares[link]]) for link in ordered),
        ]
        self._shares = [[], *(shares[link] for link in ordered)]

    def _settle(self, shard: ShardActor) -> Iterator[None]:
        post_id = self._command.post_id
        for user, standing, trophies in self._shares[self.position]:
            lifetime = shard.get(keys.lifetime_key(user))
            played = shard.get(keys.history_key(user, post_id))
            settled, entry = settle(lifetime, played, self._match, standing, trophies, user)
            self.write(settled, shard)
            if entry is not None:
                self.write(entry, shard)
            yield


class Putting(Crossing):
    """Writing given records, each decided by the actor that owns it."""

    def __init__(self, call: Call, command: PutMany, workplace: Workplace) -> None:
        stops: dict[tuple[bool, int], Stop] = {}
        by_group: dict[str, list[Record]] = {}
        for key, record in command.records.items():
            by_group.setdefault(keys.parse(key).group, []).append(record)
        for group in by_group:
            link = workplace.link_of(group)
            stops.setdefault(_stop_order(group, link), Stop(link, [])).groups.append(group)
        super().__init__(call, workplace, [stops[order] for order in sorted(stops)])
        self._command = command
        self._by_group = by_group

    def work(self, shard: ShardActor) -> Iterator[None]:
        """Write this stop's records; at home, look for the request first and remember it."""
        when = shard.when()
        for group in self.groups_here():
            gone = shard.is_gone(group, when)
            view: View = Emptied(shard, group.removeprefix("match:")) if gone else shard
            written = (stamped(record, view.get(record.key), when) for record in self._by_group[group])
            changes: Iterable[tuple[str, Record | None]] = ((record.key, record) for record in written)
            if group == self._command.group:
                if answered_before(self._command, view, when) is not None:
                    self._change_nothing()
                    return
                changes = chain(changes, answering(self._command, None, when.now).items())
            if gone:
                changes = anew(group.removeprefix("match:"), dict(changes), shard, when).items()
            for key, record in changes:
                self.change(key, record, shard)
                yield

    def answer(self) -> object:
        """Return nothing: the caller knows the records."""
        return None

    def _change_nothing(self) -> None:
        """Be done here, without what was written at earlier stops."""
        self.changes.clear()
        self._records.clear()
        self.size_bytes = 0
        self.position = len(self.stops) - 1


class Examination(Crossing):
    """Looking through everything of an open match for when it last changed, and removing the first of it if it is idle.

    There may be many records, and they are all decoded: so it goes step by step, while the match is locked.
    """

    def __init__(self, call: Call, command: Expire, workplace: Workplace) -> None:
        super().__init__(call, workplace, [Stop(workplace.link_of(command.group), [command.group])])
        self._command = command
        self._answer: object = None

    def work(self, shard: ShardActor) -> Iterator[None]:
        """Look, then decide."""
        latest = 0.0
        for changed_at in times_of_changes(self._command, shard):
            latest = max(latest, changed_at)
            yield
        outcome = expire_examined(self._command, latest, shard, shard.when())
        self._answer = outcome.answer
        for key, record in outcome.changes.items():
            self.change(key, record, shard)

    def answer(self) -> object:
        """Return what was removed."""
        return self._answer


def _stop_order(group: str, link: ShardLink) -> tuple[bool, int]:
    """Return the place of a stop in the one order: posts before users, then by shard."""
    return (group.startswith("lifetime:"), link.index)


def crossing_of(call: Call, shard: ShardActor, workplace: Workplace) -> Crossing | Outcome | None:
    """Return the crossing that a command needs, or its outcome if it was answered before; None for an ordinary one."""
    command = call.command
    if isinstance(command, PutMany):
        return Putting(call, command, workplace)
    if isinstance(command, CompleteMatch):
        answered = answered_before(command, shard, shard.when())
        if answered is not None:
            return answered
        if crosses_groups(command, shard):
            return Completion(call, command, workplace)
    if isinstance(command, Expire) and may_be_idle(command, shard, shard.when()):
        return Examination(call, command, workplace)
    return None
