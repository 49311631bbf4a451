"""Events as NDJSON on a stream."""

from __future__ import annotations

import io
import json
import os

from penstock.cli.eventstream import EventStream, for_terminal
from penstock.events import AdapterStateChange, BatchProgress, DocumentFailed, decode

EVENTS = [
    AdapterStateChange(1.0, "p", "pubmed", "created", "running"),
    DocumentFailed(2.0, "p", None, "pubmed", "bad \x1b[2J\x9b\u202e", "ValueError", raw=b"<x/>"),
    BatchProgress(3.0, "p", 1, 1, 0, 0),
]


def test_what_is_written_reads_back_as_the_events() -> None:
    """Every line is one complete event, without the raw bytes."""
    out = io.BytesIO()
    EventStream(out, lambda: None)(EVENTS)
    read = [decode(line) for line in out.getvalue().splitlines()]
    EVENTS[1].raw = None  # never on the wire
    assert read == EVENTS


def test_a_reader_that_leaves_is_told_once_and_nothing_is_written_any_more() -> None:
    """A closed pipe calls back once; later events are dropped."""
    read, write = os.pipe()
    os.close(read)
    calls: list[str] = []
    with os.fdopen(write, "wb", buffering=0) as out:
        stream = EventStream(out, lambda: calls.append("closed"))
        stream(EVENTS)
        stream(EVENTS)
    assert (stream.closed, calls) == (True, ["closed"])


def test_a_terminal_gets_the_same_json_without_what_it_would_obey() -> None:
    """C1 controls and bidirectional overrides become JSON escapes of the same characters."""
    plain = json.dumps({"title": "a\x9b2Jb\u202ec\x7f é 漢"}, ensure_ascii=False).encode()
    shown = for_terminal(plain)
    assert json.loads(shown) == json.loads(plain)
    assert shown.decode().isprintable()
    assert "é 漢" in shown.decode()
