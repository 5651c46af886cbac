"""Recovery: what an opening finds, what it does about it, and how it tells.

    found                                                        done
    closed cleanly: the seal is there, every file is as it says  nothing
    left by a crash: no seal                                     a torn last frame is cut, the state brought forward
    the state is missing, damaged, older, or has holes           it is built anew from base and journal
    base or journal is missing, damaged, older, or ends early    they are written anew from the state
    both                                                         refused: nothing is guessed
    the identity is missing or damaged                           it is taken from the journal, base and state
    healing itself, or a creation, was interrupted               it is finished, or begun anew

The two sides, truth (base and journal) and state, are looked at; if one of them is damaged it is healed from the other,
and they are looked at again, thoroughly: what was healed is compared with what it was healed from before it serves.
Every step can be repeated, so a crash on the way leaves a case of this table.

How thorough the look is depends on the seal. Side by side with a whole one, only the files that differ from it are
looked into; each is believed if it passes, since it may be the seal that was harmed. Without one, after a crash, base
and journal are read along their chains, and the state from its beginning, for half a second: that is some 500,000
keys. What is behind them is left to the scrub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pictact_actors.clock import monotonic
from pictact_actors.config import StoreConfig
from pictact_actors.errors import StoreDamaged
from pictact_actors.storage.directory import Directory
from pictact_actors.storage.engine import Entry
from pictact_actors.storage.folding import PART_BYTES_MIN
from pictact_actors.storage.recovery import healing, seal
from pictact_actors.storage.recovery.aside import Aside, Recovery
from pictact_actors.storage.recovery.rest import rest_behind
from pictact_actors.storage.recovery.seal import Seal, Stamp
from pictact_actors.storage.state import rebuilding
from pictact_actors.storage.state.handle import Replay
from pictact_actors.storage.state.state import State
from pictact_actors.storage.truth.position import Position
from pictact_actors.storage.truth.segment import NewerFormat
from pictact_actors.storage.truth.truth import Truth
from pictact_actors.storage.usage import free_bytes

_LOOKS_MAX = 4
"""Each side may be healed once, and what was healed may be looked at; more would be going in circles."""
_VERIFY_S = 0.5
"""How long the state of a crashed store is read before it serves: a large one is read on by the scrub."""
_TRUTH, _STATE = ("journal/", "base/"), ("state/",)
OpenState = Callable[[Path, Replay], State]


@dataclass(slots=True)
class Look:
    """One look at both sides: each is open and sound, or it says what is wrong with it."""

    truth: Truth | None = None
    state: State | None = None
    truth_damage: str | None = None
    state_damage: str | None = None
    replayed: int = 0
    rest: list[Entry] = field(default_factory=list)
    """The commits of a damaged truth that the state does not have yet."""
    end: Position | None = None
    """Where the state would end with them."""

    def close(self) -> None:
        """Close what is open."""
        for side in (self.state, self.truth):
            if side is not None:
                side.close()
        self.truth = self.state = None


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the table: whether it is what a look found, and what is done then."""

    name: str
    done: str
    fits: Callable[[Look], bool]
    heal: Callable[[Opening, Look], None]


class Opening:
    """The opening of one directory, which nobody else has open. `recovered` comes first, then `sealed_off`."""

    def __init__(self, directory: Directory, config: StoreConfig, open_state: OpenState, now: float) -> None:
        self._directory = directory
        self._root = directory.path
        self._config = config
        self._open_state = open_state
        self._now = now
        self._aside = Aside(directory.path)
        self._seal: Seal | None = None
        self._suspects: frozenset[str] | None = None
        self._healed = False
        self.stamps: dict[str, Stamp] = {}
        """What is known of files that were as they should be."""

    def recovered(self) -> tuple[Truth, State, int]:
        """Return both sides, open and in step, and how many commits the state lacked.

        Raises `StoreDamaged` if that cannot be, `StorageFull`, `OSError`.
        """
        self._finish_what_was_interrupted()
        self._read_seal()
        for _ in range(_LOOKS_MAX):
            look = self._look()
            try:
                if look.truth is not None and look.state is not None and look.state_damage is None:
                    self._conclude()
                    return look.truth, look.state, look.replayed
                case = next(case for case in CASES if case.fits(look))
                case.heal(self, look)
            except BaseException:
                look.close()
                raise
            self._healed = True
            self._report(case.name, look.truth_damage or look.state_damage or "", case.done)
        raise StoreDamaged(f"{self._root} does not get well: {look.truth_damage or look.state_damage}")

    # -- before and after

    def _finish_what_was_interrupted(self) -> None:
        if healing.finish(self._root, self._aside.keep):
            self._report("healing interrupted", "base and journal were being replaced", "finished")
        rebuilding.settle(self._directory.state, self._aside.keep)

    def _read_seal(self) -> None:
        self._seal = seal.read(self._root)
        if self._seal is not None:
            found = seal.stamps(self._root)
            self._suspects = seal.differing(self._seal, found)
            self.stamps = {name: stamp for name, stamp in found.items() if name not in self._suspects}
        elif (self._root / seal.NAME).exists():
            self._report("seal damaged", f"{seal.NAME} does not read", "base, journal and state were read instead")
        if not self._suspects and self._seal is not None:
            seal.remove(self._root)

    def _conclude(self) -> None:
        identity = self._directory.identity
        if identity.lost is not None:
            identity.mend(self._root)
            self._report("identity damaged", identity.lost, "taken from the other files")
        seal.remove(self._root)

    def _report(self, case: str, found: str, done: str) -> None:
        self._aside.report(Recovery(self._now, case, found, done))

    # -- looking

    def _is_suspect(self, side: tuple[str, ...]) -> bool:
        """Whether a file of a side is not as the seal says, or was healed."""
        return self._healed or any(name.startswith(side) for name in self._suspects or ())

    def _look(self) -> Look:
        look = Look()
        try:
            self._look_at_truth(look)
            if look.truth is None:
                self._note_that_the_state_is_opened()
            self._look_at_state(look)
        except BaseException:
            look.close()
            raise
        return look

    def _is_state_harmed(self) -> bool:
        """Whether the state's files were not as they were sealed, before anybody opened them."""
        opened = self._seal is not None and self._seal.state_opened
        return not opened and any(name.startswith(_STATE) for name in self._suspects or ())

    def _note_that_the_state_is_opened(self) -> None:
        """Leave word that it was as it should be before that, if it was."""
        if self._seal is not None and not self._seal.state_opened and not self._is_state_harmed():
            self._seal = self._seal._replace(state_opened=True)
            seal.put(self._root, self._seal)

    def _look_at_truth(self, look: Look) -> None:
        directory = self._directory
        try:
            truth = Truth.open(directory.base, directory.journal, directory.store_id, self._config.segment_bytes)
        except NewerFormat:
            raise
        except (StoreDamaged, FileNotFoundError) as damage:
            look.truth_damage = _what(damage)
            return
        try:
            if self._seal is None or self._is_suspect(_TRUTH):
                truth.verify()
            self._require_sealed_end(truth)
        except StoreDamaged as damage:
            truth.close()
            look.truth_damage = damage.what
        except BaseException:
            truth.close()
            raise
        else:
            look.truth = truth

    def _require_sealed_end(self, truth: Truth) -> None:
        if self._seal is None:
            return
        sealed, end = self._seal.position, truth.journal.position
        truth.require_end(sealed.seq, "the store was closed with {} commits")
        if end.seq == sealed.seq and end.chain != sealed.chain:
            raise StoreDamaged(f"the store was closed with another commit {end.seq} than that at {truth.journal.end}")

    def _look_at_state(self, look: Look) -> None:
        def replay(from_seq: int) -> Iterator[Entry]:
            return iter(look.rest) if look.truth is None else look.truth.since(from_seq)

        try:
            state = self._open_state(self._directory.state, replay)
        except StoreDamaged as damage:
            look.state_damage = damage.what
            return
        look.state = state
        try:
            self._hold_against(look, state)
        except StoreDamaged as damage:
            cannot = "" if look.truth_damage is None else "the state cannot make up for it: "
            look.state_damage = f"{cannot}{damage.what}"

    def _hold_against(self, look: Look, state: State) -> None:
        """Compare a state with the truth, or find out whether it can take the truth's place. Raises `StoreDamaged`."""
        if look.truth is not None:
            try:
                look.truth.require_end(state.applied_seq, "the state holds {} commits")
            except StoreDamaged as damage:
                look.truth_damage = damage.what
                look.truth.close()
                look.truth = None
        if look.truth is None:
            self._find_end(look, state)
            return
        self._require_same_history(look, look.truth, state)
        if not look.truth.can_bring_forward(state.applied_seq):
            raise StoreDamaged(f"the state holds {state.applied_seq} commits, what follows is not kept one by one")
        if self._seal is None:
            state.verify(monotonic() + _VERIFY_S)
        look.truth.journal.cut_tail()
        look.replayed = state.catch_up(look.truth.journal.position)
        if self._is_suspect(_STATE):
            for problem in look.truth.compare(state):
                raise StoreDamaged(f"the state is not what base and journal lead to: {problem.key} {problem.detail}")

    def _require_same_history(self, look: Look, truth: Truth, state: State) -> None:
        """Raise `StoreDamaged` if the state's commits are others than the journal's, as far as the last one shows."""
        position, end = state.position, truth.journal.position
        if position is not None and position.seq == end.seq and position.chain != end.chain:
            if self._seal is not None and self._seal.position.seq == end.seq:
                raise StoreDamaged("the state holds other commits than the journal")
            look.truth_damage = f"journal and state hold different commits up to {end.seq}"
            raise StoreDamaged("nothing says which of them is right")

    def _find_end(self, look: Look, state: State) -> None:
        """Find out where a state ends whose truth is damaged, and that nothing was committed behind that."""
        position = state.position
        if self._is_state_harmed():
            raise StoreDamaged("the state is not as it was closed either")
        if self._seal is not None and state.applied_seq == self._seal.position.seq:
            look.end = self._seal.position
        elif position is None:
            raise StoreDamaged(f"the state does not say where its {state.applied_seq} commits end")
        else:
            look.rest, look.end = rest_behind(self._directory.journal, self._directory.store_id, position)

    # -- healing

    def rebuild_state(self, look: Look) -> None:
        """Build the state anew from the truth; in the room of the old one if there is hardly any other."""
        truth = look.truth
        if truth is None or self._directory.identity.lost is not None:
            raise self._refusal(look)
        if look.state is not None:
            look.state.close()
            look.state = None
        needed = 2 * truth.base.stack.parts_bytes + self._config.ballast_bytes
        truth.journal.cut_tail()
        rebuilding.rebuild(
            self._directory.state,
            lambda path: self._open_state(path, truth.since),
            truth.journal.position,
            self._aside.keep,
            in_place=free_bytes(self._root) < needed,
        )
        look.close()

    def rebuild_truth(self, look: Look) -> None:
        """Write base and journal anew from the state."""
        state, end = look.state, look.end
        if state is None or end is None:
            raise self._refusal(look)
        state.catch_up(end)
        part_bytes = max(self._config.segment_bytes, PART_BYTES_MIN)
        try:
            healing.heal(
                self._root, self._directory.store_id, end, state.scan(""), self._config.segment_bytes, part_bytes
            )
        except StoreDamaged as damage:
            look.state_damage = damage.what
            raise self._refusal(look) from damage
        look.close()
        healing.finish(self._root, self._aside.keep)

    def refuse(self, look: Look) -> None:
        """Raise what both sides have to say."""
        raise self._refusal(look)

    def _refusal(self, look: Look) -> StoreDamaged:
        damages = [self._directory.identity.lost, look.truth_damage, look.state_damage]
        what = "; ".join(damage for damage in damages if damage)
        return StoreDamaged(f"{what}; neither side can be healed from the other: {self._restorable()}")

    def _restorable(self) -> str:
        """Say what `restore` could bring back."""
        place = Path(self._config.backup_directory or self._directory.backups)
        names = []
        with suppress(OSError):
            names = sorted(path.name for path in place.glob("[0-9]*.backup"))
        if not names:
            return f"there is no backup in {place}, restore one that is kept elsewhere, or what still reads here"
        return (
            f"restore the newest backup in {place}, of commit {int(names[-1].partition('-')[0])}, into a new directory"
        )


CASES = (
    Case(
        "both sides damaged",
        "refused",
        lambda look: look.truth_damage is not None and look.state_damage is not None,
        Opening.refuse,
    ),
    Case(
        "base or journal damaged",
        "written anew from the state",
        lambda look: look.truth_damage is not None,
        Opening.rebuild_truth,
    ),
    Case(
        "state damaged",
        "built anew from base and journal",
        lambda look: look.state_damage is not None,
        Opening.rebuild_state,
    ),
)
"""What a look may find wrong, and what is done about it; the first that fits counts."""


def _what(damage: Exception) -> str:
    return damage.what if isinstance(damage, StoreDamaged) else str(damage)
