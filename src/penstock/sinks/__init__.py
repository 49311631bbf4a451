"""Where documents go."""

from __future__ import annotations

from penstock.sinks.callback import CallbackSink, callback
from penstock.sinks.choice import Target, sink_from
from penstock.sinks.duckdb import DuckDBSink
from penstock.sinks.jsonl import JsonLinesSink
from penstock.sinks.memory import MemorySink
from penstock.sinks.parquet import ParquetSink
from penstock.sinks.postgres import PostgresSink
from penstock.sinks.several import SeveralSinks
from penstock.sinks.sqlite import SqliteSink

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
