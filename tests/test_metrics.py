"""Metrics as Prometheus sees them: scraped over HTTP, parsed by its own client."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from importlib import resources
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from engines import PATIENCE_S, drained
from games import begin, play
from opening import MEMORY, Opener
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from waiting import until

from pictact_actors import AsyncStore, InvalidValue, Store, StoreConfig
from pictact_actors.metrics import COUNTERS
from pictact_actors.testing import ManualClock

Samples = dict[tuple[str, str], float]
NAMED_BY = ("command", "query", "phase", "shard", "part")


def url_of(store: Store) -> str:
    return f"http://127.0.0.1:{store.statistics().metrics_port}/metrics"


def scraped(url: str) -> Samples:
    """Return all samples by name and label; a bucket's is its upper bound."""
    with urlopen(url, timeout=PATIENCE_S) as response:  # noqa: S310 - our own
        families = text_string_to_metric_families(response.read().decode())
        return {
            (sample.name, next((sample.labels[name] for name in NAMED_BY if name in sample.labels), "")): sample.value
            for family in families
            for sample in family.samples
            if sample.labels.get("le", "+Inf") == "+Inf"
        }


@pytest.fixture
def metered(open_store: Opener) -> Store:
    """A store that was played on, with metrics."""
    store = open_store(metrics_port=0)
    begin(store)
    play(store, {f"user{place}": 1 for place in range(100)})
    for _ in range(8):
        store.leaderboard("t3_a")
    drained(store)
    return store


def test_a_scrape_tells_what_the_statistics_tell(metered: Store) -> None:
    found, samples = metered.statistics(), scraped(url_of(metered))
    assert {name: samples[f"pictact_{name}_total", ""] for name in COUNTERS} == {
        name: getattr(found, name) for name in COUNTERS
    }
    assert samples["pictact_seq", ""] == found.seq == 101
    assert samples["pictact_storage_bytes", "journal"] == found.journal_bytes
    assert samples["pictact_write_seconds_count", "award_points"] == 100
    assert samples["pictact_write_seconds_bucket", "award_points"] == 100
    assert samples["pictact_read_seconds_count", "leaderboard"] == 8
    assert samples["pictact_group_commits_sum", ""] == 101
    assert samples["pictact_write_phase_seconds_count", "sync"] == found.groups
    assert samples["pictact_storage_full", ""] == samples["pictact_failure", ""] == 0
    assert ("pictact_backup_age_seconds", "") not in samples


def test_a_backup_and_a_cleanup_appear(open_store: Opener, tmp_path: Path) -> None:
    clock = ManualClock(1e9)
    store = open_store(metrics_port=0, clock=clock, cleanup_interval_s=1e6)
    begin(store)
    store.complete_match("t3_a")
    store.backup(tmp_path / "copy")
    clock.advance(8 * 86_400)
    store.cleanup()
    samples = scraped(url_of(store))
    assert samples["pictact_backup_age_seconds", ""] == 8 * 86_400
    assert samples["pictact_cleaned_matches_total", ""] == samples["pictact_cleanups_total", ""] == 1
    assert samples["pictact_cleanup_age_seconds", ""] < PATIENCE_S


def test_two_stores_in_one_process_have_metrics_of_their_own(open_store: Opener, tmp_path: Path) -> None:
    before = set(REGISTRY._names_to_collectors)
    first, second = open_store(MEMORY, metrics_port=0), open_store(tmp_path / "other", metrics_port=0)
    begin(first)
    assert scraped(url_of(first))["pictact_commits_total", ""] == 1
    assert scraped(url_of(second))["pictact_commits_total", ""] == 0
    assert set(REGISTRY._names_to_collectors) == before


def test_metrics_are_off_unless_they_are_asked_for(memory: Store) -> None:
    assert memory.statistics().metrics_port is None


def test_a_store_without_metrics_does_not_load_the_client() -> None:
    script = (
        "import sys, pictact_actors as p; p.Store.open(':memory:').close(); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_closing_frees_the_port(open_store: Opener) -> None:
    store = open_store(MEMORY, metrics_port=0)
    port = store.statistics().metrics_port
    store.close()
    with pytest.raises(URLError):
        scraped(f"http://127.0.0.1:{port}/metrics")
    again = open_store(MEMORY, metrics_port=port)
    assert scraped(url_of(again))["pictact_seq", ""] == 0


def test_a_taken_port_is_told_at_open_and_nothing_stays_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, before = taken.getsockname()[1], set(threading.enumerate())
        with pytest.raises(InvalidValue, match=f"metrics_port.*{port}.*in use.*choose another"):
            Store.open(tmp_path / "game-data", config=StoreConfig(metrics_port=port))
        until(lambda: set(threading.enumerate()) <= before)
    with Store.open(tmp_path / "game-data", config=StoreConfig(metrics_port=port)) as store:
        assert store.statistics().metrics_port == port


def test_only_this_machine_is_served(metered: Store) -> None:
    server = metered._services.metrics
    assert server is not None
    assert server._server.socket.getsockname()[0] == "127.0.0.1"


def test_a_client_that_says_nothing_holds_up_neither_others_nor_the_close(metered: Store) -> None:
    port = metered.statistics().metrics_port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
        assert scraped(url_of(metered))["pictact_seq", ""] == 101
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
        metered.close()


def test_a_scrape_that_fails_is_told_to_both_sides_and_the_next_one_works(
    metered: Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = url_of(metered)
    with monkeypatch.context() as broken:
        broken.setattr(metered.runtime.engine, "usage", lambda: 1 / 0)
        with caplog.at_level(logging.ERROR, "pictact_actors"), pytest.raises(HTTPError, match="500") as caught:
            scraped(url)
        caught.value.close()
    assert json.loads(caplog.records[-1].getMessage())["event"] == "metrics_failed"
    assert scraped(url_of(metered))["pictact_seq", ""] == 101
    assert capfd.readouterr().err == ""


def test_a_forked_child_lets_go_of_the_port_and_the_parent_goes_on(metered: Store) -> None:
    server = metered._services.metrics
    assert server is not None
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        os._exit(0 if server._server.socket.fileno() < 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert scraped(url_of(metered))["pictact_seq", ""] == 101


def test_the_asynchronous_store_has_metrics_too() -> None:
    async def host() -> None:
        async with AsyncStore.open(MEMORY, config=StoreConfig(metrics_port=0)) as store:
            await store.create_match("t3_a", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
            port = (await store.statistics()).metrics_port
            samples = await asyncio.to_thread(scraped, f"http://127.0.0.1:{port}/metrics")
            assert samples["pictact_commits_total", ""] == 1

    asyncio.run(host())


@pytest.fixture
def dashboard() -> dict[str, object]:
    return json.loads(resources.files("pictact_actors").joinpath("grafana.json").read_text("utf-8"))


def test_the_dashboard_asks_for_metrics_that_there_are(
    metered: Store, tmp_path: Path, dashboard: dict[str, object]
) -> None:
    metered.backup(tmp_path / "copy")
    asked = set(re.findall(r"\bpictact_\w+", json.dumps(dashboard)))
    exposed = {name for name, _ in scraped(url_of(metered))}
    assert len(asked) > 25
    assert asked <= exposed


def test_the_dashboard_puts_every_panel_on_a_place_of_its_own(
    dashboard: dict[str, list[dict[str, dict[str, int]]]],
) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [(place["x"] + x, place["y"] + y) for place in places for x in range(place["w"]) for y in range(place["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
