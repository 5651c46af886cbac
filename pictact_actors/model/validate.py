"""Checks of single values; each returns what it was given or raises `InvalidKey` / `InvalidValue`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from pictact_actors.errors import InvalidKey, InvalidValue

ID_BYTES_MAX = 128
TEXT_BYTES_MAX = 64 * 1024
NUMBER_MAX = 2**53
"""Largest magnitude of points and counters: what int and float both hold exactly."""
ROUND_INDEX_MAX = 999_999
TEXTS_MAX = 1024
"""Most entries of a list of texts (reference images, trophies)."""
PLAIN_BYTES_MAX = 4 * 1024 * 1024
"""Most text in one list or one map: what is encoded in one go while the interpreter does nothing else."""
NESTING_MAX = 32
"""Deepest nesting of fields that a newer version wrote and we keep."""

_PLAIN_ITEM_BYTES = 16
"""What each entry of a list or map counts beside its text: shared entries are cheap to hold but not to walk."""

Number = int | float


def check_id(value: object) -> str:
    """Return `value` if it can be a post, user, trophy or request id."""
    return _check_id_text(value) if value.__class__ is str else _refuse_id(value)


def _refuse_id(value: object) -> str:
    raise InvalidKey(value, "ids are text")


@lru_cache(maxsize=65_536)
def _check_id_text(value: str) -> str:
    size = len(_encoded(value))
    if not 1 <= size <= ID_BYTES_MAX:
        raise InvalidKey(value, f"ids have 1 to {ID_BYTES_MAX} bytes, this one {size}")
    if ":" in value:
        raise InvalidKey(value, "ids have no ':', it separates the parts of a key")
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in value):
        raise InvalidKey(value, "ids have no control characters")
    return value


def _encoded(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidKey(value, "ids are valid Unicode, without lone surrogates") from None


def check_index(value: object) -> int:
    """Return `value` if it can be the index of a round."""
    if type(value) is not int or not 0 <= value <= ROUND_INDEX_MAX:
        raise InvalidKey(value, f"a round's index is a whole number from 0 to {ROUND_INDEX_MAX}")
    return value


def check_text(field: str, value: object) -> str:
    """Return `value` if it is text of at most 64 KiB."""
    if not isinstance(value, str):
        raise InvalidValue(field, value, "must be text")
    _text_bytes(field, value)
    return value


def _text_bytes(field: str, value: str) -> int:
    try:
        size = len(value) if len(value) > TEXT_BYTES_MAX or value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise InvalidValue(field, value, "must be valid Unicode, without lone surrogates") from None
    if size > TEXT_BYTES_MAX:
        raise InvalidValue(field, value, f"is longer than {TEXT_BYTES_MAX} bytes")
    return size


def check_number(field: str, value: object) -> Number:
    """Return `value` if it is an int or a finite float of at most 2**53 in magnitude."""
    kind = type(value)
    if kind is int or kind is float:
        if -NUMBER_MAX <= value <= NUMBER_MAX:  # type: ignore[operator]  # kind says it is a number; False for NaN
            return value  # type: ignore[return-value]
        reason = "must be finite" if kind is float and not math.isfinite(value) else "must be within 2**53"  # type: ignore[arg-type]
        raise InvalidValue(field, value, reason)
    raise InvalidValue(field, value, "must be an int or a float")


def check_count(field: str, value: object) -> int:
    """Return `value` if it is an int from 0 to 2**53."""
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise InvalidValue(field, value, "must be a whole number from 0 to 2**53")
    return value


def check_page(prefix: object, limit: object, after: object) -> None:
    """Check what a scan is asked for: a prefix, at most `limit` records, behind the key `after`."""
    check_text("prefix", prefix)
    if after is not None:
        check_text("after", after)
    if limit is not None:
        check_count("limit", limit)


def check_int(field: str, value: object) -> int:
    """Return `value` if it is an int of at most 2**53 in magnitude."""
    if type(value) is not int or not -NUMBER_MAX <= value <= NUMBER_MAX:
        raise InvalidValue(field, value, "must be a whole number within 2**53")
    return value


def check_time(field: str, value: object) -> Number:
    """Return `value` if it is a time in epoch seconds."""
    number = check_number(field, value)
    if number < 0:
        raise InvalidValue(field, value, "must be epoch seconds, not negative")
    return number


def check_bool(field: str, value: object) -> bool:
    """Return `value` if it is a bool."""
    if not isinstance(value, bool):
        raise InvalidValue(field, value, "must be true or false")
    return value


def check_choice(field: str, value: object, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidValue(field, value, f"must be one of {', '.join(choices)}")
    return value


def check_texts(field: str, value: object) -> tuple[str, ...]:
    """Return the texts of a list or tuple."""
    if not isinstance(value, list | tuple) or len(value) > TEXTS_MAX:
        raise InvalidValue(field, value, f"must be a list of at most {TEXTS_MAX} texts")
    found = tuple(check_text(field, text) for text in value)
    if sum(len(text.encode()) for text in found) > PLAIN_BYTES_MAX:
        raise InvalidValue(field, value, f"holds more than {PLAIN_BYTES_MAX} bytes of text")
    return found


def check_ids(field: str, value: object) -> tuple[str, ...]:
    """Return the ids of a list or tuple (trophies)."""
    if not isinstance(value, list | tuple) or len(value) > TEXTS_MAX:
        raise InvalidValue(field, value, f"must be a list of at most {TEXTS_MAX} ids")
    return tuple(check_id(text) for text in value)


def check_plain(field: str, value: object) -> object:
    """Return `value` if it is plain data (null, bool, number, text, list, map with text keys), neither deep nor huge.

    Walks with a stack of its own: an encoder that recurses would crash on what this refuses.
    """
    pending: list[tuple[object, int]] = [(value, 0)]
    room = PLAIN_BYTES_MAX
    while pending:
        item, depth = pending.pop()
        if depth > NESTING_MAX:
            raise InvalidValue(field, type(value).__name__, f"is nested deeper than {NESTING_MAX} levels")
        room -= _plain_bytes(field, item)
        if room < 0:
            raise InvalidValue(field, type(value).__name__, f"holds more than {PLAIN_BYTES_MAX} bytes")
        pending.extend((part, depth + 1) for part in _parts(item))
    return value


def _plain_bytes(field: str, item: object) -> int:
    """Check one value by itself and return what it counts, without its parts."""
    if isinstance(item, str):
        return _text_bytes(field, item)
    if isinstance(item, Mapping):
        return sum(len(check_text(field, key).encode()) + _PLAIN_ITEM_BYTES for key in item)
    if isinstance(item, list | tuple):
        return _PLAIN_ITEM_BYTES * len(item)
    if isinstance(item, int | float) and not isinstance(item, bool):
        check_number(field, item)
    elif item is not None and not isinstance(item, bool):
        raise InvalidValue(field, item, "must be plain data: null, bool, number, text, list or map")
    return 0


def _parts(item: object) -> Iterable[object]:
    if isinstance(item, Mapping):
        return item.values()
    return item if isinstance(item, list | tuple) else ()
