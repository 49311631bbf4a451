"""What a run held is released, also if nobody can end the run any more."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..postgres import PostgresServer  # noqa: TID252

SCRIPT = Path(__file__).with_name("leave_in_mid_run.py")


def pipeline(ledger: Any) -> IngestionPipeline:
    source = ScriptedSource([Record() for _ in range(8)])
    return IngestionPipeline(Adapter(source, page_size=2), ledger=ledger, checkpoint_every=2)


@pytest.mark.parametrize("kind", ["files", "postgres"])
def test_a_run_whose_loop_was_closed_is_gone_on_from(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Its ledger and outputs are released, whether its task is still referenced or not; a warning says where it began.

    In a process of its own, because asyncio reports the tasks that are destroyed. Python reports nothing else.
    """
    jobs = [["run.db", "out.jsonl"], ["rows.db", "sqlite:///out.db"], ["duck.db", "duckdb:///out.duckdb"]]
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        jobs = [[server.database(), server.database()]]
    words = [sys.executable, "-W", "always", str(SCRIPT), json.dumps(jobs)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["completed", "8"] * len(jobs) * 2, done.stderr
    assert f"ResourceWarning: the run that began at {SCRIPT}:" in done.stderr
    if sys.version_info < (
        3,
        13,
    ):  # from then on Python reports what a dropped coroutine met while it closed itself
        assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_generators_of_events_may_be_dropped_one_after_the_other(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Each new pipeline waits for the one before, which closes in the background."""
    ledger: Any = tmp_path / "run.db"
    if kind == "postgres":
        ledger = request.getfixturevalue("postgres_server").database()

    async def main() -> None:
        for _ in range(5):
            events = pipeline(ledger).stream_events()
            async for _event in events:
                break
            del events

    asyncio.run(main())


def test_a_later_change_of_the_folder_changes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    """Relative paths of outputs and the ledger are fixed when they are opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    outputs = ["out.jsonl", "out.parquet", "sqlite:///out.db", "duckdb:///out.duckdb"]

    def run(move: Callable[[Any], Any]) -> Any:
        source = ScriptedSource([Record() for _ in range(8)])
        return asyncio.run(
            IngestionPipeline(
                Adapter(source, page_size=2), ledger="run.db", process=[move], checkpoint_every=2
            ).run(outputs)
        )

    def move(document: Any) -> Any:
        monkeypatch.chdir(tmp_path / "elsewhere")
        return document

    assert run(move).state == "completed"
    assert not [*(tmp_path / "elsewhere").iterdir()]
    monkeypatch.chdir(tmp_path)
    assert run(lambda document: document).nothing_to_do
