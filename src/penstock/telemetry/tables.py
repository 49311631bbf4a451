"""Recordings as a table ``events``, for queries over runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError, MissingExtra
from penstock.telemetry.recording import read_recording

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 10_000
_KINDS = {
    "string": "type pipeline_id adapter doc_id error error_type traceback old_state new_state reason",
    "float64": "timestamp duration rate eta_seconds",
    "int64": "retry_count completed failed skipped in_flight estimated_total",
    "bool_": "is_retryable will_retry is_checkpoint",
}
_COLUMNS = {name: kind for kind, names in _KINDS.items() for name in names.split()}
"""The fields of all events, without documents, parameters and metadata. A field that is absent is null."""


def recording_to_parquet(recording: str | os.PathLike[str], path: str | os.PathLike[str]) -> int:
    """Write the events of a recording as one Parquet file, and return how many there are.

    An existing file is replaced when the new one is complete. Documents themselves are left out. At most
    10,000 events are in memory.

    Raises:
        MissingExtra: pyarrow is not installed.
        FileNotFoundError, WireError: as ``read_recording``.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("recording_to_parquet", "parquet") from error
    target = Path(path)
    partial = target.with_name(f".{target.name}.part")
    rows = 0
    try:
        with parquet.ParquetWriter(partial, _schema(), compression="zstd") as writer:
            for batch in _batches(recording):
                writer.write_batch(batch)
                rows += batch.num_rows
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def recording_to_duckdb(
    recording: str | os.PathLike[str], path: str | os.PathLike[str], *, table: str = "events"
) -> int:
    """Write the events of a recording into a table of a DuckDB file, and return how many there are.

    A table of this name is replaced, in one transaction.

    Raises:
        MissingExtra: duckdb or pyarrow is not installed.
        GraphError: ``table`` is no plain name.
        FileNotFoundError, WireError: as ``read_recording``.
    """
    try:
        import duckdb
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtra("recording_to_duckdb", "duckdb") from error
    if not table.isidentifier():
        raise GraphError(f"table= must be a plain name, such as 'events', not {table!r}")
    rows = 0
    with duckdb.connect(os.fspath(path)) as database:
        database.begin()
        database.register("penstock_batch", _schema().empty_table())
        database.execute(f'CREATE OR REPLACE TABLE "{table}" AS SELECT * FROM penstock_batch')  # noqa: S608  a plain name
        for batch in _batches(recording):
            database.register("penstock_batch", pa.Table.from_batches([batch]))
            database.execute(f'INSERT INTO "{table}" SELECT * FROM penstock_batch')  # noqa: S608  a plain name
            rows += batch.num_rows
        database.commit()
    return rows


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, getattr(pa, kind)()) for name, kind in _COLUMNS.items()])


def _batches(recording: str | os.PathLike[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    schema, events = _schema(), read_recording(recording)
    while page := [*islice(events, _BATCH)]:
        columns: list[list[Any]] = [[type(event).__name__ for event in page]]
        columns += [[getattr(event, name, None) for event in page] for name in [*_COLUMNS][1:]]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
        yield pa.record_batch(arrays, schema=schema)
