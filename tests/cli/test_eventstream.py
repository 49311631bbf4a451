"""Events as NDJSON on a stream."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from penstock.cli.eventstream import EventStream, for_terminal
from penstock.documents.writable import encode_json
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    decode,
    encode,
    encode_all,
)
from penstock.testing.strange_documents import STRANGE_DOCUMENTS, UNWRITABLE_DOCUMENTS

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


def test_no_value_ends_the_events() -> None:
    """A strange document is written with the metadata that sinks write; any other value is written somehow."""
    documents = [*STRANGE_DOCUMENTS, *UNWRITABLE_DOCUMENTS]
    out = io.BytesIO()
    stream = EventStream(out, lambda: None)
    stream(
        [DocumentCompleted(1.0, "p", one.doc_id, "a", one, 0.1, metadata=one.metadata) for one in documents]
    )
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == len(documents)
    for line, document in zip(lines, STRANGE_DOCUMENTS, strict=False):
        written = json.loads(encode_json(document.model_dump()))
        assert line["document"] == {name: written[name] for name in line["document"]}
        assert line["metadata"] == written["metadata"]
        assert decode(json.dumps(line)).doc_id == document.doc_id


def test_values_without_json() -> None:
    """Each is replaced: by a list, its text, or null; values with JSON stay as they are."""

    class Silent:
        def __str__(self) -> str:
            raise RuntimeError

    circle: list[object] = [1]
    circle += [circle, circle]
    values = {
        "nan": float("nan"), "tuple": (1, (2,)), "bytes": b"a", "path": Path("a"), "circle": circle, "good": [1, "a"],
        "silent": Silent(), (1, 2): {3: "\ud800"}, "time": datetime(2026, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    events = [DocumentStarted(1.0, "p", "d", "a", values), EVENTS[0]]
    first, second = encode_all(events, exact=False).splitlines(keepends=True)
    assert json.loads(first)["parameters"] == {
        "nan": None, "tuple": [1, [2]], "bytes": "YQ==", "path": "a", "circle": [1, None, None], "good": [1, "a"],
        "silent": "a value of type Silent", "(1, 2)": {"3": "\ufffd"}, "time": "2026-01-02T00:00:00Z",
    }  # fmt: skip
    assert second == encode(EVENTS[0])
