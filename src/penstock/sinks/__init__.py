"""Where documents go."""

from __future__ import annotations

from penstock.sinks.callback import CallbackSink, callback
from penstock.sinks.choice import Target, sink_from
from penstock.sinks.jsonl import JsonLinesSink
from penstock.sinks.memory import MemorySink
from penstock.sinks.parquet import ParquetSink
from penstock.sinks.several import SeveralSinks

__all__ = [
    "CallbackSink",
    "JsonLinesSink",
    "MemorySink",
    "ParquetSink",
    "SeveralSinks",
    "Target",
    "callback",
    "sink_from",
]
