"""How objects show themselves: in a notebook, and with a plain ``repr``."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

import penstock as ps
from penstock import IngestionPipeline, RetryPolicy
from penstock.adapters import Adapter, find_adapter, pubmed
from penstock.columns import columns_of
from penstock.ledger import MemoryLedger, PostgresLedger, SqliteLedger
from penstock.notebook.forms import bundle, facts, note, table, title
from penstock.runtime import Chunks, Run
from penstock.sinks import (
    CallbackSink,
    CsvSink,
    DuckDBSink,
    JsonLinesSink,
    MemorySink,
    ParquetSink,
    PostgresSink,
    SeveralSinks,
    SqliteSink,
    StdoutSink,
)
from penstock.statistics import StageStatistics, Statistics
from penstock.telemetry import EventLog, OpenTelemetry, PrometheusMetrics, Recorder, isolated
from penstock.testing import Probe, RecordingLedger, TestSource, VirtualClock, run

from ..laws.catalogue import ENTRIES  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource  # noqa: TID252

if TYPE_CHECKING:
    from pathlib import Path

PUBLIC = (
    "penstock", "penstock.abc", "penstock.adapters", "penstock.columns", "penstock.events", "penstock.ledger",
    "penstock.operators", "penstock.pipeline_file", "penstock.runtime", "penstock.sinks", "penstock.telemetry",
    "penstock.testing",
)  # fmt: skip
"""The modules whose ``__all__`` is public."""

ADDRESS = re.compile(r"\bat 0x[0-9a-f]+", re.IGNORECASE)
VOID = {"br", "hr"}


class Balanced(HTMLParser):
    """Checks that every element is closed, and keeps the text of each element."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] != "style":
            self.texts.append(data)


def texts_of(html: str) -> list[str]:
    """Return the texts of an HTML form, which is one balanced element."""
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert html.startswith("<div ")
    return parser.texts


def shown(thing: Any) -> dict[str, str]:
    """Return the rich forms of an object, after checking them: well-formed, and without an address."""
    found: dict[str, str] = thing._repr_mimebundle_(include=None, exclude=None)
    assert found["text/plain"]
    if "text/html" in found:
        texts_of(found["text/html"])
    if "image/svg+xml" in found:
        etree.fromstring(found["image/svg+xml"].encode())
    assert not any(ADDRESS.search(text) for text in found.values())
    return found


def classes() -> dict[str, type]:
    """Return every public class that can have instances, by its name."""
    found = {}
    for name in PUBLIC:
        module = importlib.import_module(name)
        for one in (getattr(module, each) for each in getattr(module, "__all__", ())):
            is_class = inspect.isclass(one) and one.__module__.startswith("penstock")
            if is_class and not issubclass(one, BaseException) and not getattr(one, "_is_protocol", False):
                found[one.__name__] = one
    return found


@pytest.mark.parametrize("kind", classes().values(), ids=classes())
def test_no_public_class_has_the_repr_of_object(kind: type) -> None:
    """Every public class says in its ``repr`` what it is, not where it is in memory."""
    assert kind.__repr__ is not object.__repr__


def test_no_flow_shows_an_address() -> None:
    """The flow of every source and operator has a ``repr`` and a picture, both without an address in memory."""

    async def main() -> None:  # one entry needs a loop to be built
        for entry in ENTRIES:
            flow = entry.subject.start().flow
            found = shown(flow)
            assert found["text/plain"] == repr(flow)
            assert re.fullmatch(r"<\w+ [^<>]+>", repr(flow)), entry.name
            for node in flow.graph().nodes:
                assert not ADDRESS.search(f"{node!r} {flow.node!r} {flow.sync!r}"), entry.name

    run(main())


def built(folder: Path) -> list[Any]:
    """Return an object of each public class with state of its own; each is made as a user makes it."""
    flow = ps.from_iterable([1]).map(str)
    pipeline = IngestionPipeline(Adapter(ScriptedSource([Record()])), ledger=folder / "run.db")
    sinks: list[Any] = [
        CallbackSink(print), CsvSink(folder / "o.csv"), DuckDBSink(folder / "o.duckdb"), JsonLinesSink(folder / "o.jsonl"),
        MemorySink(), ParquetSink(folder / "o.parquet"), PostgresSink("postgresql://a:secret@h/db"),
        SqliteSink(folder / "o.sqlite"), StdoutSink(),
    ]  # fmt: skip
    ledgers = [MemoryLedger(), SqliteLedger(folder / "l.db"), PostgresLedger("postgresql://a:secret@h/db")]
    hooks = [
        PrometheusMetrics(), OpenTelemetry(), EventLog(), Recorder(folder / "r.ndjson"), isolated(print),
    ]  # fmt: skip
    return [
        flow, flow.sync, flow.graph(), flow.publish(), *flow.broadcast(2), TestSource([1]), pubmed("x.xml"),
        pubmed("x.xml").source, pipeline, pipeline.sync, *sinks, SeveralSinks(*sinks[:2]), *ledgers,
        RecordingLedger(), *hooks, RetryPolicy(), RetryPolicy(retry_on=(ValueError,), retry_when=lambda *_: 1), *columns_of(pubmed("x.xml").source.schema),
        find_adapter("pubmed"), Run(), Chunks(lambda _: {}), Probe(flow), VirtualClock(),
        Statistics(()), flow.node, ps.Page([1]), ps.Order.EXACT,
    ]  # fmt: skip


async def test_no_object_shows_an_address(tmp_path: Path) -> None:
    """No object that a user makes shows its address in memory, or a secret, in ``repr`` or in a rich form."""
    things = [*built(tmp_path), ps.from_iterable([1]).subscribe()]
    for thing in things:
        forms = [repr(thing)]
        if hasattr(thing, "_repr_mimebundle_"):
            forms += shown(thing).values()
        assert not any(ADDRESS.search(form) for form in forms), forms
        assert not any("secret" in form for form in forms), forms


async def test_a_subscription_says_where_it_stands() -> None:
    """``repr`` and the rich form of a subscription follow its run."""
    flow = ps.from_iterable([1, 2, 3]).map(str)
    async with flow.subscribe() as subscription:
        assert repr(subscription) == "<Subscription from_iterable | map: new, 0 delivered>"
        for _ in range(2):  # a request may return fewer than it asks for
            await subscription.request(1)
        assert repr(subscription) == "<Subscription from_iterable | map: running, 2 delivered>"
        texts = texts_of(shown(subscription)["text/html"])
        assert [text for text in texts if text in {"from_iterable", "map"}] == ["from_iterable", "map"]
        while await subscription.request(2):
            pass
        assert "completed, 3 delivered" in repr(subscription)
    async with ps.fail(ValueError("no")).subscribe() as subscription:
        with pytest.raises(ValueError, match="no"):
            await subscription.request(1)
        assert "failed" in repr(subscription)


def test_a_long_flow_has_a_short_repr() -> None:
    """The ``repr`` of a flow of 300 operators names the first and the last of them."""
    flow = ps.just(1)
    for _ in range(300):
        flow = flow.map(str)
    assert len(repr(flow)) < 300
    assert re.search(r"<Flow from_iterable( \| map){9} \| \.\.\. 281 more \.\.\.( \| map){10}>", repr(flow))


def test_statistics_show_the_stages() -> None:
    """The table has a row for each stage, up to a limit, and names the bottleneck."""

    async def main() -> Statistics:
        flow = TestSource([1, 2, 3]).map(str).buffer(1)
        async with flow.subscribe() as subscription:
            while await subscription.request(1):  # noqa: ASYNC110  the consumer is slow
                await asyncio.sleep(1)
            return subscription.statistics()

    statistics = run(main())
    texts = texts_of(shown(statistics)["text/html"])
    assert [one.name for one in statistics.stages if one.name not in texts] == []
    assert f"bottleneck: {statistics.bottleneck}" in texts
    many = Statistics(tuple(StageStatistics(f"s{k}", 1, 1, 1, 1.0) for k in range(300)))
    texts = texts_of(shown(many)["text/html"])
    assert "260 stages in the middle are left out" in texts
    assert ("s0" in texts, "s19" in texts, "s20" in texts, "s299" in texts) == (True, True, False, True)


async def test_what_a_run_returns_shows_its_counts() -> None:
    """Summary, result and replay show counts; the result does not print its documents."""
    source = ScriptedSource([Record(), Record("bad"), *[Record()] * 30])
    pipeline = IngestionPipeline(Adapter(source), ledger=MemoryLedger())
    result = await pipeline.run_async()
    texts = texts_of(shown(result.summary)["text/html"])
    assert [text for text in texts if text in {"completed", "failed"}] == ["completed", "failed"]
    assert repr(result) == "<IngestionResult: 31 documents, 1 failures, completed>"
    assert any(
        "bad" in text or result.failures[0].error in text for text in texts_of(shown(result)["text/html"])
    )
    assert "the last run" in texts_of(shown(pipeline)["text/html"])
    sink = MemorySink()
    pipeline = IngestionPipeline(Adapter(source), ledger=MemoryLedger())
    await pipeline.run(sink=sink)
    replayed = await pipeline.replay(sink)
    assert texts_of(shown(replayed)["text/html"])[:2] == [
        "Replayed ",
        "1 letters: 0 completed, 1 failed again",
    ]


def test_nothing_breaks_out_of_a_form() -> None:
    """Markup and control characters in texts of a user stay text."""
    evil = '</td><script>x</script>"\x1b[31m\nsecond line'
    found = bundle(
        "text", title(evil, evil), note(evil), facts([(evil, evil)]), table([evil, "n"], [(evil, 1)])
    )
    assert "<script>" not in found["text/html"]
    assert "\x1b" not in found["text/html"]
    assert len(texts_of(found["text/html"])) == 9
