"""Which sink a target means."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import GraphError
from penstock.sinks import JsonLinesSink, MemorySink, sink_from


@pytest.mark.parametrize("target", ["a.jsonl", "dir/a.b.ndjson", "A.JSONL", Path("a.jsonl")])
def test_by_its_ending(target):
    """Both endings of JSON Lines are known, in upper and lower case, as text or path."""
    sink = sink_from(target)
    assert isinstance(sink, JsonLinesSink)
    assert sink.describe() == str(target)


def test_a_sink_is_a_sink():
    """A sink is returned itself."""
    sink = MemorySink()
    assert sink_from(sink) is sink


@pytest.mark.parametrize("target", ["a.xlsx", "a", "jsonl", "s3://bucket/a.jsonl", ""])
def test_anything_else_is_refused(target):
    """An unknown target is refused, and the message lists the known ones."""
    with pytest.raises(GraphError, match=r"(no sink is known for|is empty; name a file).*\.jsonl"):
        sink_from(target)
