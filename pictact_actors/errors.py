"""Every error of the store, sorted by what the caller should do next.

`Rejected`        nothing was applied; change the request, or wait and send it again.
`OutcomeUnknown`  it may have been applied; repeat it with the same `request_id`.
`StoreFailed`     nothing goes on until the store is reopened.
"""

from __future__ import annotations

import reprlib


class StoreError(Exception):
    """Base of all errors that the store raises on purpose. They can be pickled, as errors of worker processes are."""

    def __reduce__(self) -> tuple[object, ...]:
        return _revived, (type(self), self.args, self.__dict__)


class Rejected(StoreError):
    """The request was definitely not applied."""


class OutcomeUnknown(StoreError):
    """The request may have been applied: repeat it with the same `request_id` to find out safely."""


class StoreFailed(StoreError):
    """The store refuses writes until it is reopened; `cause` is the first failure."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the store has failed and must be closed and reopened; first cause: {cause}")
        self.cause = cause


class ShardFailed(StoreFailed):
    """One shard could not be kept running and refuses everything until the store is reopened; others go on."""

    def __init__(self, shard: int, cause: str) -> None:
        StoreError.__init__(
            self, f"shard {shard} was restarted too often and stays down until the store is reopened; cause: {cause}"
        )
        self.shard = shard
        self.cause = cause


class StoreDamaged(StoreFailed):
    """The files contradict each other; nothing is guessed and nothing was changed. `what` names the file and place."""

    def __init__(self, what: str) -> None:
        StoreError.__init__(self, f"the data directory is damaged: {what}; keep a copy of it before anything else")
        self.cause = self.what = what


class InvalidKey(Rejected):
    """A key or id breaks the rules of the contract (1-128 bytes of UTF-8, no `:`, no control characters)."""

    def __init__(self, key: object, reason: str) -> None:
        super().__init__(f"invalid key or id {_shown(key)}: {reason}")
        self.key = key
        self.reason = reason


class InvalidValue(Rejected):
    """A field has a value that the contract does not allow."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        super().__init__(f"invalid value for {field}: {_shown(value)} {reason}")
        self.field = field
        self.value = value
        self.reason = reason


class NotFound(Rejected):
    """There is no record under this key (or it has expired)."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{_shown(key)} not found; create it first, or check the spelling")
        self.key = key


class EntriesGone(Rejected):
    """Commits were asked for that the journal does not keep one by one any more; begin at `first_seq`, or later."""

    def __init__(self, from_seq: int, first_seq: int) -> None:
        super().__init__(
            f"the journal does not keep commit {from_seq} any more, only what it led to: begin at {first_seq}"
        )
        self.from_seq = from_seq
        self.first_seq = first_seq


class AlreadyExists(Rejected):
    """A record with this key exists; creating never overwrites."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{_shown(key)} exists already; update it instead of creating it")
        self.key = key


class MatchClosed(Rejected):
    """The match is completed or cancelled and takes no more commands."""

    def __init__(self, post_id: str, status: str) -> None:
        super().__init__(f"match {_shown(post_id)} is {status} and takes no more commands")
        self.post_id = post_id
        self.status = status


class Overloaded(Rejected):
    """The shard's messages in flight are at their maximum; wait and send again.

    `depth` is how many there are, `age_s` for how long the oldest of them has been there, in seconds.
    """

    def __init__(self, shard: int, depth: int, age_s: float) -> None:
        super().__init__(
            f"shard {shard} has {depth} messages in flight, the oldest for {age_s:.3f} s; not applied: slow down"
        )
        self.shard = shard
        self.depth = depth
        self.age_s = age_s


class DeadlockAborted(Rejected):
    """The transaction was the victim that broke a deadlock; run it again."""

    def __init__(self, cycle: str) -> None:
        super().__init__(f"aborted to break a deadlock, run the transaction again: {cycle}")
        self.cycle = cycle


class ConflictAborted(Rejected):
    """Another write came between reading and committing; run the transaction again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"aborted by a conflict, run it again: {reason}")
        self.reason = reason


class ShardRestarted(Rejected):
    """The shard's actor was replaced before the request was decided; send it again."""

    def __init__(self, shard: int, cause: str) -> None:
        super().__init__(f"shard {shard} could not decide the request ({cause}); nothing was applied: send it again")
        self.shard = shard
        self.cause = cause


class Quarantined(Rejected):
    """The message killed its shard's actor twice and is not tried again; `message` is what it was.

    It is kept for inspection (`Store.quarantine`); find out what is wrong with it before you send it again.
    """

    def __init__(self, message: object, cause: str) -> None:
        super().__init__(f"{_shown(message)} stopped its shard twice ({cause}) and is quarantined: nothing was applied")
        self.message = message
        self.cause = cause


class StorageFull(Rejected):
    """There is no room for the write: the disk is full, or `StoreConfig.storage_bytes_max` is reached (`cause`).

    Reads, deletes and cleanup go on, and writes resume by themselves when there is room again.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"no room to store the write ({cause}); nothing was applied: make room or raise the limit and send it again"
        )
        self.cause = cause


class StoreClosed(Rejected):
    """The store is closed (or belongs to the parent of a fork); open it again."""

    def __init__(self, reason: str = "the store is closed; open it again") -> None:
        super().__init__(reason)


class StoreLocked(Rejected):
    """Another open store holds the directory; one directory has one store at a time."""

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(f"{path} is open already, held by {holder}; close that store first")
        self.path = path
        self.holder = holder


class NotAStore(Rejected):
    """The path cannot be opened as a store, and nothing was changed there."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is not a store: {reason}")
        self.path = path
        self.reason = reason


class BackupInvalid(Rejected):
    """A backup, or what was named as one, cannot be used, and nothing was changed; `reason` says what is wrong.

    For restoring, try another backup; the data directory itself can be restored from too.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} cannot be used for backup and restore: {reason}")
        self.path = path
        self.reason = reason


class RequestTimeout(OutcomeUnknown):
    """No answer in time. `timeout_s` is what was waited, in seconds."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"no answer within {timeout_s:g} s; it may still be applied: repeat with the same request_id")
        self.timeout_s = timeout_s


class CommitFailed(OutcomeUnknown):
    """The disk failed while the write was made durable; after reopening it is there or not, never half."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the commit failed, its outcome is unknown until the store is reopened: {cause}")
        self.cause = cause


def _revived(cls: type[StoreError], args: tuple[object, ...], fields: dict[str, object]) -> StoreError:
    """Unpickle an error: its message is made already."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(fields)
    return error


_SHOWN_MAX = 80
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _SHOWN_MAX


def _shown(value: object) -> str:
    """Quote a value for a message: escaped, shortened, and never raising whatever its class does."""
    try:
        text = _REPR.repr(value).encode("ascii", "backslashreplace").decode()
    except Exception:  # noqa: BLE001 - a hostile __repr__ must not replace the error being reported
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "..."
