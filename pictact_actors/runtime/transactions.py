"""All transactions that hold locks, and the end of those that hold them for too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pictact_actors import log
from pictact_actors.clock import monotonic
from pictact_actors.errors import ConflictAborted, Overloaded
from pictact_actors.runtime.transaction import Transaction

if TYPE_CHECKING:
    from pictact_actors.runtime.link import ShardLink
    from pictact_actors.runtime.workplace import Workplace


class Cancel:
    """A transaction's end from outside: what the committer got from it before counts, what comes later does not."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def take_effect(self) -> None:
        """End it, if it has not ended."""
        if not self._transaction.over:
            self._transaction.release()


class Transactions:
    """The transactions of a store. Any thread's."""

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self._active: dict[Transaction, None] = {}

    def __len__(self) -> int:
        return len(self._active)

    def begin(self, timeout_s: float) -> Transaction:
        """Return a new transaction, each wait of which takes at most `timeout_s`."""
        return Transaction(self, timeout_s)

    def keep(self, transaction: Transaction, link: ShardLink) -> None:
        """Watch a transaction that is about to lock. Raises `Overloaded` if there are too many."""
        if len(self._active) >= self.workplace.config.transactions_max:
            raise Overloaded(link.index, len(self._active), 0.0)
        self._active[transaction] = None
        if transaction.over:  # rolled back meanwhile, by a task that was cancelled
            self.forget(transaction)

    def forget(self, transaction: Transaction) -> None:
        """Watch it no longer."""
        self._active.pop(transaction, None)

    def cancel(self, transaction: Transaction) -> None:
        """End a transaction in the order of commits."""
        self.workplace.committer.put(Cancel(transaction))

    def expire(self) -> None:
        """End those whose lease ran out."""
        lease_s = self.workplace.config.lease_s
        latest = monotonic() - lease_s
        for transaction in tuple(self._active):
            granted_at = transaction.granted_at
            if granted_at is not None and granted_at < latest and not transaction.is_ending():
                log.warning(log.LEASE_EXPIRED, transaction=transaction.number, groups=transaction.groups_held()[:5])
                transaction.abort(_expired(transaction, lease_s))

    def end_all(self, reason: Exception) -> None:
        """End all of them."""
        for transaction in tuple(self._active):
            transaction.abort(reason)


def _expired(transaction: Transaction, lease_s: float) -> ConflictAborted:
    return ConflictAborted(f"{transaction.title} held its locks for longer than its lease of {lease_s:g} s")
