"""How a record is stored: one CBOR map with text keys, plain data only, no tags.

    value = { "v": schema version, camelCase field: plain data, … }      (what the key says is not repeated)

The only importer of cbor2. Depth and size are checked before encoding (cbor2 crashes on deep input), and what is
decoded is checked against the record before anyone sees it. Fields that this version does not know are kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

import cbor2

from pictact_actors.errors import InvalidKey, InvalidValue, StoreDamaged
from pictact_actors.model import keys, validate
from pictact_actors.model.records import EMPTY, RECORDS, STATUSES, Record, Texts, camel

SCHEMA_VERSION = 1

_dumps = cbor2.dumps
Check = Callable[[str, object], object]

_DEPTH_MAX = validate.NESTING_MAX + 8
_PAIR_HEAD = b"\x82"
_ARRAY, _MAP = 4 << 5, 5 << 5
MAP_PIECE = 8_192
"""Entries of a map that are encoded at once: a few milliseconds."""
_END = secrets.token_bytes(16)
_END_ITEM = cbor2.dumps(_END)


def dumps(value: object) -> bytes:
    """Encode plain data that has been checked."""
    return cbor2.dumps(value)


def dumps_in_pieces(value: object) -> bytes:
    """Encode the same in the same way, large maps piece by piece: in between other threads have their turn."""
    return b"".join(_pieces(value))


def _pieces(value: object) -> Iterator[bytes]:
    if isinstance(value, list):
        yield _head(_ARRAY, len(value))
        for item in value:
            yield from _pieces(item)
    elif isinstance(value, Mapping) and len(value) > MAP_PIECE:
        yield _head(_MAP, len(value))
        pairs = iter(value.items())
        while piece := dict(islice(pairs, MAP_PIECE)):
            yield cbor2.dumps(piece)[len(_head(_MAP, len(piece))) :]
    else:
        yield cbor2.dumps(value)


def _head(kind: int, length: int) -> bytes:
    """Return how CBOR begins an array or a map of so many."""
    for below, mark, width in ((24, 0, 0), (1 << 8, 24, 1), (1 << 16, 25, 2), (1 << 32, 26, 4)):
        if length < below:
            return bytes([kind | (mark or length)]) + (length.to_bytes(width, "big") if width else b"")
    raise ValueError(f"nobody has {length} of anything")


def loads(data: bytes) -> Any:
    """Decode plain data strictly. Raises `ValueError` for anything else: tags, duplicate keys, trailing bytes.

    cbor2 does not tell where it stopped reading, so the data is read as the first half of a pair whose second half
    nobody can have written: whatever is too short or too long moves it.
    """
    try:
        value, end = cbor2.loads(
            b"".join((_PAIR_HEAD, data, _END_ITEM)),
            max_depth=_DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            strict_hashable_types=True,
            semantic_decoders=_NO_TAGS,
        )
    except cbor2.CBORError as error:
        raise ValueError(f"not CBOR that we write: {error}") from error
    if end != _END:
        raise ValueError("not CBOR that we write: it does not end where its data ends")
    return value


def _refuse_tag(*_args: object) -> object:
    raise ValueError("a CBOR tag, we never write one")


class _NoTags(dict[int, Callable[..., object]]):
    """Refuses every tag before its content is read: cbor2 would make dates, regular expressions or cyclic lists."""

    def __missing__(self, _tag: int) -> Callable[..., object]:
        return _refuse_tag


_NO_TAGS = _NoTags()


def _optional(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def _status(name: str, value: object) -> object:
    return validate.check_choice(name, value, STATUSES)


def _texts(name: str, value: object) -> Texts:
    return Texts(validate.check_texts(name, value))


def _trophies(name: str, value: object) -> Texts:
    return Texts(validate.check_ids(name, value))


def _user(_name: str, value: object) -> object:
    return validate.check_id(value)


def _map(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidValue(name, value, "must be a map")
    validate.check_plain(name, value)
    return MappingProxyType(_bare_map(value))


def _samples(name: str, value: object) -> Mapping[str, object]:
    counts = _map(name, value)
    for metric, count in counts.items():
        validate.check_count(f"{name}.{metric}", count)
    return counts


def _answered(name: str, value: object) -> Mapping[str, object]:
    """Check what a request was answered: nothing, or the key and the fields of a record, by that record's rules."""
    if not isinstance(value, Mapping):
        raise InvalidValue(name, value, "must be a map")
    if not value:
        return EMPTY
    key, shown = value.get("key"), value.get("record")
    if keys.parse(key).kind == keys.REQUEST:
        raise InvalidKey(key, "a request is not answered by a request")
    if not isinstance(shown, Mapping):
        raise InvalidValue(f"{name}.record", shown, "must be the fields of a record")
    from_dict(str(key), shown)
    rest = _map(name, {part: value[part] for part in value if part != "record"})
    return MappingProxyType({**rest, "record": _bare_map(shown)})


_TIME: Check = validate.check_time
_CHECKS: Mapping[str, Check] = {
    "status": _status,
    "subreddit": validate.check_text,
    "rounds_total": validate.check_count,
    "current_round": validate.check_count,
    "theme": validate.check_text,
    "created_by": validate.check_text,
    "completed_at": _TIME,
    "expires_at": _optional(_TIME),
    "prompt_text": validate.check_text,
    "reference_images": _texts,
    "start_ts": _TIME,
    "end_ts": _TIME,
    "winner_user": _optional(_user),
    "winner_comment_id": _optional(validate.check_text),
    "closed": validate.check_bool,
    "points": validate.check_number,
    "wins": validate.check_int,
    "rank": validate.check_count,
    "reached_at": _TIME,
    "total_wins": validate.check_int,
    "matches_played": validate.check_count,
    "total_points": validate.check_number,
    "trophies": _trophies,
    "invalid_rate": _optional(validate.check_number),
    "avg_solve_time": _optional(validate.check_number),
    "mod_responsiveness": _optional(validate.check_number),
    "participation_rate": _optional(validate.check_number),
    "samples": _samples,
    "observations": validate.check_count,
    "reason": validate.check_text,
    "due_at": _TIME,
    "archive": validate.check_text,
    "removed": _samples,
    "done": validate.check_bool,
    "digest": validate.check_text,
    "answer": _answered,
    "created_at": _TIME,
    "updated_at": _TIME,
}
_CONTAINERS = frozenset({"reference_images", "trophies", "samples", "removed", "answer"})


class _Layout(NamedTuple):
    """What is stored of one record class, prepared once."""

    cls: type[Record]
    known: frozenset[str]
    stored: Callable[[Any], dict[str, object]]
    checks: tuple[tuple[str, str, Check], ...]
    whole: Callable[..., Record]
    containers: tuple[str, ...]


def _layout(cls: type[Record]) -> _Layout:
    attributes = tuple(f.name for f in fields(cls) if f.name not in (*cls.IDS, "unknown"))
    checks = tuple((name, camel(name), _check_of(cls, name)) for name in attributes)
    containers = tuple(camel(name) for name in attributes if name in _CONTAINERS)
    known = frozenset((*map(camel, attributes), "v"))
    return _Layout(cls, known, _to_map(attributes), checks, _from_map(cls, checks), containers)


def _to_map(attributes: tuple[str, ...]) -> Callable[[Any], dict[str, object]]:
    """Return a function from a record to its map; a display written out takes a third of the time of a loop."""
    items = ", ".join(f"{camel(name)!r}: record.{name}" for name in attributes)
    function: Callable[[Any], dict[str, object]] = eval(f"lambda record: {{{items}, 'v': {SCHEMA_VERSION}}}")  # noqa: S307 - built from the names of fields
    return function


_PLAIN: Mapping[Check, tuple[str, ...]] = {
    validate.check_time: ("float", "int"),
    validate.check_number: ("int", "float"),
    validate.check_int: ("int",),
    validate.check_count: ("int",),
}
"""Checks that any number of these types passes that is not negative or too large."""


def _from_map(cls: type[Record], checks: tuple[tuple[str, str, Check], ...]) -> Callable[..., Record]:
    """Return a function from ids and a stored map to a record; raises `KeyError` if the map lacks a field.

    Written out too: with the test of plain numbers in place it takes a third of the time of a loop over checks.
    """
    names: dict[str, object] = {"cls": cls, "most": validate.NUMBER_MAX}
    arguments: list[str] = []
    for number, (attribute, name, check) in enumerate(checks):
        names[f"check_{number}"] = check
        made = f"check_{number}({name!r}, stored[{name!r}])"
        if check in _PLAIN:
            first, *others = (f"value.__class__ is {kind}" for kind in _PLAIN[check])
            plain = " or ".join((first.replace("value", f"(value := stored[{name!r}])", 1), *others))
            made = f"value if ({plain}) and 0 <= value <= most else {made}"
        arguments.append(f"{attribute}={made}")
    made = f"cls(*ids, {', '.join(arguments)}) if stored['v'].__class__ is int and stored['v'] > 0 else stored['no v']"
    function: Callable[..., Record] = eval(f"lambda ids, stored: {made}", names)  # noqa: S307 - as above
    return function


def _check_of(cls: type[Record], name: str) -> Check:
    if cls.KIND == keys.MATCH and name == "completed_at":
        return _optional(_TIME)
    return _CHECKS[name]


_LAYOUTS = {kind: _layout(cls) for kind, cls in RECORDS.items()}
_LAYOUT_OF = {layout.cls: layout for layout in _LAYOUTS.values()}


def encode(record: Record) -> bytes:
    """Encode a record that is known to be valid (decided by a rule, or passed through `checked`)."""
    layout = _LAYOUT_OF[record.__class__]
    stored = layout.stored(record)
    if layout.containers or record.unknown:
        stored = {**_bare_map(record.unknown or EMPTY), **_bare_map(stored)}
    return _dumps(stored)


def decode(key: str, value: bytes) -> Record:
    """Decode and check a stored record. Raises `StoreDamaged` if it cannot be what we wrote."""
    try:
        kind, ids = keys.split(key)
        layout, stored = _LAYOUTS[kind], loads(value)
        if len(stored) == len(layout.known):
            try:
                return layout.whole(ids, stored)
            except KeyError:  # something is missing, and as much is unknown
                pass
        return _built(layout, ids, _versioned(stored))
    except (InvalidKey, InvalidValue, ValueError, TypeError, KeyError) as error:
        raise StoreDamaged(f"the record {key!a} does not decode: {error}") from error


def checked(key: str, record: object) -> Record:
    """Return a record given by a user, checked field by field against its class and its key.

    Raises `InvalidKey` if the key is not this record's, `InvalidValue` for a field out of its range.
    """
    kind, ids, _ = keys.parse(key)
    if not isinstance(record, Record) or type(record) not in _LAYOUT_OF:
        raise InvalidValue(key, type(record).__name__, "must be a record (Match, Round, Score, …)")
    if kind != record.KIND or record.key != key:
        raise InvalidKey(key, f"the record belongs under {record.key!a}")
    layout = _LAYOUT_OF[type(record)]
    stored = layout.stored(record)
    del stored["v"]
    return _built(layout, ids, {**_map("unknown", record.unknown or EMPTY), **stored})


def checked_public(key: str, record: object) -> Record:
    """Return a record that users may write under its key; internal records are not among them."""
    if isinstance(key, str) and not keys.is_public(key):
        raise InvalidKey(key, "is internal to the store")
    return checked(key, record)


def from_dict(key: str, shown: Mapping[str, object]) -> Record:
    """Build a record from what its `to_dict` gave (ids may be there or not). Raises `InvalidKey`, `InvalidValue`."""
    kind, ids, _ = keys.parse(key)
    layout = _LAYOUTS[kind]
    ids_of = {camel(name): part for name, part in zip(layout.cls.IDS, ids, strict=True)}
    for name, part in ids_of.items():
        if shown.get(name, part) != part:
            raise InvalidValue(name, shown[name], f"contradicts the key {key}")
    return _built(layout, ids, {name: value for name, value in shown.items() if name not in ids_of})


def _versioned(stored: object) -> dict[str, object]:
    if not isinstance(stored, dict):
        raise InvalidValue("record", stored, "must be a map")
    version = stored.pop("v", None)
    if type(version) is not int or version < 1:
        raise InvalidValue("v", version, "must be a schema version")
    return stored


def _built(layout: _Layout, ids: tuple[str | int, ...], stored: Mapping[str, object]) -> Record:
    known = {attr: check(name, stored[name]) for attr, name, check in layout.checks if name in stored}
    rest = {name: stored[name] for name in stored if name not in layout.known} if len(known) < len(stored) else None
    return layout.cls(*ids, **known, unknown=_map("unknown", rest) if rest else None)  # type: ignore[call-arg]  # a dataclass


def _bare(value: object) -> object:
    """Thaw: only dicts and lists go to the encoder."""
    if isinstance(value, Mapping):
        return _bare_map(value)
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return value


def _bare_map(value: Mapping[str, object]) -> dict[str, object]:
    return {name: _bare(item) for name, item in value.items()}
