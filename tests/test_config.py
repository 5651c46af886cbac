"""The limits: each positive, with its unit in its name, and none against another."""

from __future__ import annotations

import doctest
from dataclasses import FrozenInstanceError, fields

import pytest

from pictact_actors import config
from pictact_actors.config import StoreConfig
from pictact_actors.errors import InvalidValue

SWITCHES = {"observation_archive", "console", "spans"}
OPTIONAL = {"storage_bytes_max", "backup_interval_s"}
PATHS = {"backup_directory"}
PORTS = {"metrics_port"}
NAMES = [field.name for field in fields(StoreConfig) if field.name not in SWITCHES | PATHS | PORTS]
WHOLE = [name for name in NAMES if not name.endswith("_s")]


def test_the_defaults_agree_with_each_other() -> None:
    assert StoreConfig().match_expiry_s == 7 * 24 * 3600


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, True, "4", None, float("nan"), float("inf")], ids=repr)
def test_every_limit_is_a_positive_number(name: str, value: object) -> None:
    if value is None and name in OPTIONAL:
        assert StoreConfig(**{name: None}) == StoreConfig()
        return
    with pytest.raises(InvalidValue, match=name):
        StoreConfig(**{name: value})


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_a_switch_is_on_or_off(name: str) -> None:
    assert {getattr(StoreConfig(**{name: value}), name) for value in (True, False)} == {True, False}
    with pytest.raises(InvalidValue, match=name):
        StoreConfig(**{name: 1})


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_path_is_a_name_or_none(name: str) -> None:
    assert {getattr(StoreConfig(**{name: value}), name) for value in (None, "there")} == {None, "there"}
    for value in ("", 1, True):
        with pytest.raises(InvalidValue, match=name):
            StoreConfig(**{name: value})


@pytest.mark.parametrize("name", sorted(PORTS))
def test_a_port_is_a_number_that_there_is_or_none(name: str) -> None:
    for value in (None, 0, 9_100, 65_535):
        assert getattr(StoreConfig(**{name: value}), name) == value
    for value in (-1, 65_536, 80.0, "80", True):
        with pytest.raises(InvalidValue, match=name):
            StoreConfig(**{name: value})


@pytest.mark.parametrize("name", WHOLE)
def test_what_counts_is_whole(name: str) -> None:
    with pytest.raises(InvalidValue, match="whole number"):
        StoreConfig(**{name: 5000.5})


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_s")])
def test_a_period_fits_in_a_timer(name: str) -> None:
    with pytest.raises(InvalidValue, match="100 years"):
        StoreConfig(**{name: 1e11})


@pytest.mark.parametrize(
    "limits",
    [
        {"shards": 257},
        {"commit_group_max": 101, "in_flight_max": 100, "shards": 1},
        {"journal_segment_bytes": 4095},
        {"commit_bytes_max": 2**31},
        {"storage_bytes_max": 1024},
    ],
    ids=lambda limits: next(iter(limits)),
)
def test_limits_that_contradict_each_other_are_refused_by_name(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidValue, match=next(iter(limits))):
        StoreConfig(**limits)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_ends_with_its_unit(name: str) -> None:
    assert name in ("shards", "backups_kept") or name.endswith(("_s", "_bytes", "_max", "_min", "_step")), (
        f"{name}: say the unit last"
    )


def test_a_small_storage_limit_makes_its_parts_smaller() -> None:
    small, large = StoreConfig(storage_bytes_max=1_600_000), StoreConfig(storage_bytes_max=2**40)
    assert (small.segment_bytes, small.buffer_bytes, small.ballast_bytes) == (100_000, 100_000, 500_000)
    assert (large.segment_bytes, large.buffer_bytes) == (large.journal_segment_bytes, large.state_buffer_bytes)


def test_a_config_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        StoreConfig().shards = 2


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(config).failed == 0
