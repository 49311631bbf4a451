"""Recordings: what is written is read back, whatever rotation, crashes and full disks do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from penstock import AdapterStateChange, BatchProgress, DocumentStarted, IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import GraphError
from penstock.events import encode
from penstock.sinks import MemorySink
from penstock.telemetry import Recorder, read_recording, recording_to_duckdb, recording_to_parquet

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from pathlib import Path

    from penstock import PipelineEvent

EVENTS = [DocumentStarted(float(n), "run", f"d{n:03}", "a") for n in range(100)]
LINE = len(encode(EVENTS[0]))


def written(path: Path, events: list[DocumentStarted], **options: int) -> Recorder:
    """Write events in lists of three; return the closed recorder."""
    recorder = Recorder(path, **options)
    for n in range(0, len(events), 3):
        recorder(events[n : n + 3])
    recorder.close()
    return recorder


def recorded(path: Path) -> list[PipelineEvent]:
    """Record a run with a failure, a retry and checkpoints; return its events."""
    seen: list[PipelineEvent] = []
    script = [*[Record()] * 20, Record("bad"), Record(flaky=1)]
    pipeline = IngestionPipeline(
        Adapter(ScriptedSource(script)), hooks=[Recorder(path), seen.extend], progress_every=5
    )
    asyncio.run(pipeline.run(MemorySink()))
    return seen


def test_a_recording_is_complete_when_the_run_returns(tmp_path: Path) -> None:
    """It reads back equal to what another hook got, and a second run appends."""
    path = tmp_path / "new" / "run.ndjson"
    first = recorded(path)
    lines = [*map(encode, read_recording(path))]
    assert lines == [*map(encode, first)]
    second = recorded(path)
    assert [*map(encode, read_recording(path))] == [*lines, *map(encode, second)]


@pytest.mark.parametrize(("keep", "left"), [(50, 100), (3, 33)])
def test_rotation_keeps_the_last_files_in_order(tmp_path: Path, keep: int, left: int) -> None:
    """All events come back in order; with few files kept, the last ones do."""
    path = tmp_path / "run.ndjson"
    (tmp_path / "run.ndjson.other").touch()
    written(path, EVENTS, rotate_bytes=9 * LINE, keep=keep)
    found = [*read_recording(path)]
    assert found == EVENTS[-len(found) :]
    assert left - 9 < len(found) <= left + 9
    assert all(file.stat().st_size <= 11 * LINE for file in tmp_path.iterdir())
    assert len([*tmp_path.iterdir()]) <= keep + 2


def test_a_recording_that_is_long_enough_rotates_when_it_is_opened(tmp_path: Path) -> None:
    """A run of one short list of events after another does not let the file grow without bound."""
    path = tmp_path / "run.ndjson"
    for n in range(4):
        recorder = Recorder(path, rotate_bytes=9 * LINE, keep=9)
        recorder(EVENTS[10 * n : 10 * n + 10])
        recorder.close()
    assert all(file.stat().st_size <= 11 * LINE for file in tmp_path.iterdir())
    assert [*read_recording(path)] == EVENTS[:40]


@pytest.mark.parametrize("torn", range(1, 200, 40))
def test_a_torn_line_is_left_out_and_cut_off(tmp_path: Path, torn: int) -> None:
    """A crash leaves half of a line: it is not read, and the next recorder writes in its place."""
    path = tmp_path / "run.ndjson"
    written(path, EVENTS[:10])
    path.write_bytes(path.read_bytes()[:-torn])
    whole = [*read_recording(path)]
    assert whole == EVENTS[: len(whole)]
    written(path, EVENTS[10:20])
    assert [*read_recording(path)] == whole + EVENTS[10:20]


def test_a_disk_that_is_full_ends_no_run_and_tears_no_line(tmp_path: Path) -> None:
    """Failures are counted, and what is in the file can be read."""
    recorder = written(tmp_path, EVENTS)  # a folder cannot be opened as a file
    assert (recorder.delivered, recorder.failures) == (0, 34)


def test_the_table_of_events_has_a_row_for_each(tmp_path: Path) -> None:
    """Parquet and DuckDB hold the fields of each event in order; a second call replaces them."""
    import duckdb
    import pyarrow.parquet as pq

    events = recorded(tmp_path / "run.ndjson")
    for _ in range(2):
        assert recording_to_parquet(tmp_path / "run.ndjson", tmp_path / "e.parquet") == len(events)
        assert recording_to_duckdb(tmp_path / "run.ndjson", tmp_path / "e.duckdb") == len(events)
    rows = pq.read_table(tmp_path / "e.parquet").to_pylist()
    with duckdb.connect(str(tmp_path / "e.duckdb"), read_only=True) as database:
        found = database.sql("SELECT * FROM events").to_arrow_table().to_pylist()
    assert rows == found
    names = [*rows[0]][1:]
    wanted = [{name: getattr(event, name, None) for name in names} for event in events]
    assert [{name: row[name] for name in names} for row in rows] == wanted
    assert [row["type"] for row in rows] == [type(event).__name__ for event in events]
    states = [row["new_state"] for row in rows if row["type"] == AdapterStateChange.__name__]
    assert states == ["running", "completed"]
    assert [row["completed"] for row in rows if row["type"] == BatchProgress.__name__][-1] == 21
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.duckdb", "e.parquet", "run.ndjson"]


def test_mistakes_are_refused(tmp_path: Path) -> None:
    """Arguments are checked at once; a recording that is not there is an error, not an empty one."""
    for wrong in ({"rotate_bytes": 0}, {"keep": 0}, {"queue": 0}):
        with pytest.raises(GraphError):
            Recorder(tmp_path / "x", **wrong)
    with pytest.raises(FileNotFoundError):
        [*read_recording(tmp_path / "x")]
    with pytest.raises(FileNotFoundError):
        recording_to_parquet(tmp_path / "x", tmp_path / "y")
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(GraphError, match="plain name"):
        recording_to_duckdb(tmp_path / "x", tmp_path / "y", table='a"b')
