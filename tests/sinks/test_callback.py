"""A function as a sink: at least once."""

from __future__ import annotations

import asyncio

import pytest

from penstock import Document, IngestionPipeline
from penstock.abc import Commit
from penstock.adapters import Adapter
from penstock.errors import GraphError, SinkError, SinkMismatch
from penstock.ledger import MemoryLedger
from penstock.sinks import CallbackSink, callback

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package


def document(n):
    return Document(doc_id=f"d{n}", source="test")


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_it_is_called_with_every_list(kind):
    """The function gets each list of documents in order, and the sink waits for it."""
    taken = []

    def plain(documents):
        taken.extend(d.doc_id for d in documents)

    async def waits(documents):
        await asyncio.sleep(0)
        plain(documents)

    sink = callback(plain if kind == "plain" else waits)
    await sink.open(None)
    await sink.write([document(1), document(2)])
    await sink.write([])
    await sink.write([document(3)])
    assert await sink.commit(Commit(1, {})) == {"format": "callback", "count": 3}
    assert taken == ["d1", "d2", "d3"]


async def test_its_list_is_its_own():
    """The function may keep and change its list: the caller has another one."""
    documents = [document(1)]
    sink = CallbackSink(list.clear)
    await sink.open(None)
    await sink.write(documents)
    assert documents == [document(1)]


async def test_what_it_raises_ends_the_run_and_what_was_committed_stays():
    """After an error of the function the documents since the last commit come again."""
    taken, broken = [], True

    def store(documents):
        for one in documents:
            if broken and one.doc_id.endswith("3"):
                raise ConnectionError("gone")
            taken.append(one.doc_id)

    ledger, source = MemoryLedger(), ScriptedSource([Record() for _ in range(6)])
    pipeline = IngestionPipeline(Adapter(source, page_size=1), ledger=ledger, checkpoint_every=2)
    with pytest.raises(SinkError, match=r"callback .*store failed: ConnectionError: gone") as caught:
        await pipeline.run(callback(store))
    assert isinstance(caught.value.__cause__, ConnectionError)
    broken = False
    summary = await pipeline.run(callback(store))
    assert summary.counts["completed"] == 6
    ids = list(dict.fromkeys(taken))
    assert len(ids) == 6
    assert len(taken) >= 6


async def test_explain_says_that_it_is_at_least_once(tmp_path):
    """``explain`` says 'at least once' for a callback, even beside other outputs."""
    pipeline = IngestionPipeline(Adapter(ScriptedSource([Record()])), ledger=MemoryLedger())
    assert "at least once into callback print" in pipeline.explain(callback(print))
    both = pipeline.explain([callback(print), tmp_path / "a.jsonl"])
    assert "at least once into callback print" in both
    assert "effectively once" in both


async def test_a_record_of_another_sink_is_refused():
    """A record of another kind of output is refused."""
    with pytest.raises(SinkMismatch, match="another kind of output"):
        await callback(print).open({"format": "jsonl", "offset": 3})


async def test_it_must_be_open_and_a_function():
    """A sink that is not open, and a value that is no function, are refused with a message."""
    with pytest.raises(SinkError, match="not open"):
        await callback(print).write([document(1)])
    with pytest.raises(GraphError, match="callback takes a function, not str"):
        callback("print")
