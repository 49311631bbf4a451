"""Where documents go."""

from __future__ import annotations

from penstock.sinks.callback import CallbackSink, callback
from penstock.sinks.choice import Target, sink_from
from penstock.sinks.databases.duckdb import DuckDBSink
from penstock.sinks.databases.postgres import PostgresSink
from penstock.sinks.databases.sqlite import SqliteSink
from penstock.sinks.files.csv import CsvSink
from penstock.sinks.files.jsonl import JsonLinesSink
from penstock.sinks.files.parquet import ParquetSink
from penstock.sinks.memory import MemorySink
from penstock.sinks.several import SeveralSinks
from penstock.sinks.stdout import StdoutSink

__all__ = [
    "CallbackSink",
    "CsvSink",
    "DuckDBSink",
    "JsonLinesSink",
    "MemorySink",
    "ParquetSink",
    "PostgresSink",
    "SeveralSinks",
    "SqliteSink",
    "StdoutSink",
    "Target",
    "callback",
    "sink_from",
]
