"""A ledger that is older than the output: it was restored from a backup, or deleted."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import SinkMismatch
from penstock.ledger import SqliteLedger

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package
from ..sinks.databases import DuckDBKind, SqliteKind  # noqa: TID252

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["ok", "bad", "ok", "ok", "bad", "ok", "ok", "bad", "ok", "ok"]


async def ingest(folder: Path, database: Any, records: int, **options: Any) -> Any:
    pipeline = IngestionPipeline(
        Adapter(ScriptedSource([Record(kind) for kind in KINDS[:records]]), page_size=2),
        ledger=folder / "run.db",
        retry=None,
        checkpoint_every=2,
        **options,
    )
    return await pipeline.run(database.new())


async def state(folder: Path, database: Any) -> Any:
    async with SqliteLedger(folder / "run.db") as ledger:
        await ledger.open("scripted")
        dead = [letter.key async for letter in ledger.dead_letters("scripted")]
        return database.documents(), dead, await ledger.tally("scripted")


@pytest.mark.parametrize("kind", [SqliteKind, DuckDBKind])
@pytest.mark.parametrize("how", ["deleted", "restored"])
def test_an_older_ledger_is_refused_and_a_refresh_goes_on(tmp_path: Path, kind: Any, how: str) -> None:
    """The error says which is older. After a refresh the output and the ledger are those of an undisturbed run."""

    async def main() -> None:
        (tmp_path / "other").mkdir()
        database, other = kind(tmp_path), kind(tmp_path / "other")
        await ingest(tmp_path / "other", other, len(KINDS))
        await ingest(tmp_path, database, 4)
        shutil.copy(tmp_path / "run.db", tmp_path / "backup.db")
        await ingest(tmp_path, database, len(KINDS))
        wanted = await state(tmp_path, database)
        assert wanted == await state(tmp_path / "other", other)
        (tmp_path / "run.db").unlink()
        if how == "restored":
            shutil.copy(tmp_path / "backup.db", tmp_path / "run.db")
        at = 0 if how == "deleted" else 3
        for _ in range(2):
            with pytest.raises(
                SinkMismatch, match=rf"is older than the output: it is at commit {at}, but .*--refresh"
            ):
                await ingest(tmp_path, database, len(KINDS))
        await ingest(tmp_path, database, len(KINDS), refresh=True)
        assert await state(tmp_path, database) == wanted
        assert (await ingest(tmp_path, database, len(KINDS))).nothing_to_do

    asyncio.run(main())


def test_a_file_is_cut_back_to_an_older_ledger(tmp_path: Path) -> None:
    """A file follows its ledger, so nothing is missing afterwards."""

    async def run(records: int) -> None:
        pipeline = IngestionPipeline(
            Adapter(ScriptedSource([Record(kind) for kind in KINDS[:records]]), page_size=2),
            ledger=tmp_path / "run.db", retry=None, checkpoint_every=2,
        )  # fmt: skip
        await pipeline.run(tmp_path / "out.jsonl")

    async def main() -> None:
        await run(4)
        shutil.copy(tmp_path / "run.db", tmp_path / "backup.db")
        await run(len(KINDS))
        wanted = (tmp_path / "out.jsonl").read_bytes()
        shutil.move(tmp_path / "backup.db", tmp_path / "run.db")
        await run(len(KINDS))
        assert (tmp_path / "out.jsonl").read_bytes() == wanted
        async with SqliteLedger(tmp_path / "run.db") as ledger:
            await ledger.open("scripted")
            assert await ledger.count_dead_letters("scripted") == KINDS.count("bad")

    asyncio.run(main())
