"""Records parsed by other processes: the same events in the same order, exact positions, no process left."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter, pubmed
from penstock.adapters.parsing import node, stage
from penstock.adapters.pubmed.sample import write_sample
from penstock.document import RawRecord
from penstock.errors import GraphError
from penstock.events import BatchProgress, DocumentCompleted, DocumentFailed, DocumentStarted
from penstock.ledger import SqliteLedger
from penstock.system.forks import Workers

from ...length import LONG, cases  # noqa: TID252  tests are no installed package

KILLS = 50 if LONG else 2
"""How often processes are killed: one worker, and the next time also the process that forks them."""

ZOMBIE = psutil.STATUS_ZOMBIE

KINDS = [
    "plain", "deleted", "nameless", "bad", "plain", "raises", "surrogate", "tuple", "function", "odd", "",
]  # fmt: skip


def children() -> set[int]:
    """Return the processes that this one has started and that still run, with all that they have started."""
    return {one.pid for one in psutil.Process().children(recursive=True) if one.status() != ZOMBIE}


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch):
    """Return the class of a source that worker processes can import."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from numbers_source import Numbers

    return Numbers


def told(event) -> tuple:
    """Return what an event says, without times and random ids."""
    if isinstance(event, DocumentCompleted):
        return "completed", event.doc_id, repr(event.document)
    if isinstance(event, DocumentFailed):
        return "failed", event.doc_id, event.error_type, event.key, event.raw, event.will_retry
    if isinstance(event, DocumentStarted):
        return "started", event.doc_id
    if isinstance(event, BatchProgress):
        return "progress", event.completed, event.failed, event.skipped
    return (event.old_state, event.new_state, event.reason)


def plain(text: str) -> str:
    """Return ``text`` without the addresses of functions."""
    return text.split(" at 0x", 1)[0]


async def events_of(adapter, position=None, stop_after: int | None = None, see=lambda events: None):
    """Return what all events say, and the position behind them; ``see`` gets the events."""
    found = []
    async with adapter.subscribe(position) as subscription:
        while (stop_after is None or len(found) < stop_after) and (events := await subscription.request(5)):
            see(events)
            found += [told(event) for event in events]
        place = json.loads(json.dumps(subscription.position))
    return [tuple(plain(part) if isinstance(part, str) else part for part in one) for one in found], place


async def test_the_events_are_the_same(numbers) -> None:
    """Documents, errors and their order do not depend on the number of processes; none is left behind.

    An error tells where it was raised, in the other process. A record that failed can be parsed again from its
    key, bytes and context, as dead letters store them.
    """
    source, seen = numbers(KINDS * 20), []
    one, place = await events_of(Adapter(source, processes=1))
    three, other = await events_of(Adapter(source, processes=3), see=seen.extend)
    assert three == one
    assert other == place
    assert children() == set()
    failures = [event for event in seen if isinstance(event, DocumentFailed)]
    assert {"KeyError", "DocumentError", "Odd"} == {event.error_type for event in failures}
    for failed in failures:
        if failed.error_type == "KeyError":
            assert "in parse" in (failed.traceback or "")
        if failed.raw == b"bad":
            assert source.parse(RawRecord(failed.key or "", failed.raw, failed.context)).is_error()


async def test_records_without_a_name_lose_no_other(numbers) -> None:
    """Whenever the garbage collector runs, and however many are requested, the events are the same."""
    adapter = Adapter(numbers(KINDS * 4, size=20), processes=1)
    whole, _ = await events_of(adapter)
    for n in (1, 2, 3, 5):
        found = []
        async with adapter.subscribe() as subscription:
            while events := await subscription.request(n):
                found += [
                    tuple(plain(part) if isinstance(part, str) else part for part in told(event))
                    for event in events
                ]
                gc.collect(1)
        assert found == whole


async def test_a_run_continues_exactly_with_any_number(numbers) -> None:
    """After any list of events another run goes on behind it."""
    source = numbers(KINDS * 4)
    whole, _ = await events_of(Adapter(source, processes=1))
    for first, then, events in cases([(2, 1, 21)], [(2, 1, 21), (1, 2, 33), (2, 3, 52)]):
        begun, place = await events_of(Adapter(source, processes=first), stop_after=events)
        rest, _ = await events_of(Adapter(source, processes=then), place)
        documents = [one for one in begun + rest if one[0] in ("completed", "failed", "started")]
        assert documents == [one for one in whole if one[0] in ("completed", "failed", "started")]


async def written(folder: Path, adapter, **settings):
    """Return the bytes of a run into JSON Lines, and its dead letters."""
    folder.mkdir()  # noqa: ASYNC240  quick
    output, ledger = folder / "out.jsonl", SqliteLedger(folder / "run.db")
    async with ledger:
        summary = await IngestionPipeline(adapter, ledger=ledger, **settings).run(output)
        await ledger.open("numbers")
        letters = [
            (one.key, one.doc_id, one.error_type, one.raw) async for one in ledger.dead_letters(summary.key)
        ]
    return output.read_bytes(), letters, summary.counts


async def test_the_output_is_the_same(numbers, tmp_path: Path) -> None:
    """Lines that the processes encode have the same bytes; so have those of documents that a step has changed."""

    def step(document):
        document.title += "!"
        return document

    source = numbers([kind for kind in KINDS * 20 if kind != "function"])
    runs = {
        "encoded": {}, "concurrent": {"process": [step], "concurrency": 2},
        "step": {"process": [step]}, "where": {"where": lambda document: document.title},
    }  # fmt: skip
    for name, settings in cases(list(runs.items())[:2], runs.items()):
        one, two = [
            await written(tmp_path / f"{name}{n}", Adapter(source, processes=n), **settings) for n in (1, 2)
        ]
        if name == "concurrent":
            one, two = [
                (sorted(lines.splitlines()), sorted(dead), counts) for lines, dead, counts in (one, two)
            ]
        assert two == one


async def test_hooks_see_whole_documents(numbers, tmp_path: Path) -> None:
    """A document that was encoded elsewhere is an ordinary one to whoever looks at it."""
    seen: list[list] = []
    for n in (1, 2):
        seen.append([])
        adapter = Adapter(numbers(["plain", "surrogate", "deleted"]), processes=n)
        pipeline = IngestionPipeline(adapter, hooks=[seen[-1].extend])
        await pipeline.run(tmp_path / f"{n}.jsonl")
    one, two = [[e.document for e in events if isinstance(e, DocumentCompleted)] for events in seen]
    assert two == one
    assert [type(document) for document in two] == [type(document) for document in one]


async def test_a_deadly_record_is_a_dead_letter(numbers, tmp_path: Path) -> None:
    """A record that kills each process that parses it fails; the records beside it become documents.

    A replay gives it to other processes too, also with ``processes=1``, until it can be parsed.
    """
    data = ["plain"] * 9 + ["deadly"] + ["plain"] * 9
    lines, letters, counts = await written(tmp_path / "a", Adapter(numbers(data, size=19), processes=2))
    assert (len(lines.splitlines()), counts["failed"]) == (18, 1)
    assert letters == [("n#9", "N:9", "DocumentError", b"deadly")]
    for mended, left in ((False, 1), (True, 0)):
        adapter = Adapter(numbers(data, mended=mended), processes=1)
        pipeline = IngestionPipeline(adapter, ledger=tmp_path / "a" / "run.db")
        replayed = await pipeline.replay(tmp_path / "a" / "out.jsonl")
        assert (replayed.completed, replayed.failed) == (1 - left, left)
    documents = [json.loads(line) for line in (tmp_path / "a" / "out.jsonl").read_text().splitlines()]
    assert [one["doc_id"] for one in documents].count("N:9") == 1
    assert children() == set()


async def test_a_run_parses_no_record_that_has_killed(numbers, tmp_path: Path, monkeypatch) -> None:
    """What the ledger knows as deadly goes to other processes, whatever ``processes`` is; hooks see documents.

    That also holds for the same bytes under another key. If no process can start, the record fails.
    """
    data, output, ledger = ["a", "deadly", "b"], tmp_path / "a" / "out.jsonl", tmp_path / "a" / "run.db"
    await written(tmp_path / "a", Adapter(numbers(data), processes=2))

    async def refreshed(data, **settings):
        seen: list = []
        adapter = Adapter(numbers(data, **settings), processes=1)
        summary = await IngestionPipeline(adapter, ledger=ledger, refresh=True, hooks=[seen.extend]).run(
            output
        )
        return summary.counts, [repr(one.document) for one in seen if isinstance(one, DocumentCompleted)]

    counts, _ = await refreshed(data)
    assert (counts["failed"], counts["unchanged"]) == (1, 2)
    counts, documents = await refreshed(["a", "b", "deadly"])
    assert (counts["failed"], len(documents)) == (1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "_PROGRAM", "raise RuntimeError('no such luck')")
        with pytest.warns(RuntimeWarning, match="no such luck"):
            counts, _ = await refreshed(data)
    assert counts["failed"] == 1
    counts, documents = await refreshed(data, mended=True)
    assert counts["failed"] == 0
    assert ["deadly" in one for one in documents].count(True) == 1
    async with SqliteLedger(ledger) as left:
        await left.open("numbers")
        assert await left.count_dead_letters("numbers") == 1  # of the same bytes under another key


async def test_killed_processes_are_replaced(numbers, tmp_path: Path) -> None:
    """Processes that are killed while they start or parse change nothing in the output."""
    data = [f"plain {i}" for i in range(1000 * KILLS)]
    expected = await written(tmp_path / "one", Adapter(numbers(data, size=50), processes=1))
    log, killed, parsed = tmp_path / "log", 0, set[int]()
    log.touch()

    def kill(events) -> None:
        """Kill if one process has parsed something; the others may be starting again."""
        nonlocal killed
        if killed < KILLS and any(isinstance(event, BatchProgress) for event in events):
            parsed.update(int(line.split()[1]) for line in lines)  # those since the last look
            running = psutil.Process().children(recursive=True)
            if parsed & {child.pid for child in running}:
                killed += 1
                for child in running if not killed % 2 else running[-1:]:
                    child.kill()

    with log.open() as lines:
        adapter = Adapter(numbers(data, size=50, log=str(log)), processes=2)
        assert await written(tmp_path / "two", adapter, hooks=[kill], progress_every=50) == expected
    assert killed == KILLS
    assert children() == set()


async def test_the_process_that_forks_is_killed_while_all_others_start(numbers, tmp_path: Path) -> None:
    """Its death, which ends all of them, counts as one: others take their places."""
    from numbers_source import Gated

    data, gate = ["plain"] * 600, tmp_path / "gate"
    expected = await events_of(Adapter(numbers(data), processes=1))

    async def kill() -> None:
        while len(running := psutil.Process().children(recursive=True)) < 1 + 6:  # noqa: ASYNC110  the system sets no event
            await asyncio.sleep(0.01)
        running[0].kill()
        gate.touch()

    killer = asyncio.create_task(kill())
    assert await events_of(Adapter(Gated(data, log=str(gate)), processes=6)) == expected
    await killer
    assert children() == set()


async def test_if_no_process_starts_this_one_parses(numbers, monkeypatch) -> None:
    """The run says so in a warning, and its events are the same."""
    source = numbers(KINDS * 3)
    expected = await events_of(Adapter(source, processes=1))
    monkeypatch.setattr(stage, "_PROGRAM", "raise RuntimeError('no such luck')")
    with pytest.warns(RuntimeWarning, match=r"died \(exit code 1\): RuntimeError: no such luck"):
        assert await events_of(Adapter(source, processes=2)) == expected


async def test_by_default_processes_start_if_it_pays(numbers, tmp_path: Path, monkeypatch) -> None:
    """A small input starts none. A large one begins in this process, and goes on in others in the same order."""
    log = tmp_path / "log"

    def parsed_in() -> set[str]:
        return {line.split()[1] for line in log.read_text().splitlines()}

    data = [f"plain {i}" for i in range(1500)]
    expected = await events_of(Adapter(numbers(data), processes=1))
    monkeypatch.setattr(node, "usable_cores", lambda: 2)
    assert await events_of(Adapter(numbers(data[:50], log=str(log)), processes=None))
    assert parsed_in() == {str(os.getpid())}
    monkeypatch.setattr(stage, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(stage, "UNKNOWN_WORK", 0.0)

    adapter = Adapter(numbers(data, log=str(log)), processes=None)
    found = []
    async with adapter.subscribe() as subscription:
        while events := await subscription.request(1 if len(parsed_in()) == 1 else 100):
            found += [told(event) for event in events]
            await asyncio.sleep(0.01)  # long enough for the processes to start before the input ends
    assert [
        tuple(plain(part) if isinstance(part, str) else part for part in one) for one in found
    ] == expected[0]
    assert len(parsed_in()) > 1
    assert children() == set()


async def test_memory_is_bounded(numbers) -> None:
    """No more records are fetched than ``max_in_flight`` says."""
    taken = 0

    class Counted(numbers):
        async def fetch(self, position):
            nonlocal taken
            async for page in super().fetch(position):
                taken += len(page.items)
                yield page

        def __reduce__(self):
            return numbers, (self.data, self.size)

    adapter = Adapter(Counted(["plain"] * 3000, size=10), page_size=10, processes=2)
    async with adapter.subscribe() as subscription:
        for _ in range(5):
            await subscription.request(3)
        for _ in itertools.repeat(None, 50):
            await asyncio.sleep(0.01)
            assert taken <= adapter.max_in_flight(3)
    assert taken > 10
    assert children() == set()


async def test_unchanged_records_are_not_parsed(numbers, tmp_path: Path) -> None:
    """A refresh asks the ledger first, and parses only what is new."""
    log, ledger, output = tmp_path / "log", tmp_path / "run.db", tmp_path / "out.jsonl"
    await IngestionPipeline(Adapter(numbers(["a"] * 30)), ledger=ledger).run(output)
    changed = numbers(["a"] * 29 + ["b"], log=str(log))
    adapter = Adapter(changed, processes=2)
    summary = await IngestionPipeline(adapter, ledger=ledger, refresh=True).run(output)
    assert (summary.counts["unchanged"], summary.counts["changed"]) == (29, 1)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["n#29"]


async def test_cancelled_at_any_time_no_process_is_left(numbers) -> None:
    """Cancelling ends the processes, whether they are starting or working."""
    for delay in (0, 0.01, 0.3):
        task = asyncio.create_task(events_of(Adapter(numbers(["plain"] * 5000), processes=2)))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
        assert children() == set()


PARENT = """
import asyncio, sys
from penstock.adapters import pubmed

async def main():
    async with pubmed(sys.argv[1], processes=2).subscribe() as subscription:
        for _ in range(2):  # the first events come before any record
            await subscription.request(3)
        print("events", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_killed_parent_leaves_no_orphans(tmp_path: Path) -> None:
    """SIGKILL cannot be handled; the processes end because their pipes close."""
    write_sample(tmp_path / "n.xml", 300)
    command = [sys.executable, "-c", PARENT, str(tmp_path / "n.xml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"events\n"
        workers = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert len(workers) >= 2
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []


def test_a_source_that_cannot_be_sent(numbers) -> None:
    """It is refused when the adapter is built, with what to do."""
    source = numbers(["plain"])
    source.client = lambda: None
    Adapter(source)
    with pytest.raises(GraphError, match=r"cannot be sent to other processes .* pass processes=1"):
        Adapter(source, processes=2)


async def test_pubmed_is_the_same(tmp_path: Path) -> None:
    """Tombstones, malformed records and several files included."""
    write_sample(tmp_path / "n1.xml.gz", 160, seed=1, deletions=4)
    write_sample(tmp_path / "n2.xml", 0, seed=2)
    write_sample(tmp_path / "n3.xml", 5, seed=3, malformed=2)
    one, two = [await events_of(pubmed(tmp_path / "n*", page_size=30, processes=n)) for n in (1, 2)]
    assert two == one


async def test_pubmed_names_a_record_without_a_parser(tmp_path: Path) -> None:
    """A look at the bytes finds the id of every usual record, and of no other."""
    write_sample(tmp_path / "n.xml", 20, deletions=2)
    source = pubmed(tmp_path / "n.xml").source
    records = [raw async for page in source.fetch(None) for raw in page.items]
    assert [source.glance(raw) for raw in records] == [source.identify(raw) for raw in records]
    assert source.glance(RawRecord("k", b"<PubmedArticle><Other/></PubmedArticle>")) is None


THREADED = """
import sys, threading
from numbers_source import Numbers

class Threaded(Numbers):
    pass

if "pytest" not in sys.modules:  # in another process
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


async def test_a_process_with_threads_is_not_forked(numbers, tmp_path: Path, monkeypatch) -> None:
    """If the module of the source starts a thread, each worker is started afresh, and the events are the same."""
    (tmp_path / "threaded.py").write_text(THREADED)
    monkeypatch.syspath_prepend(str(tmp_path))
    from threaded import Threaded

    monkeypatch.setattr(Workers, "_child", None)  # a fork would be an error
    expected = await events_of(Adapter(numbers(KINDS), processes=1))
    assert await events_of(Adapter(Threaded(KINDS), processes=2)) == expected
    assert children() == set()
