"""A run that ends before its first record was read, or its output was accepted, leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import PenstockError
from penstock.ledger import MemoryLedger, read_status
from penstock.sinks import SeveralSinks, sink_from

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package
from ..sinks.databases import PostgresKind  # noqa: TID252

if TYPE_CHECKING:
    from pathlib import Path


OUTPUTS = (
    "o.jsonl", "o.jsonl.gz", "o.jsonl.zst", "o.csv", "folder/", "sqlite:///{}/o.db", "duckdb:///{}/o.duckdb",
    "sqlite:///{}/n.db?tables=normalized", "duckdb:///{}/n.duckdb?tables=normalized",
)  # fmt: skip
"""One of each kind."""


def target(output: str, folder: Path) -> str:
    """Return an output in ``folder``."""
    return output.format(folder) if "{}" in output else f"{folder}/{output}"


def several(folder: Path) -> SeveralSinks:
    """Return one sink for an output of each kind."""
    return SeveralSinks(*(sink_from(target(output, folder)) for output in OUTPUTS))


def content(folder: Path) -> dict[str, bytes | None]:
    """Return everything in ``folder``: the bytes of each file, and ``None`` for a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def pipeline(ledger: Any, *, down: bool = False, records: int = 3, **options: Any) -> IngestionPipeline:
    source = ScriptedSource([Record()] * records, down={0: 1} if down else {})
    return IngestionPipeline(Adapter(source, page_size=3), ledger=ledger, retry=None, **options)


async def refused(run: Any) -> None:
    with pytest.raises((PenstockError, ConnectionError)):
        await run


async def test_an_input_that_cannot_be_read_leaves_no_output(tmp_path: Path) -> None:
    """No file, folder or table is new afterwards, for every output, with and without a ledger or restart."""
    for output in OUTPUTS:
        for ledger in (None, tmp_path / "new" / "run.db"):
            for restart in (False, True):
                run = pipeline(ledger, down=True, restart=restart)
                await refused(run.run(target(output, tmp_path / "new" / "deep")))
                assert content(tmp_path) == {}, (output, ledger, restart)
    await refused(pipeline(tmp_path / "new" / "run.db", down=True).run(several(tmp_path / "new" / "deep")))
    assert content(tmp_path) == {}


async def test_a_refused_output_leaves_everything_as_it_was(tmp_path: Path) -> None:
    """The outputs before it go again, and the ledger knows of no run."""
    (tmp_path / "folder").mkdir()
    for name in ("o.jsonl", "o.csv", "folder/notes.txt", "o.db", "o.duckdb", "n.db", "n.duckdb"):
        (tmp_path / name).write_text("This is somebody's text." * 9)
    before = content(tmp_path)
    for output in (one for one in OUTPUTS if "." not in one or not one.endswith(("gz", "zst"))):
        other = sink_from(target(output, tmp_path))
        await refused(pipeline(tmp_path / "run.db").run(other))
        await refused(
            pipeline(tmp_path / "run.db").run(SeveralSinks(*several(tmp_path / "new").sinks, other))
        )
        assert content(tmp_path) == before, output


async def test_a_database_that_exists_loses_only_the_new_table(request: Any, tmp_path: Path) -> None:
    """Another table of the database, and its row of commits, stay; the new table and its children go."""
    postgres = PostgresKind(request.getfixturevalue("postgres_server"))
    server = postgres.base + ("&" if "?" in postgres.base else "?")
    bases = [f"sqlite:///{tmp_path}/o.db?", f"duckdb:///{tmp_path}/o.duckdb?", server]
    for base in bases:
        await pipeline(tmp_path / "run.db", key="old").run(f"{base}table=old")
        for more in ("", "&tables=normalized"):
            await refused(pipeline(tmp_path / "run.db", down=True).run(f"{base}table=new{more}"))
            table = sink_from(f"{base}table=new{more}")._table  # type: ignore[attr-defined]
            table.connect()
            assert (table.columns("new"), table.children.lost()) == (
                [],
                [c.table for c in table.children.tables],
            )
            assert table.columns("old")
            assert table.execute(f"SELECT table_name FROM {table.commits}") == [("old",)]  # noqa: S608
            table._discard()
        (tmp_path / "run.db").unlink()


async def test_the_ledger_is_as_it_was(tmp_path: Path) -> None:
    """A completed run stays the last one, and a stopped run, a broken-off one and a refused replay leave none."""
    ledger, sink = tmp_path / "run.db", tmp_path / "o.jsonl"
    await pipeline(ledger).run(sink)
    (completed,) = read_status(ledger)
    await refused(pipeline(ledger, down=True, refresh=True).run(sink))
    await refused(pipeline(ledger).run(tmp_path / "other.jsonl"))
    await refused(pipeline(ledger).replay(tmp_path / "other.jsonl"))
    await refused(pipeline(ledger, down=True, refresh=True).run_async())
    stopped = pipeline(ledger, key="other")
    stopped.stop()
    await stopped.run(tmp_path / "other.jsonl")
    assert read_status(ledger) == [completed]
    assert not (tmp_path / "other.jsonl").exists()


@pytest.mark.slow
async def test_a_restart_that_reads_no_record_leaves_the_former_output(tmp_path: Path) -> None:
    """So it is for every output, with and without a ledger: after a failure, a stop, and an empty input.

    The ledger shows the same runs, and the next plain call has nothing to do.
    """
    ledger = tmp_path / "run.db"
    for n, output in enumerate((*OUTPUTS, None)):
        key, sink = f"{n}", target(output, tmp_path) if output else several(tmp_path / "all")
        await pipeline(ledger, key=key).run(sink)
        outputs = {name: data for name, data in content(tmp_path).items() if "run.db" not in name}
        status = read_status(ledger)
        for books in (ledger, None) if output else (ledger,):
            again = {"ledger": books, "key": key, "restart": True}
            with pytest.raises(ConnectionError) as raised:
                await pipeline(**again, down=True).run(sink)
            assert "what it would have emptied is unchanged" in str(raised.value.__notes__)
            stopped = pipeline(**again)
            stopped.stop()
            await stopped.run(sink)
            empty = await pipeline(**again, records=0).run(sink)
            assert "no documents" in (empty.warning or "")
            after = {name: data for name, data in content(tmp_path).items() if "run.db" not in name}
            assert after == outputs, (output, books)
            assert read_status(ledger) == status, (output, books)
        assert (await pipeline(ledger, key=key).run(sink)).nothing_to_do


async def test_a_restart_without_an_output_forgets_with_its_first_record(tmp_path: Path) -> None:
    """A consumer of events that gets none leaves the ledger as it was; one that gets a record has restarted."""
    ledger = tmp_path / "run.db"
    await pipeline(ledger).run_async()
    before = read_status(ledger)
    await refused(pipeline(ledger, down=True, restart=True).run_async())
    assert read_status(ledger) == before
    async for _ in pipeline(ledger, restart=True).iter_results():
        break
    (status,) = read_status(ledger)
    assert (status.epoch, status.position) == (0, None)
    assert len((await pipeline(ledger).run_async()).documents) == 3


async def test_a_restart_takes_what_earlier_runs_completed(tmp_path: Path) -> None:
    """The records before the ledger has forgotten are not compared with it; nothing is skipped."""
    ledger, sink = tmp_path / "run.db", tmp_path / "o.jsonl"
    for restart in (False, True, True):
        summary = await pipeline(ledger, restart=restart).run(sink)
        assert (summary.counts["completed"], summary.counts["skipped"]) == (3, 0)
        (status,) = read_status(ledger)
        assert (summary.run, summary.resumed) == (status.run, False)


async def test_what_was_read_stays(tmp_path: Path) -> None:
    """A run whose source fails behind the first page is kept, with its documents; the next run goes on."""
    source = ScriptedSource([Record()] * 6, down={3: 1})
    for _ in range(2):
        run = IngestionPipeline(Adapter(source, page_size=3), ledger=tmp_path / "run.db", retry=None)
        try:
            summary = await run.run(tmp_path / "o.jsonl")
        except ConnectionError:
            assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 3
    assert (summary.run, summary.resumed, summary.counts["completed"]) == (1, True, 6)


def test_a_ledger_in_memory_forgets_too(tmp_path: Path) -> None:
    """The next run is the first one."""
    ledger = MemoryLedger()

    async def main() -> int:
        await refused(pipeline(ledger, down=True).run(tmp_path / "o.jsonl"))
        return (await pipeline(ledger).run(tmp_path / "o.jsonl")).run

    assert asyncio.run(main()) == 1
