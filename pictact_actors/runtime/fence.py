"""The end of a shard's actor and the beginning of the next one, as one moment in the order of commits.

What the old one had handed over before is committed and answered by now; from now on the committer refuses all that
relies on the old epoch. The new one begins with what is committed, and with the messages that the old one had and did
not decide, in their order: so nothing is lost, and nothing is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pictact_actors.errors import ShardRestarted
from pictact_actors.runtime.reply import answer_all
from pictact_actors.runtime.staging import rejected

if TYPE_CHECKING:
    from pictact_actors.runtime.crossing import Crossing
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call
    from pictact_actors.runtime.shard import ShardActor
    from pictact_actors.runtime.transactions import Transactions

Launch = Callable[["ShardLink"], None]


class Fence:
    """Puts an actor in the place of another one, which is fenced already. `refusals`: calls not to be tried again."""

    def __init__(
        self,
        old: ShardActor,
        launch: Launch,
        transactions: Transactions,
        cause: str,
        refusals: Mapping[Call, Exception],
    ) -> None:
        self._old = old
        self._link = old.link
        self._launch = launch
        self._transactions = transactions
        self._cause = cause
        self._refusals = refusals

    def take_effect(self) -> None:
        """Replace it, in the committer's thread."""
        link = self._link
        link.epoch += 1
        link.published = 0
        before = link.mailbox
        self._launch(link)
        under_way = {crossing.call: crossing for crossing in tuple(self._old.workplace.crossings)}
        self._refuse(under_way)
        again = [call for call in self._old.take_over() if call not in under_way]
        for crossing in under_way.values():
            if crossing.at is link:
                self._turn_back(crossing, again)
        link.post_again(again)
        before.stop()

    def _refuse(self, under_way: Mapping[Call, Crossing]) -> None:
        """Answer those who cannot be served by the new one: transactions lost the locks that they had or waited for."""
        lost = ShardRestarted(self._link.index, self._cause)
        for call in self._transactions.asking(self._link):
            self._answer(self._link, call, lost)
        for call, error in self._refusals.items():
            crossing = under_way.get(call)
            self._answer(self._link if crossing is None else crossing.home, call, error)
            if crossing is not None:
                crossing.release()

    def _answer(self, home: ShardLink, call: Call, error: Exception) -> None:
        if not call.done():
            home.gate.leave(1)
            answer_all([rejected(call, error)])

    def _turn_back(self, crossing: Crossing, again: list[Call]) -> None:
        """Let a crossing that the old one had begin anew, from its home."""
        crossing.release()
        self._old.workplace.waits.end(crossing)
        if crossing.call.done():
            return
        if crossing.home is self._link:
            again.append(crossing.call)
        else:
            crossing.home.post_again([crossing.call])
