"""Standard output as a sink."""

from __future__ import annotations

import io
import json
import os

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import SinkError
from penstock.sinks import StdoutSink, sink_from
from penstock.sinks.files.lines import encode_lines

DOCUMENTS = [
    Document(doc_id=str(k), source="test", title="\x9b2J", metadata={"n": k}, raw=b"x") for k in range(3)
]


class Terminal(io.BytesIO):
    def isatty(self):
        return True


async def test_what_is_written():
    """Lines are those of a file, flushed with each call; the record counts, and goes on when opened again."""
    out = io.BytesIO()
    sink = StdoutSink(stream=out)
    await sink.open(None)
    await sink.write(DOCUMENTS)
    assert out.getvalue() == encode_lines(DOCUMENTS)
    record = await sink.commit(Commit(1, {}))
    await sink.open(record)
    await sink.write(DOCUMENTS[:1])
    assert (await sink.commit(Commit(2, {})))["count"] == 4
    await sink.aclose()
    with pytest.raises(SinkError, match="stdout is not open"):
        await sink.write(DOCUMENTS)
    assert not sink.effectively_once


async def test_a_terminal_gets_escapes():
    """A terminal obeys nothing that a document holds, and the values stay the same."""
    out = Terminal()
    sink = StdoutSink(stream=out, columns=["title", "raw"])
    await sink.open(None)
    await sink.write(DOCUMENTS[:1])
    await sink.aclose()
    assert b"\\u009b2J" in out.getvalue()
    assert json.loads(out.getvalue()) == {"title": "\x9b2J", "raw": "eA=="}


async def test_a_reader_that_leaves():
    """A closed pipe raises BrokenPipeError itself: nothing is wrong with the output."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb", buffering=0) as out:
        sink = StdoutSink(stream=out)
        await sink.open(None)
        with pytest.raises(BrokenPipeError):
            await sink.write(DOCUMENTS)
        await sink.aclose()


def test_by_its_name():
    """A dash is standard output."""
    assert isinstance(sink_from("-"), StdoutSink)
