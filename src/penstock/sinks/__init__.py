"""Where documents go."""

from __future__ import annotations

from penstock.sinks.choice import sink_from
from penstock.sinks.jsonl import JsonLinesSink
from penstock.sinks.memory import MemorySink

__all__ = ["JsonLinesSink", "MemorySink", "sink_from"]
