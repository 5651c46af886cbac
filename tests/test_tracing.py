"""Spans: one for each call that waits, a child of the host's, and none unless they are asked for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest
from games import begin
from opening import MEMORY, Opener
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from pictact_actors import AsyncStore, InvalidValue, NotFound, Store, StoreConfig


@pytest.fixture(scope="session")
def provider() -> TracerProvider:
    """What a host sets up, once in a process."""
    made = TracerProvider()
    trace.set_tracer_provider(made)
    return made


@pytest.fixture
def exporter(provider: TracerProvider) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    yield kept
    kept.shutdown()


def spans_in(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_command_is_a_span_below_the_hosts(open_store: Opener, exporter: InMemorySpanExporter) -> None:
    store = open_store(MEMORY, spans=True)
    begin(store)
    with trace.get_tracer("host").start_as_current_span("request"):
        store.award_points("t3_a", "ann", 1)
    spans = spans_in(exporter)
    span, above = spans["pictact.award_points"], spans["request"]
    assert span.parent is not None
    assert span.parent.span_id == above.get_span_context().span_id
    assert dict(span.attributes or {}) == {
        "db.system.name": "pictact",
        "db.operation.name": "award_points",
        "pictact.group": "match:t3_a",
    }


def test_a_refused_command_has_its_error(open_store: Opener, exporter: InMemorySpanExporter) -> None:
    store = open_store(MEMORY, spans=True)
    with pytest.raises(NotFound):
        store.award_points("t3_none", "ann", 1)
    span = spans_in(exporter)["pictact.award_points"]
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


def test_a_transaction_is_one_span(open_store: Opener, exporter: InMemorySpanExporter) -> None:
    store = open_store(MEMORY, spans=True)
    begin(store)
    assert store.transact(lambda tx: tx.award_points("t3_a", "ann", 1).points) == 1
    assert list(spans_in(exporter)) == ["pictact.transact"]


def test_the_asynchronous_store_has_spans_of_its_own(exporter: InMemorySpanExporter) -> None:
    async def host() -> None:
        async with AsyncStore.open(MEMORY, config=StoreConfig(spans=True)) as store:
            await store.create_match("t3_a", subreddit="pics", rounds_total=3, theme="sunsets", created_by="mod")
            await store.transact(lambda tx: tx.award_points("t3_a", "ann", 1))

    asyncio.run(host())
    assert list(spans_in(exporter)) == ["pictact.create_match", "pictact.transact"]


def test_without_asking_there_is_no_span_and_nothing_in_the_way(memory: Store, exporter: InMemorySpanExporter) -> None:
    begin(memory)
    memory.award_points("t3_a", "ann", 1)
    assert spans_in(exporter) == {}
    assert "_do" not in vars(memory)


def test_a_host_without_the_package_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(InvalidValue, match=r"install pictact-actors\[otel\]"):
        Store.open(MEMORY, config=StoreConfig(spans=True))
