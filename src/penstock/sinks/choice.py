"""Which sink a path or URL means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from penstock import sinks  # imports a kind of sink when it is asked for
from penstock.abc import Sink
from penstock.errors import GraphError
from penstock.runtime.arguments import at
from penstock.sinks.databases.urls import shown_url
from penstock.system.places import connection_url

Target: TypeAlias = "Sink | str | os.PathLike[str] | Sequence[Sink | str | os.PathLike[str]]"
"""An output (a sink, path, URL, or ``-`` for standard output), or several."""

STDOUT = "-"

_LINES = {".jsonl": "JsonLinesSink", ".ndjson": "JsonLinesSink", ".csv": "CsvSink", ".tsv": "CsvSink"}
_BY_ENDING = {f"{kind}{packed}": sink for kind, sink in _LINES.items() for packed in ("", ".gz", ".zst")}
_BY_ENDING[".parquet"] = _BY_ENDING["/"] = "ParquetSink"
_BY_SCHEME = {
    "sqlite": "SqliteSink",
    "duckdb": "DuckDBSink",
    "postgresql": "PostgresSink",
    "postgres": "PostgresSink",
}


def sink_from(target: Target, *, columns: Sequence[str] | None = None, include_raw: bool = False) -> Sink:
    """Return the sink for ``target``: a sink itself, a URL by its scheme, a path by its ending.

    A list or tuple of several targets becomes one ``SeveralSinks``. ``-`` is standard output.

    Args:
        target: An output, or several.
        columns: The names of the columns to write, for paths and URLs; a sink itself has its own.
        include_raw: Whether to write the raw bytes too, for paths and URLs.

    Raises:
        GraphError: no sink has that scheme or ending; the message lists the known ones.
    """
    if isinstance(target, Sink):
        return target
    options: dict[str, Any] = {} if columns is None else {"columns": columns}
    if include_raw:
        options["include_raw"] = True
    if isinstance(target, list | tuple):
        several = [sink_from(one, columns=columns, include_raw=include_raw) for one in target]
        return sinks.SeveralSinks(*several) if len(several) != 1 else several[0]
    if not isinstance(target, str | os.PathLike):
        raise GraphError(
            f"an output is a Sink, a path, a URL or a list of them, not {type(target).__name__}{at()}: "
            "sink='articles.jsonl'"
        )
    if target == STDOUT:
        return sinks.StdoutSink(**options)
    url = connection_url(target)
    name = os.fspath(target) if url is None else url
    scheme = name.partition("://")[0]
    if url is not None:
        sink = _BY_SCHEME.get(scheme)
    else:
        sink = next((sink for ending, sink in _BY_ENDING.items() if name.lower().endswith(ending)), None)
    if sink is None:
        raise GraphError(_unknown(name, is_url=url is not None))
    kind: Any = getattr(sinks, sink)
    made: Sink = (kind if url is None else kind.from_url)(name, **options)
    return made


def _unknown(name: str, *, is_url: bool) -> str:
    """Return why ``name`` is no output, and what names are."""
    if not name:
        return "the name of an output is empty; name a file, such as articles.jsonl"
    if not is_url and Path(name).expanduser().is_dir():
        inside = os.path.join(name, "articles.jsonl")  # noqa: PTH118  as it was written
        return f"{name} is a folder; name a file in it, such as {inside}, or {name}/ for Parquet files"
    shown = shown_url(name) if is_url else name  # a URL may hold a password
    endings = ", ".join(ending for ending in _BY_ENDING if not ending.endswith((".gz", ".zst")))
    schemes = ", ".join(f"{scheme}://" for scheme in _BY_SCHEME)
    return (
        f"no sink is known for {shown!r}; name a file or folder that ends in one of {endings} (lines also "
        "with .gz or .zst behind that), or - for standard output, or a database whose URL begins with "
        f"one of {schemes}"
    )
