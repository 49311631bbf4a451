"""A replay parses dead letters from the ledger's bytes into the sink, and moves no position."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from expression import Error, Ok

from penstock import Document, IngestionPipeline, RawRecord
from penstock.adapters import Adapter
from penstock.document import content_hash
from penstock.documents.letters import CUT, KEPT_BYTES
from penstock.errors import DocumentError, GraphError, LedgerError, SinkError
from penstock.ledger import MemoryLedger, SqliteLedger
from penstock.sinks import JsonLinesSink, MemorySink
from penstock.testing import run as virtually

from ..machines import Fault, Killed, Machine  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource  # noqa: TID252

SCRIPT = [Record("bad" if n % 3 == 1 else "nameless" if n == 6 else "ok") for n in range(12)]
"""Records 1, 4, 7 and 10 are refused by the parser, and 6 has no id."""


class Mended(ScriptedSource):
    """The same source with a better parser, which refuses only the keys in ``refused``; it cannot be fetched."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        super().__init__(SCRIPT)
        self.refused = refused

    def fetch(self, position: Any) -> Any:
        raise AssertionError("a replay fetches nothing")

    def identify(self, raw: RawRecord) -> str:
        return f"doc-{raw.key}"

    def parse(self, raw: RawRecord) -> Any:
        if any(raw.key.endswith(name) for name in self.refused):
            return Error(DocumentError("still bad"))
        return Ok(Document(doc_id=f"doc-{raw.key}", source="scripted", content=raw.data.decode()))


def first(ledger: Any, **options: Any) -> IngestionPipeline:
    return IngestionPipeline(Adapter(ScriptedSource(SCRIPT)), ledger=ledger, checkpoint_every=2, **options)


def second(ledger: Any, *refused: str, **options: Any) -> IngestionPipeline:
    return IngestionPipeline(Adapter(Mended(refused)), ledger=ledger, checkpoint_every=2, **options)


async def letters(ledger: Any) -> list[str]:
    await ledger.open("scripted")
    return [letter.key async for letter in ledger.dead_letters("scripted")]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_documents_that_complete_leave_the_letters_for_the_sink(kind, tmp_path) -> None:
    """Also documents without an id. A letter that fails again stays, with today's error."""
    ledger = MemoryLedger() if kind == "memory" else SqliteLedger(tmp_path / "ledger.db")
    sink = MemorySink()
    assert (await first(ledger).run(sink)).counts["failed"] == 5
    before = [document.doc_id for document in sink.documents]
    keys = await letters(ledger)
    assert len(keys) == 5
    result = await second(ledger, keys[1]).replay(sink)
    assert (result.letters, result.completed, result.failed) == (5, 4, 1)
    assert [d.doc_id for d in sink.documents[len(before) :]] == [f"doc-{k}" for k in keys if k != keys[1]]
    assert await letters(ledger) == [keys[1]]
    (letter,) = [one async for one in ledger.dead_letters("scripted")]
    assert (letter.error, letter.doc_id) == ("still bad", f"doc-{keys[1]}")
    assert [one.key for one in result.failures] == [keys[1]]
    await ledger.aclose()


async def test_a_replay_may_be_limited_to_keys() -> None:
    """The other letters stay."""
    ledger, sink = MemoryLedger(), MemorySink()
    await first(ledger).run(sink)
    keys = await letters(ledger)
    result = await second(ledger).replay(sink, keys=keys[:2])
    assert (result.letters, result.completed) == (2, 2)
    assert await letters(ledger) == keys[2:]


class Revisions(ScriptedSource):
    """Records ``id:content``: the revisions of documents, in order; the parser refuses ``refused`` contents."""

    def __init__(self, *lines: str, refused: tuple[str, ...] = ()) -> None:
        super().__init__([Record() for _ in lines])
        self.lines, self.refused = lines, refused

    def raw(self, i: int) -> RawRecord:
        return RawRecord(f"file#{i}", self.lines[i].encode())

    def identify(self, raw: RawRecord) -> str:
        return raw.data.decode().split(":")[0]

    def parse(self, raw: RawRecord) -> Any:
        doc_id, content = raw.data.decode().split(":")
        if content in self.refused:
            return Error(DocumentError(f"no {content}"))
        return Ok(
            Document(doc_id=doc_id, source="scripted", content=content, content_hash=content_hash(raw.data))
        )


def revisions(ledger: Any, *lines: str, refused: tuple[str, ...] = (), **options: Any) -> IngestionPipeline:
    source = Revisions(*lines, refused=refused)
    return IngestionPipeline(Adapter(source), ledger=ledger, checkpoint_every=1, **options)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_an_older_letter_does_not_settle_a_later_one_of_its_document(kind, tmp_path) -> None:
    """The later letter has the newest content: it stays until it completes or is dropped."""
    async with MemoryLedger() if kind == "memory" else SqliteLedger(tmp_path / "ledger.db") as ledger:
        sink = MemorySink()
        await revisions(ledger, "x:old", "x:new", refused=("old", "new")).run(sink)
        await revisions(ledger).replay(sink, keys=["file#0"])
        assert await letters(ledger) == ["file#1"]
        await revisions(ledger, refused=("new",)).replay(sink)
        assert await letters(ledger) == ["file#1"]
        await revisions(ledger).replay(sink)
        assert await letters(ledger) == []
        assert [document.content for document in sink.documents] == ["old", "new"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_every_letter_is_tried_however_many_commits_lie_between(kind, tmp_path) -> None:
    """Letters are read in pages; none is lost because an older letter completed."""
    async with MemoryLedger() if kind == "memory" else SqliteLedger(tmp_path / "ledger.db") as ledger:
        sink, others = MemorySink(), [f"y{n}:new" for n in range(150)]
        await revisions(ledger, "x:old", *others, "x:new", refused=("old", "new")).run(sink)
        result = await revisions(ledger, refused=("new",)).replay(sink)
        assert (result.letters, result.completed, result.failed) == (152, 1, 151)
        assert len(await letters(ledger)) == 151
        assert (await revisions(ledger).replay(sink)).completed == 151
        assert [document.content for document in sink.documents if document.doc_id == "x"] == ["old", "new"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_an_older_letter_that_fails_again_stays_before_a_later_one(kind, tmp_path) -> None:
    """When both complete later, the output ends with the newest content."""
    async with MemoryLedger() if kind == "memory" else SqliteLedger(tmp_path / "ledger.db") as ledger:
        sink = MemorySink()
        await revisions(ledger, "x:old", "x:new", refused=("old", "new")).run(sink)
        assert (await revisions(ledger, refused=("old",)).replay(sink, keys=["file#0"])).failed == 1
        assert await letters(ledger) == ["file#0", "file#1"]
        assert (await revisions(ledger).replay(sink)).completed == 2
        assert [document.content for document in sink.documents] == ["old", "new"]
        assert await letters(ledger) == []


async def test_a_letter_that_where_leaves_out_is_not_completed() -> None:
    """Of two letters of one document, ``where`` leaves out the first."""
    ledger, sink = MemoryLedger(), MemorySink()
    await revisions(ledger, "x:old", "x:new", refused=("old", "new")).run(sink)
    result = await revisions(ledger, where=lambda document: document.content == "new").replay(sink)
    assert (result.letters, result.completed, result.failed) == (2, 1, 0)
    assert [document.content for document in sink.documents] == ["new"]
    assert await letters(ledger) == []  # the newest content settles the older letter


async def test_a_letter_that_fails_again_is_tried_once(tmp_path) -> None:
    """Letters that are stored again during the replay are not read a second time."""
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        sink = MemorySink()
        await first(ledger).run(sink)
        keys = await letters(ledger)
        result = await second(ledger, *keys).replay(sink)
        assert (result.letters, result.failed) == (5, 5)
        assert await letters(ledger) == keys


class Huge(Mended):
    """The same source with a first record that is larger than a letter may be."""

    def raw(self, i: int) -> RawRecord:
        return RawRecord(f"file#{i}", bytes(KEPT_BYTES + 1) if i == 0 else b"small", {"number": i})

    def fetch(self, position: Any) -> Any:
        return ScriptedSource.fetch(self, position)


async def test_a_letter_that_is_too_large_keeps_its_beginning_and_is_not_parsed() -> None:
    """It stays, and the replay reports why it cannot be tried; the other letters are tried."""
    ledger, sink = MemoryLedger(), MemorySink()
    await IngestionPipeline(Adapter(Huge(("#0", "#1"))), ledger=ledger).run(sink)
    await ledger.open("scripted")
    cut, small = [letter async for letter in ledger.dead_letters("scripted")]
    assert (len(cut.raw), cut.context) == (KEPT_BYTES, {"number": 0, CUT: KEPT_BYTES + 1})
    assert (small.raw, small.context) == (b"small", {"number": 1})
    result = await second(ledger).replay(sink)
    assert (result.letters, result.completed, result.failed) == (2, 1, 1)
    assert "bytes were kept" in result.failures[0].error
    assert await letters(ledger) == ["file#0"]


async def test_a_replay_does_not_disturb_an_interrupted_run() -> None:
    """It moves neither its position nor its counts, and does not end it."""
    ledger, sink = MemoryLedger(), MemorySink()
    limited = await first(ledger, limit=6).run(sink)
    assert limited.limited
    keys = await letters(ledger)
    assert (await second(ledger).replay(sink)).completed == len(keys) == 2
    opened = await ledger.open("scripted")
    assert opened.resumed
    summary = await first(ledger).run(sink)
    assert (summary.counts["completed"], summary.counts["failed"]) == (7, 5)
    ids = [document.doc_id for document in sink.documents]
    assert len(ids) == len(set(ids)) == 9


async def test_a_replay_without_letters_does_nothing() -> None:
    """No letters, no documents, no error."""
    ledger, sink = MemoryLedger(), MemorySink()
    await IngestionPipeline(Adapter(ScriptedSource([Record()])), ledger=ledger).run(sink)
    result = await IngestionPipeline(Adapter(Mended()), ledger=ledger).replay(sink)
    assert (result.letters, result.completed, result.failed, len(sink.documents)) == (0, 0, 0, 1)


async def test_a_replay_needs_a_ledger() -> None:
    """The error names the missing argument."""
    with pytest.raises(GraphError, match="from a ledger"):
        await IngestionPipeline(Adapter(Mended())).replay(MemorySink())


async def test_a_path_is_opened_and_closed(tmp_path) -> None:
    """Ledger and sink may be given as paths."""
    ledger, out = tmp_path / "ledger.db", tmp_path / "out.jsonl"
    await first(ledger).run(out)
    assert (await second(ledger).replay(out)).completed == 5
    assert len(out.read_bytes().splitlines()) == 12
    async with SqliteLedger(ledger) as again:
        assert await letters(again) == []
    sink = JsonLinesSink(out)
    await sink.aclose()


SINKS = {"file": Machine.file_sink, "database": Machine.database, "several": Machine.several}


@pytest.mark.parametrize("kind", SINKS)
def test_after_a_replay_that_was_killed_or_failed_the_next_completes_the_output(kind: str) -> None:
    """At any call; no document is lost and none comes twice."""

    async def replayed(machine: Machine, fault: Fault) -> Any:
        one = IngestionPipeline(Adapter(Mended()), ledger=machine.ledger(fault), checkpoint_every=2)
        try:
            return await one.replay(SINKS[kind](machine, fault))
        except (Killed, LedgerError, SinkError) as error:
            return error
        finally:
            await machine.lose_power(fault.at)

    async def after(at: int, *, kill: bool, late: bool) -> tuple[list[list[str]], int, int]:
        machine, fault = Machine(), Fault(at, kill=kill, after=late)
        await first(machine.ledger(Fault())).run(SINKS[kind](machine, Fault()))
        await machine.lose_power(0)
        await replayed(machine, fault)
        await replayed(machine, Fault())
        await machine.books.open("scripted")
        outputs = [machine.file, [*machine.base.rows.values()], [*machine.other.rows.values()]]
        left = await machine.books.count_dead_letters("scripted")
        return [sorted(d.doc_id for d in output) for output in outputs], left, fault.calls

    async def main() -> None:
        whole, left, calls = await after(-1, kill=False, late=False)
        assert (left, max(map(len, whole))) == (0, 12)
        assert calls > 8
        for at in range(calls):
            for kill in (True, False):
                for late in (True, False):
                    result, left, _ = await after(at, kill=kill, late=late)
                    assert (result, left) == (whole, 0), (at, kill, late)

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
def test_after_a_killed_run_a_replay_repeats_the_counts_of_its_last_commit(kind: str) -> None:
    """Also if the sink had committed and the ledger had not confirmed it."""

    async def after(at: int, *, late: bool) -> tuple[Any, Any, int]:
        machine, fault = Machine(), Fault(at, kill=True, after=late)
        with suppress(Killed):
            await first(machine.ledger(fault)).run(SINKS[kind](machine, fault))
        await machine.lose_power(at)
        await second(machine.ledger(Fault())).replay(SINKS[kind](machine, Fault()))
        book = machine.books._entries["scripted"]
        if book.last is None:  # nothing was committed, and the replay had no letters
            return {}, {}, fault.calls
        position, sums = json.loads(book.last[1]), json.loads(book.last[3])
        reached = position["nodes"]["documents"]["counts"] if position and book.running else {}
        return sums, {name: reached[name] for name in sums if name in reached}, fault.calls

    async def main() -> None:
        _, _, calls = await after(-1, late=False)
        assert calls > 12
        for at in range(calls):
            for late in (True, False):
                sums, reached, _ = await after(at, late=late)
                assert {name: sums[name] for name in reached} == reached, (at, late)
                assert bool(sums) == bool(reached), (at, late)

    virtually(main())
