"""Where documents go."""

from __future__ import annotations

from penstock.sinks.callback import CallbackSink, callback
from penstock.sinks.choice import Target, sink_from
from penstock.sinks.databases.duckdb import DuckDBSink
from penstock.sinks.databases.postgres import PostgresSink
from penstock.sinks.databases.sqlite import SqliteSink
from penstock.sinks.files.jsonl import JsonLinesSink
from penstock.sinks.files.parquet import ParquetSink
from penstock.sinks.memory import MemorySink
from penstock.sinks.several import SeveralSinks

__all__ = [
    "CallbackSink",
    "DuckDBSink",
    "JsonLinesSink",
    "MemorySink",
    "ParquetSink",
    "PostgresSink",
    "SeveralSinks",
    "SqliteSink",
    "Target",
    "callback",
    "sink_from",
]
