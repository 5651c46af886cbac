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
from pictact_actors.runtime.transaction import Lock

if TYPE_CHECKING:
    from pictact_actors.runtime.incarnation import Incarnation
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.reply import Call

Launch = Callable[["ShardLink"], None]


class Fence:
    """Puts an actor in the place of another one, which is fenced already. `refusals`: calls not to be tried again."""

    def __init__(
        self,
        old: Incarnation,
        launch: Launch,
        cause: str,
        refusals: Mapping[Call, Exception],
    ) -> None:
        self._old = old
        self._link = old.link
        self._launch = launch
        self._cause = cause
        self._refusals = refusals
        self.failed = False
        self.done = False

    def take_effect(self) -> None:
        """Replace it, in the committer's thread. Raises what keeps the new one from beginning; try it again then."""
        link = self._link
        link.epoch += 1
        link.published = 0
        link.hush()
        before = link.mailbox
        try:
            self._launch(link)
        except BaseException:
            link.actor = self._old
            self.failed = True
            raise
        self.done = True
        turned = self._turned_back()
        elsewhere = {crossing.call for crossing in tuple(self._old.workplace.crossings) if not crossing.over}
        found = dict.fromkeys([*self._old.take_over(), *(call for call, home in turned.items() if home is link)])
        link.post_again([call for call in found if call not in elsewhere and not self._refuses(call, link)])
        for call, home in turned.items():
            if home is not link and not self._refuses(call, home):
                home.post_again([call])
        before.stop()

    def _turned_back(self) -> dict[Call, ShardLink]:
        """End the crossings that have been to the old one; return their commands and homes, for them to begin anew."""
        turned: dict[Call, ShardLink] = {}
        for crossing in tuple(self._old.workplace.crossings):
            if self._link in crossing.visited:
                crossing.release()
                turned[crossing.call] = crossing.home
        return turned

    def _refuses(self, call: Call, home: ShardLink) -> bool:
        """Answer what cannot be served by the new one: a transaction may have lost its locks. Say whether it did."""
        if call.done():
            return True
        error = self._refusals.get(call)
        if error is None and isinstance(call.command, Lock):
            error = ShardRestarted(self._link.index, self._cause)
        if error is None:
            return False
        home.gate.leave(1)
        answer_all([rejected(call, error)])
        return True
