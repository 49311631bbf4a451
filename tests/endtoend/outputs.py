"""The outputs that kills, signals and faults are tried on: what names each, and what it holds afterwards."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.dataset
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Output:
    """``target`` is what a pipeline is given in the folder of a job; ``read`` returns its documents, in order."""

    target: str | list[str]
    read: Callable[[Path], list[str]]


def lines(name: str, unpack: Callable[[bytes], bytes]) -> Output:
    """Return an output of lines, one document in each."""
    return Output(name, lambda folder: unpack((folder / name).read_bytes()).decode().splitlines())


def unpack_zstd(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).readall()


def read_parts(folder: Path) -> list[str]:
    """Return the rows of a folder of Parquet files, read as the one dataset that it is."""
    rows: list[dict[str, Any]] = pyarrow.dataset.dataset(folder / "out.parquet").to_table().to_pylist()
    return [json.dumps(row, sort_keys=True, default=str) for row in rows]


ONES = {
    "jsonl": lines("out.jsonl", bytes),
    "jsonl.gz": lines("out.jsonl.gz", gzip.decompress),
    "jsonl.zst": lines("out.jsonl.zst", unpack_zstd),
    "parquet": Output("out.parquet", read_parts),
}

OUTPUTS = {
    **ONES,
    "several": Output(
        [one.target for one in ONES.values() if isinstance(one.target, str)],
        lambda folder: [line for one in ONES.values() for line in one.read(folder)],
    ),
}
