"""Outputs in files on a disk that loses what was not fsynced: how to make each sink, and how to read it back."""

from __future__ import annotations

import gzip
import json
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from penstock.sinks import JsonLinesSink, ParquetSink

from ..endtoend.outputs import unpack_zstd  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Sink
    from penstock.testing.faults import FragileDisk

FOLDER = Path("/disk")


def lines(name: str, unpack: Callable[[bytes], bytes], disk: FragileDisk) -> list[Any]:
    return [json.loads(line) for line in unpack(disk.content(FOLDER / name)).splitlines()]


def rows(disk: FragileDisk) -> list[Any]:
    folder = FOLDER / "out.parquet"
    parts = [name for name in disk.names(folder) if name.startswith("part-")]
    tables = [pq.read_table(BytesIO(disk.content(folder / name))) for name in parts]
    return [row for table in tables for row in table.to_pylist()]


FILES: dict[str, tuple[Callable[..., Sink], Callable[[FragileDisk], list[Any]]]] = {
    "jsonl": (partial(JsonLinesSink, FOLDER / "out.jsonl"), partial(lines, "out.jsonl", bytes)),
    "jsonl.gz": (
        partial(JsonLinesSink, FOLDER / "out.jsonl.gz"),
        partial(lines, "out.jsonl.gz", gzip.decompress),
    ),
    "jsonl.zst": (
        partial(JsonLinesSink, FOLDER / "out.jsonl.zst"),
        partial(lines, "out.jsonl.zst", unpack_zstd),
    ),
    "parquet": (partial(ParquetSink, FOLDER / "out.parquet"), rows),
}
