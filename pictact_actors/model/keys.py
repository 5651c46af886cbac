"""Keys: text exactly as users see them.

    key      = "match:" post | "round:" post ":" index | "score:" post ":" user | "analytics:" post
             | "observation:" post ":" seq
             | "lifetime:" user | "history:" user ":" post
             | "request:" group ":" request-id | "audit:" time ":" reason ":" owner   (internal)
             | "due:" basis ":" time ":" id                                  (internal, an index: `indexes.py`)
             | "top:" total ":" order ":" line                               (internal, an index: `totals.py`)
    group    = "match:" post | "lifetime:" user

A group is what is locked and ordered together: all keys of one post, or all keys of one user. It bears the key of
its first record. Ids have no ':', so keys cannot run into each other.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from pictact_actors.errors import InvalidKey
from pictact_actors.model.validate import NUMBER_MAX, ROUND_INDEX_MAX, check_id, check_index

MATCH, ROUND, SCORE, ANALYTICS = "match", "round", "score", "analytics"
LIFETIME, HISTORY = "lifetime", "history"
OBSERVATION, REQUEST, AUDIT = "observation", "request", "audit"

_PARTS_MAX = 4
_ID_COUNTS = {MATCH: 1, ROUND: 2, SCORE: 2, ANALYTICS: 1, LIFETIME: 1, HISTORY: 2, REQUEST: 3, OBSERVATION: 2, AUDIT: 3}
_NUMBERED = (ROUND, OBSERVATION)
_INTERNAL = ("request:", "audit:", "due:", "top:")
INDEXES = ("due:", "top:")
"""How the keys of indexes begin."""
TOP_PLAYED, TOP_POINTS, TOP_WINS = "top:played:", "top:points:", "top:wins:"
COUNTED = (TOP_PLAYED, TOP_POINTS, TOP_WINS)
"""Prefixes whose keys storage counts, in order: it knows how many there are before any of them."""


class Key(NamedTuple):
    """A key taken apart. `ids` are the parts after the kind, a round's index as int."""

    kind: str
    ids: tuple[str | int, ...]
    group: str


def match_key(post_id: str) -> str:
    """`match:{postId}`, which also names the group of a post."""
    return f"match:{post_id}"


def round_key(post_id: str, index: int) -> str:
    """`round:{postId}:{index}`."""
    return f"round:{post_id}:{index}"


def score_key(post_id: str, user: str) -> str:
    """`score:{postId}:{user}`."""
    return f"score:{post_id}:{user}"


def analytics_key(post_id: str) -> str:
    """`analytics:{postId}`."""
    return f"analytics:{post_id}"


def lifetime_key(user: str) -> str:
    """`lifetime:{user}`, which also names the group of a user."""
    return f"lifetime:{user}"


def history_key(user: str, post_id: str) -> str:
    """`history:{user}:{postId}`."""
    return f"history:{user}:{post_id}"


def observation_key(post_id: str, seq: int) -> str:
    """`observation:{postId}:{seq}`."""
    return f"observation:{post_id}:{seq}"


def audit_key(time: float, reason: str, owner: str) -> str:
    """`audit:{time}:{reason}:{owner}`: what was removed that was due at that time; see `records.Audit`."""
    return f"audit:{time_text(time)}:{reason}:{owner}"


def time_text(time: float) -> str:
    """Return epoch seconds as text that sorts by time."""
    return f"{time:024.6f}"


def request_key(group: str, request_id: str) -> str:
    """`request:{group}:{requestId}`: the answer to a request, kept beside its effect."""
    return f"request:{group}:{request_id}"


def parse(key: object) -> Key:  # noqa: PLR0911 - one form of key a line
    """Take a key apart. Raises `InvalidKey` for anything that cannot be a record's key."""
    if not isinstance(key, str):
        raise InvalidKey(key, "keys are text")
    kind, *parts = key.split(":", _PARTS_MAX)
    match kind, parts:
        case ("match" | "analytics", [post_id]):
            return Key(kind, (check_id(post_id),), f"match:{post_id}")
        case ("score", [post_id, user]):
            return Key(kind, (check_id(post_id), check_id(user)), f"match:{post_id}")
        case ("round", [post_id, digits]):
            return Key(kind, (check_id(post_id), _index(key, digits)), f"match:{post_id}")
        case ("observation", [post_id, digits]):
            return Key(kind, (check_id(post_id), _seq(key, digits)), f"match:{post_id}")
        case ("audit", [time, reason, owner]):
            return Key(kind, (check_id(time), check_id(reason), check_id(owner)), f"match:{owner}")
        case ("lifetime", [user]):
            return Key(kind, (check_id(user),), f"lifetime:{user}")
        case ("history", [user, post_id]):
            return Key(kind, (check_id(user), check_id(post_id)), f"lifetime:{user}")
        case ("request", ["match" | "lifetime" as anchor, owner, request_id]):
            return Key(kind, (anchor, check_id(owner), check_id(request_id)), f"{anchor}:{owner}")
    raise InvalidKey(
        key,
        "keys are match:{postId}, round:{postId}:{index}, score:{postId}:{user}, "
        "analytics:{postId}, observation:{postId}:{seq}, lifetime:{user} or history:{user}:{postId}",
    )


def group_under(prefix: str) -> str | None:
    """Return the one group that every key under a prefix belongs to, or None if there can be several."""
    match prefix.split(":"):
        case ["round" | "score" | "observation", post_id, _]:
            return f"match:{post_id}"
        case ["history", user, _]:
            return f"lifetime:{user}"
    return None


def posts_first(key: str) -> tuple[bool, str]:
    """Return the place of a key among others: posts before users, as everybody locks them."""
    return (key.startswith(("lifetime:", "history:")), key)


def split(key: str) -> tuple[str, tuple[str | int, ...]]:
    """Take a key apart that was checked when it was written. Raises `ValueError` if it cannot have been."""
    kind, *ids = key.split(":")
    if len(ids) != _ID_COUNTS.get(kind):
        raise ValueError("no record has this key")
    return kind, ((ids[0], int(ids[1])) if kind in _NUMBERED else tuple(ids))


def is_public(key: str) -> bool:
    """Whether users see the key (internal records are not part of the contract)."""
    return not key.startswith(_INTERNAL)


def is_uniform(prefix: str) -> bool:
    """Whether all keys under a prefix are of one kind, and so public or indexes as the prefix is."""
    return ":" in prefix


def is_index(key: str) -> bool:
    """Whether the key itself says everything, and no record is under it."""
    return key.startswith(INDEXES)


def require_public(key: object) -> str:
    """Return a key that users may read. Raises `InvalidKey`."""
    parse(key)
    if not isinstance(key, str) or not is_public(key):
        raise InvalidKey(key, "is internal to the store")
    return key


def shard_of(group: str, shards: int) -> int:
    """Return the shard that owns a group: stable over processes and machines."""
    return zlib.crc32(group.encode()) % shards


def _seq(key: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or digits[0] == "0" or len(digits) > len(str(NUMBER_MAX)):
        raise InvalidKey(key, "an observation's number is written as a whole number from 1")
    return int(digits)


def _index(key: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or (digits[0] == "0" and digits != "0"):
        raise InvalidKey(key, "a round's index is written as a whole number without leading zeros")
    if len(digits) > len(str(ROUND_INDEX_MAX)):
        raise InvalidKey(key, f"a round's index is at most {ROUND_INDEX_MAX}")
    return check_index(int(digits))
