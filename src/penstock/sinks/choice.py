"""Which sink a path or URL means."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from penstock.abc import Sink
from penstock.errors import GraphError
from penstock.runtime.arguments import assembled_at
from penstock.sinks.databases.duckdb import DuckDBSink
from penstock.sinks.databases.postgres import PostgresSink
from penstock.sinks.databases.sqlite import SqliteSink
from penstock.sinks.databases.urls import shown_url
from penstock.sinks.files.jsonl import JsonLinesSink
from penstock.sinks.files.parquet import ParquetSink
from penstock.sinks.several import SeveralSinks
from penstock.system.places import connection_url

if TYPE_CHECKING:
    from collections.abc import Callable

Target: TypeAlias = "Sink | str | os.PathLike[str] | Sequence[Sink | str | os.PathLike[str]]"
"""An output (a sink, path or URL), or several."""

_BY_ENDING: dict[str, Callable[[str], Sink]] = {
    f"{kind}{packed}": JsonLinesSink for kind in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst")
}
_BY_ENDING[".parquet"] = _BY_ENDING["/"] = ParquetSink
_BY_SCHEME: dict[str, Callable[[str], Sink]] = {
    "sqlite": SqliteSink.from_url,
    "duckdb": DuckDBSink.from_url,
    "postgresql": PostgresSink.from_url,
    "postgres": PostgresSink.from_url,
}


def sink_from(target: Target) -> Sink:
    """Return the sink for ``target``: a sink itself, a URL by its scheme, a path by its ending.

    A list or tuple of several targets becomes one ``SeveralSinks``.

    Raises:
        GraphError: no sink has that scheme or ending; the message lists the known ones.
    """
    if isinstance(target, Sink):
        return target
    if isinstance(target, list | tuple):
        return SeveralSinks(*map(sink_from, target)) if len(target) != 1 else sink_from(target[0])
    if not isinstance(target, str | os.PathLike):
        raise GraphError(
            f"an output is a Sink, a path, a URL or a list of them, not {type(target).__name__} "
            f"(at {assembled_at()}): sink='articles.jsonl'"
        )
    url = connection_url(target)
    name = os.fspath(target) if url is None else url
    scheme = name.partition("://")[0]
    if url is not None:
        if (make := _BY_SCHEME.get(scheme)) is not None:
            return make(name)
    else:
        for ending, make in _BY_ENDING.items():
            if name.lower().endswith(ending):
                return make(name)
    shown = shown_url(name) if url is not None else name  # a URL may hold a password
    endings, schemes = ", ".join(_BY_ENDING), ", ".join(f"{scheme}://" for scheme in _BY_SCHEME)
    raise GraphError(
        f"no sink is known for {shown!r}; name a file or folder that ends in one of {endings}, or a database "
        f"whose URL begins with one of {schemes}"
    )
