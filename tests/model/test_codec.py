"""The encoding on disk: nothing lost on the way, nothing believed that we did not write."""

from __future__ import annotations

import struct
import time
from dataclasses import fields, replace
from types import MappingProxyType

import cbor2
import pytest
from generated import BY_CLASS, ids, plain, public_records
from hypothesis import example, given
from hypothesis import strategies as st

from pictact_actors.errors import InvalidKey, InvalidValue, StoreDamaged
from pictact_actors.model import codec
from pictact_actors.model.records import (
    Analytics,
    AnsweredRequest,
    Lifetime,
    Match,
    Observation,
    PlayedMatch,
    Record,
    Round,
    Score,
    Texts,
)
from pictact_actors.model.validate import NESTING_MAX, TEXT_BYTES_MAX

T0, T1 = 1_700_000_000.0, 1_700_000_060.5
SCORE = Score("t3_a", "ann", 10.5, 2, T1, T0, T1)
GOLDEN: list[tuple[Record, str]] = [
    (
        Match("t3_a", "completed", "pics", 3, 2, "sunsets", "mod", T1, T1 + 604_800.0, T0, T1),
        (
            "ab6673746174757369636f6d706c657465646973756272656464697464706963736b726f756e6473546f74616c036c63757272656e74526f75"
            "6e6402657468656d656773756e7365747369637265617465644279636d6f646b636f6d706c657465644174fb41d954fc4f20000069657870"
            "697265734174fb41d9574aef20000069637265617465644174fb41d954fc4000000069757064617465644174fb41d954fc4f200000617601"
        ),
    ),
    (
        Round(
            "t3_a",
            2,
            "what is it?",
            Texts(("a.png", "é.png")),
            1_700_000_000,
            1_700_000_300,
            "ann",
            "t1_x",
            True,
            T0,
            T1,
        ),
        (
            "aa6a70726f6d7074546578746b776861742069732069743f6f7265666572656e6365496d616765738265612e706e6766c3a92e706e676773"
            "7461727454731a6553f10065656e6454731a6553f22c6a77696e6e65725573657263616e6e6f77696e6e6572436f6d6d656e744964647431"
            "5f7866636c6f736564f569637265617465644174fb41d954fc4000000069757064617465644174fb41d954fc4f200000617601"
        ),
    ),
    (
        SCORE,
        (
            "a666706f696e7473fb40250000000000006477696e730269726561636865644174fb41d954fc4f20000069637265617465644174fb41d954"
            "fc4000000069757064617465644174fb41d954fc4f200000617601"
        ),
    ),
    (
        Lifetime("ann", 7, 3, -0.5, Texts(("gold", "first blood")), T0, T1),
        (
            "a769746f74616c57696e73076d6d617463686573506c61796564036b746f74616c506f696e7473fbbfe00000000000006874726f70686965"
            "738264676f6c646b666972737420626c6f6f6469637265617465644174fb41d954fc4000000069757064617465644174fb41d954fc4f2000"
            "00617601"
        ),
    ),
    (
        PlayedMatch("ann", "t3_a", 10.5, 2, 1, "sunsets", T1, T0, T1),
        (
            "a866706f696e7473fb40250000000000006477696e73026472616e6b01657468656d656773756e736574736b636f6d706c65746564417"
            "4fb41d954fc4f20000069637265617465644174fb41d954fc4000000069757064617465644174fb41d954fc4f200000617601"
        ),
    ),
    (
        Analytics(
            "t3_a",
            0.25,
            31.5,
            None,
            1,
            MappingProxyType({"invalidRate": 4, "avgSolveTime": 2, "participationRate": 1}),
            4,
            T0,
            T1,
        ),
        (
            "a96b696e76616c696452617465fb3fd00000000000006c617667536f6c766554696d65fb403f800000000000716d6f64526573706f6e7369"
            "76656e657373f67170617274696369706174696f6e52617465016773616d706c6573a36b696e76616c696452617465046c617667536f6c76"
            "6554696d65027170617274696369706174696f6e52617465016c6f62736572766174696f6e730469637265617465644174fb41d954fc4000"
            "000069757064617465644174fb41d954fc4f200000617601"
        ),
    ),
    (
        Observation("t3_a", 7, 0.5, 12, None, None, "pics", T0, T1),
        (
            "a86b696e76616c696452617465fb3fe00000000000006c617667536f6c766554696d650c716d6f64526573706f6e736976656e657373f671"
            "70617274696369706174696f6e52617465f669737562726564646974647069637369637265617465644174fb41d954fc4000000069757064"
            "617465644174fb41d954fc4f200000617601"
        ),
    ),
    (
        AnsweredRequest("match", "t3_a", "r1", "00ff", {"key": SCORE.key, "record": SCORE.to_dict()}, T0, T1),
        (
            "a566646967657374643030666666616e73776572a2636b65796e73636f72653a74335f613a616e6e667265636f7264a766706f7374496464"
            "74335f61647573657263616e6e66706f696e7473fb40250000000000006477696e730269726561636865644174fb41d954fc4f2000006963"
            "7265617465644174fb41d954fc4000000069757064617465644174fb41d954fc4f20000069637265617465644174fb41d954fc4000000069"
            "757064617465644174fb41d954fc4f200000617601"
        ),
    ),
]
_HEAD = b"\xa2\x61v\x01\x61x"
HOSTILE = {
    "nothing": b"",
    "a number": b"\x01",
    "a list": b"\x81\x01",
    "no version": b"\xa0",
    "version 0": b"\xa1\x61v\x00",
    "version true": b"\xa1\x61v\xf5",
    "trailing zero": b"\xa1\x61v\x01\x00",
    "a second record": b"\xa1\x61v\x01\xa1\x61v\x01",
    "cut short": b"\xa2\x61v\x01",
    "cut in a text": b"\xa2\x61v\x01\x6cstatus",
    "duplicate name": b"\xa2\x61v\x01\x61v\x01",
    "number as a name": b"\xa2\x61v\x01\x01\x01",
    "bytes as a name": b"\xa2\x61v\x01\x41a\x01",
    "indefinite map": b"\xbf\x61v\x01\xff",
    "indefinite text": b"\xa2\x61v\x01\x61x\x7f\x61a\xff",
    "bytes": _HEAD + b"\x41a",
    "NaN": _HEAD + b"\xf9\x7e\x00",
    "infinity": _HEAD + b"\xf9\x7c\x00",
    "undefined": _HEAD + b"\xf7",
    "simple value": _HEAD + b"\xf0",
    "broken UTF-8": _HEAD + b"\x61\xff",
    "a lone surrogate": _HEAD + b"\x63\xed\xa0\x80",
    "a huge number": _HEAD + b"\x1b" + b"\xff" * 8,
    "wrong type": b"\xa2\x61v\x01\x66status\x01",
    "wrong choice": b"\xa2\x61v\x01\x66status\x61x",
    "deep": b"\x81" * 100_000 + b"\x00",
    "deep field": _HEAD + b"\x81" * (NESTING_MAX + 1) + b"\x00",
    "claims 2**62 items": b"\x9b" + struct.pack(">Q", 2**62),
    "claims 2**40 bytes": b"\x7b" + struct.pack(">Q", 2**40),
}
TAGS = [0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 43_000, 52, 54, 100, 256, 258, 260, 261, 1004, 55_799, 6, 70_000]


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@given(st.one_of(*BY_CLASS.values()))
def test_every_record_comes_back_as_it_was(record: Record) -> None:
    again = codec.decode(record.key, codec.encode(record))
    assert again == record
    assert type(again) is type(record)
    assert again.to_dict() == record.to_dict()


@given(public_records)
def test_every_record_comes_back_from_what_it_shows(record: Record) -> None:
    shown = record.to_dict()
    assert codec.from_dict(record.key, shown) == record
    without_ids = {name: value for name, value in shown.items() if name not in ("postId", "user", "index")}
    assert codec.from_dict(record.key, without_ids) == record


@given(st.one_of(*BY_CLASS.values()))
def test_a_valid_record_passes_the_check_unchanged(record: Record) -> None:
    assert codec.checked(record.key, record) == record


@pytest.mark.parametrize(("record", "golden"), GOLDEN, ids=lambda value: getattr(value, "KIND", ""))
def test_the_bytes_on_disk_do_not_change(record: Record, golden: str) -> None:
    assert codec.encode(record).hex() == golden
    assert codec.decode(record.key, bytes.fromhex(golden)) == record


def test_every_class_of_record_has_its_golden_bytes() -> None:
    assert [type(record) for record, _ in GOLDEN] == list(BY_CLASS)


def test_ints_stay_ints_and_halves_stay_halves() -> None:
    for points in (10, 10.0, -0.5, 2**53):
        again = codec.decode(SCORE.key, codec.encode(Score("t3_a", "ann", points)))
        assert isinstance(again, Score)
        assert (again.points, type(again.points)) == (points, type(points))


def test_fields_of_a_newer_version_are_kept_through_a_change() -> None:
    newer = cbor2.dumps({"v": 2, "points": 3, "streak": 7, "badges": [{"name": "gold", "at": None}]})
    score = codec.decode("score:t3_a:ann", newer)
    assert score.to_dict()["streak"] == 7
    again = codec.decode("score:t3_a:ann", codec.encode(score))
    assert again.unknown == {"streak": 7, "badges": [{"name": "gold", "at": None}]}


def test_fields_that_an_older_version_did_not_write_have_their_defaults() -> None:
    assert codec.decode("score:t3_a:ann", b"\xa1\x61v\x01") == Score("t3_a", "ann")


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_bytes_that_we_never_write_are_damage(data: bytes) -> None:
    with pytest.raises(StoreDamaged, match="match:t3_a"):
        codec.decode("match:t3_a", data)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("content", ["2020-01-01T00:00:00Z", 1, b"\x01", [1, 2], "a{99999}"], ids=repr)
def test_a_tag_is_damage_before_anybody_interprets_it(tag: int, content: object) -> None:
    data = cbor2.dumps({"v": 1, "x": cbor2.CBORTag(tag, content)})
    with pytest.raises(StoreDamaged, match="tag"):
        codec.decode("match:t3_a", data)


def test_shared_values_are_damage() -> None:
    for data in (b"\xd8\x1c\x81\xd8\x1d\x00", b"\xa2\x61v\x01\x61x\xd8\x1c\x82\xd8\x1d\x00\xd8\x1d\x00"):
        with pytest.raises(StoreDamaged):
            codec.decode("match:t3_a", data)


def test_colliding_names_are_refused_before_they_are_hashed() -> None:
    modulus = 2**61 - 1
    with pytest.raises(StoreDamaged, match="map key must be a text"):
        codec.decode("match:t3_a", codec.dumps(dict.fromkeys(range(7), 0)))
    pairs = b"".join(codec.dumps(i * modulus) + b"\x00" for i in range(60_000))
    colliding = b"\xba" + struct.pack(">I", 60_000) + pairs
    start = time.perf_counter()
    with pytest.raises(StoreDamaged):
        codec.decode("match:t3_a", colliding)
    assert time.perf_counter() - start < 1


@given(st.binary(max_size=200))
@example(b"\xa1\x61v\x01")
def test_any_bytes_give_a_record_or_the_named_error(data: bytes) -> None:
    try:
        codec.decode("score:t3_a:ann", data)
    except StoreDamaged:
        return


@given(st.data())
def test_a_flipped_bit_gives_a_valid_record_or_the_named_error(data: st.DataObject) -> None:
    value = bytearray(codec.encode(SCORE))
    value[data.draw(st.integers(0, len(value) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        record = codec.decode(SCORE.key, bytes(value))
    except StoreDamaged:
        return
    assert codec.checked(SCORE.key, record) == record


@given(plain, st.binary(min_size=1, max_size=20))
def test_plain_data_is_read_to_its_end_and_no_further(value: object, more: bytes) -> None:
    data = codec.dumps(value)
    assert codec.loads(data) == value
    with pytest.raises(ValueError, match="CBOR"):
        codec.loads(data + more)
    with pytest.raises(ValueError, match="CBOR"):
        codec.loads(data[:-1])


@pytest.mark.parametrize("key", ["nothing", "match:a:b", ""])
def test_a_key_that_is_none_is_damage_when_it_is_found_on_disk(key: str) -> None:
    with pytest.raises(StoreDamaged):
        codec.decode(key, codec.encode(SCORE))


@pytest.mark.parametrize("cls", BY_CLASS)
@pytest.mark.parametrize("value", [object(), float("nan"), b"x", {1: 2}, [[]], -(2**60)], ids=range(6))
def test_no_field_takes_what_it_cannot_hold(cls: type[Record], value: object) -> None:
    ids_of_it = dict.fromkeys(cls.IDS, "match") | ({"index": 1} if cls is Round else {})
    record = cls(**ids_of_it)
    for name in {field.name for field in fields(cls)} - set(cls.IDS):
        with pytest.raises((InvalidKey, InvalidValue)):
            codec.checked(record.key, replace(record, **{name: value}))


@pytest.mark.parametrize(
    "field", [{"created_at": True}, {"points": float("inf")}, {"wins": 1.0}, {"unknown": {"x": nested(40)}}], ids=str
)
def test_a_record_of_a_user_is_checked_field_by_field(field: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        codec.checked("score:t3_a:ann", Score("t3_a", "ann", **field))


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("score:t3_a:bob", SCORE),
        ("match:t3_a", SCORE),
        ("score:t3_a:b:c", Score("t3_a", "b:c")),
        ("match:7", Match(8)),
        ("nothing", SCORE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_goes_under_its_own_key_only(key: str, record: Record) -> None:
    with pytest.raises(InvalidKey):
        codec.checked(key, record)


def test_ids_are_what_the_key_says_also_if_they_were_given_as_numbers() -> None:
    assert codec.checked("match:7", Match(7)) == Match("7")


@pytest.mark.parametrize("value", [{"points": 1}, None, Record(), "score", type("Fake", (Score,), {})("t3_a", "ann")])
def test_only_records_are_records(value: object) -> None:
    with pytest.raises(InvalidValue, match="must be a record"):
        codec.checked("score:t3_a:ann", value)


def test_an_unknown_field_cannot_pose_as_a_known_one() -> None:
    posing = Score("t3_a", "ann", 1, unknown={"points": 99, "v": 7, "streak": 2})
    assert codec.checked(posing.key, posing) == Score("t3_a", "ann", 1, unknown={"streak": 2})
    stored = codec.decode(posing.key, codec.encode(posing))
    assert isinstance(stored, Score)
    assert stored.points == 1


def test_what_is_given_in_an_unknown_field_can_be_changed_afterwards_without_harm() -> None:
    given_field: dict[str, list[object]] = {"badges": []}
    record = codec.checked(SCORE.key, Score("t3_a", "ann", unknown=given_field))
    given_field["badges"].append(nested(10_000))
    assert record.unknown == {"badges": []}


@given(ids)
def test_ids_that_contradict_the_key_are_refused(user: str) -> None:
    shown = {"user": user, "points": 1}
    if user == "ann":
        assert codec.from_dict("score:t3_a:ann", shown) == Score("t3_a", "ann", 1)
    else:
        with pytest.raises(InvalidValue, match="contradicts the key"):
            codec.from_dict("score:t3_a:ann", shown)


def test_an_answer_holds_whatever_its_record_may_hold() -> None:
    deepest = Score("t3_a", "ann", unknown={"x": nested(NESTING_MAX - 1)})
    images = Texts(["é" * (TEXT_BYTES_MAX // 2)] * 64)
    for record in (codec.checked(deepest.key, deepest), Round("t3_a", 1, reference_images=images)):
        shown = {"key": record.key, "record": record.to_dict()}
        request = AnsweredRequest("match", "t3_a", "r1", "00", shown)
        assert codec.decode(request.key, codec.encode(request)) == request


@pytest.mark.parametrize(
    "answer",
    [
        {"key": "score:t3_a:ann"},
        {"key": "score:t3_a:ann", "record": 3},
        {"key": "score:t3_a:ann", "record": {"points": True}},
        {"key": None, "record": {}},
        {"record": {}},
        {"key": "request:match:t3_a:r1", "record": {}},
        {"key": "score:t3_a:ann", "record": {}, "more": nested(40)},
    ],
    ids=str,
)
def test_an_answer_that_is_no_record_is_damage(answer: dict[str, object]) -> None:
    with pytest.raises(StoreDamaged):
        codec.decode("request:match:t3_a:r2", cbor2.dumps({"v": 1, "answer": answer}))


def test_a_record_as_large_as_its_limits_does_not_hold_the_interpreter_up() -> None:
    record = Round("t3_a", 1, reference_images=Texts(["é" * (TEXT_BYTES_MAX // 2)] * 64))
    start = time.perf_counter()
    codec.encode(record)
    assert time.perf_counter() - start < 0.5


@given(plain, st.sampled_from([1, 2, 8_192]))
def test_what_is_encoded_in_pieces_is_the_same(value: object, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "MAP_PIECE", piece)
        assert codec.dumps_in_pieces([value, {"a": value}]) == codec.dumps([value, {"a": value}])


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_arrays_and_maps_of_every_length_are_encoded_in_pieces(length: int) -> None:
    for value in (list(range(length)), {str(number): None for number in range(length)}):
        assert codec.dumps_in_pieces(value) == codec.dumps(value)
