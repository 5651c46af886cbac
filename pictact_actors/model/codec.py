"""How a record is stored: one CBOR map with text keys, plain data only, no tags.

    value = { "v": schema version, camelCase field: plain data, … }      (what the key says is not repeated)

The only importer of cbor2. Depth and size are checked before encoding (cbor2 crashes on deep input), and what is
decoded is checked against the record before anyone sees it. Fields that this version does not know are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import cbor2

from pictact_actors.errors import InvalidKey, InvalidValue, StoreDamaged
from pictact_actors.model import keys, validate
from pictact_actors.model.records import EMPTY, RECORDS, STATUSES, Record, Texts, camel

SCHEMA_VERSION = 1

Check = Callable[[str, object], object]


def dumps(value: object) -> bytes:
    """Encode plain data that has been checked."""
    return cbor2.dumps(value)


def loads(data: bytes) -> Any:
    """Decode plain data strictly. Raises `ValueError` for anything else: tags, duplicate keys, trailing bytes."""
    return cbor2.loads(
        data,
        max_depth=validate.NESTING_MAX + 8,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
        tag_hook=_refuse_tag,
    )


def _refuse_tag(*_args: object) -> object:
    raise ValueError("a CBOR tag, we never write one")


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
    return MappingProxyType(dict(value))


def _samples(name: str, value: object) -> Mapping[str, object]:
    counts = _map(name, value)
    for metric, count in counts.items():
        validate.check_count(f"{name}.{metric}", count)
    return counts


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
    "digest": validate.check_text,
    "answer": _map,
    "created_at": _TIME,
    "updated_at": _TIME,
}
_CONTAINERS = frozenset({"reference_images", "trophies", "samples", "answer"})


class _Layout(NamedTuple):
    """What is stored of one record class, prepared once."""

    cls: type[Record]
    attributes: tuple[str, ...]
    names: tuple[str, ...]
    known: frozenset[str]
    values: Callable[[Any], tuple[object, ...]]
    checks: tuple[tuple[str, str, Check], ...]
    containers: tuple[str, ...]


def _layout(cls: type[Record]) -> _Layout:
    attributes = tuple(f.name for f in fields(cls) if f.name not in (*cls.IDS, "unknown"))  # type: ignore[arg-type]  # every record is a dataclass
    checks = tuple((name, camel(name), _check_of(cls, name)) for name in attributes)
    names = tuple(map(camel, attributes))
    containers = tuple(camel(name) for name in attributes if name in _CONTAINERS)
    return _Layout(cls, attributes, names, frozenset((*names, "v")), attrgetter(*attributes), checks, containers)


def _check_of(cls: type[Record], name: str) -> Check:
    if cls.KIND == keys.MATCH and name == "completed_at":
        return _optional(_TIME)
    return _CHECKS[name]


_LAYOUTS = {kind: _layout(cls) for kind, cls in RECORDS.items()}
_LAYOUT_OF = {layout.cls: layout for layout in _LAYOUTS.values()}


def encode(record: Record) -> bytes:
    """Encode a record that is known to be valid (decided by a rule, or passed through `checked`)."""
    layout = _LAYOUT_OF[type(record)]
    stored: dict[str, object] = dict(zip(layout.names, layout.values(record), strict=True))
    stored["v"] = SCHEMA_VERSION
    for name in layout.containers:
        stored[name] = _bare(stored[name])
    unknown = record.unknown  # type: ignore[attr-defined]  # every record has it
    return cbor2.dumps({**_bare_map(unknown), **stored} if unknown else stored)


def decode(key: str, value: bytes) -> Record:
    """Decode and check a stored record. Raises `StoreDamaged` if it cannot be what we wrote."""
    try:
        stored = loads(value)
        kind, ids, _ = keys.parse(key)
        return _built(_LAYOUTS[kind], ids, _versioned(stored))
    except (InvalidKey, InvalidValue, ValueError, TypeError, KeyError, cbor2.CBORDecodeError) as error:
        raise StoreDamaged(f"the record {key!a} does not decode: {error}") from error


def checked(key: str, record: object) -> Record:
    """Return a record given by a user, checked field by field against its class and its key.

    Raises `InvalidKey` if the key is not this record's, `InvalidValue` for a field out of its range.
    """
    kind, _, _ = keys.parse(key)
    if not isinstance(record, Record) or type(record) not in _LAYOUT_OF:
        raise InvalidValue(key, type(record).__name__, "must be a record (Match, Round, Score, …)")
    if record.KIND != kind or record.key != key:
        raise InvalidKey(key, f"the record belongs under {record.key!a}")
    layout = _LAYOUT_OF[type(record)]
    stored = dict(zip(layout.names, layout.values(record), strict=True))
    ids = tuple(getattr(record, name) for name in layout.cls.IDS)
    return _built(layout, ids, {**stored, **_bare_map(_map("unknown", record.unknown or EMPTY))})  # type: ignore[attr-defined]  # every record has it


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
    unknown: Mapping[str, object] | None = None
    if len(known) < len(stored):
        unknown = _map("unknown", {name: stored[name] for name in stored if name not in layout.known})
    return layout.cls(*ids, **known, unknown=unknown)  # type: ignore[call-arg]  # every record is a dataclass


def _bare(value: object) -> object:
    """Thaw: only dicts and lists go to the encoder."""
    if isinstance(value, Mapping):
        return _bare_map(value)
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return value


def _bare_map(value: Mapping[str, object]) -> dict[str, object]:
    return {name: _bare(item) for name, item in value.items()}
