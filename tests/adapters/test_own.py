"""``adapter(name, fetch, parse)``: records of any kind, ids, pages with positions, cuts and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from expression import Error, Ok

from penstock import Document, IngestionPipeline, Page, RawRecord
from penstock.adapters import adapter
from penstock.errors import DocumentError, GraphError


async def documents(of: Any) -> list[tuple[str, Any]]:
    return [(d.doc_id, d.metadata) for d in (await IngestionPipeline(of).run_async()).documents]


async def failures(of: Any) -> list[str]:
    return [str(f.error) for f in (await IngestionPipeline(of).run_async()).failures]


async def test_a_list() -> None:
    """A dictionary is the metadata; its field ``id`` is the id, otherwise the place is."""
    records = [{"id": 1, "t": "a"}, {"t": "b"}, {"id": "x:9"}]
    assert await documents(adapter("notes", records)) == [
        ("notes:1", records[0]), ("notes#1", records[1]), ("x:9", records[2])
    ]  # fmt: skip


async def test_generators_and_kinds_of_records() -> None:
    """``parse`` gets a record as ``fetch`` yielded it: JSON, text or bytes, from a plain or an async generator."""
    got: list[Any] = []

    def parse(record: Any) -> dict[str, Any]:
        got.append(record)
        return {"kind": type(record).__name__}

    async def records() -> Any:
        for record in ({"id": 1}, [1, 2], "té\ud800xt", b"\xff", 5, None, RawRecord("own", b'{"id": 7}')):
            yield record

    found = await documents(adapter("n", records, parse, identify=lambda record: repr(record)[:9].strip()))
    assert got == [{"id": 1}, [1, 2], "té\ud800xt", b"\xff", 5, None, {"id": 7}]
    assert [metadata["kind"] for _, metadata in found] == [
        "dict",
        "list",
        "str",
        "bytes",
        "int",
        "NoneType",
        "dict",
    ]
    assert [
        doc_id for doc_id, _ in await documents(adapter("n", lambda: (n for n in "ab"), lambda r: {"r": r}))
    ] == ["n#0", "n#1"]


async def test_what_parse_may_return() -> None:
    """A document, a result, or a ``DocumentError`` that is raised; anything else is a bad record."""

    def parse(n: int) -> Any:
        if n == 3:
            raise DocumentError("three")
        made = {"n": n}
        return [
            Document(doc_id="own", source="s"),
            Ok(made),
            Error("two"),
            None,
            "text",
            Error(DocumentError("five")),
        ][n]

    flow = adapter("n", range(6), parse)
    assert await documents(flow) == [("own", {}), ("n#1", {"n": 1})]
    assert await failures(flow) == [
        "two",
        "three",
        "parse must return a Document or a dictionary, not str",
        "five",
    ]


async def test_bad_ids() -> None:
    """An id that is none is a dead letter; an error of ``identify`` too."""
    assert await failures(adapter("n", [1], lambda r: {}, identify=lambda r: "")) == [
        "identify returned '' for the record n#0, which is no id"
    ]
    assert "by zero" in (await failures(adapter("n", [1], lambda r: {}, identify=lambda r: 1 // 0)))[0]


def items() -> Any:
    return ({"id": n} for n in range(7))


async def pages(position: Any) -> Any:
    for begin in range(position or 0, 7, 3):
        yield Page([{"n": n} for n in range(begin, min(begin + 3, 7))], begin + 3)


@pytest.mark.parametrize(
    "fetch", [items, pages, [{"id": n} for n in range(7)]], ids=["items", "pages", "list"]
)
async def test_a_run_can_be_cut_anywhere(fetch: Any) -> None:
    """What comes before and after any cut is what a whole run gives."""

    def told(events: list[Any]) -> list[Any]:
        return [(type(e).__name__, e.doc_id) for e in events if type(e).__name__.startswith("Document")]

    flow = adapter("n", fetch, page_size=3)
    whole = await flow.to_list()
    assert len({doc_id for _, doc_id in told(whole)}) == 7
    for cut in range(1, len(whole)):
        async with flow.subscribe() as subscription:
            seen: list[Any] = []
            while len(seen) < cut:
                seen += await subscription.request(1)
            position = json.loads(json.dumps(subscription.position))
        async with flow.subscribe(position) as subscription:
            while events := await subscription.request(100):
                seen += events
        assert told(seen) == told(whole), cut


async def test_it_is_an_adapter_like_others(tmp_path: Path) -> None:
    """Sinks, ledgers and skipping work; its parameters are in the events."""
    flow = adapter("n", items, parameters={"q": 1})
    assert {e.parameters["q"] for e in await flow.to_list() if type(e).__name__ == "DocumentStarted"} == {1}
    run = IngestionPipeline(flow, ledger=tmp_path / "run.db").run
    assert (await run(tmp_path / "out.jsonl")).counts["completed"] == 7
    assert (await run(tmp_path / "out.jsonl")).nothing_to_do


def test_mistakes_are_refused_at_once() -> None:
    """Each says what came and what is wanted."""
    for fetch in (iter([1]), items(), pages(None)):
        with pytest.raises(GraphError, match=r"fetch .*iterator runs once|An iterator runs once"):
            adapter("n", fetch)
    with pytest.raises(GraphError, match="a list or a function"):
        adapter("n", 5)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="parse"):
        adapter("n", [], 5)  # type: ignore[arg-type]


async def test_mistakes_that_show_when_it_runs() -> None:
    """A position without pages, and a record that is no JSON, end the run with a sentence."""
    with pytest.raises(GraphError, match=r"must yield Page\(records, position\), not int"):
        await documents(adapter("n", lambda position: [1]))
    with pytest.raises(TypeError, match="the record n#0 is not JSON, text or bytes, but object"):
        await documents(adapter("n", [object()]))
