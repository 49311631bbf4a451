"""What every sink promises."""

from __future__ import annotations

import json
import random

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import SinkError, SinkMismatch
from penstock.sinks.lines import encode_lines


def document(n, size=10):
    return Document(doc_id=f"d{n}", source="test", title="t" * size, metadata={"n": n})


def documents(first, last, size=10):
    return [document(n, size) for n in range(first, last)]


COMMIT = Commit(1, {})


async def stored(sink):
    """Commit, and return the record as a ledger gives it back."""
    return json.loads(json.dumps(await sink.commit(COMMIT)))


async def test_what_is_committed_is_there(kind, sink):
    """Documents are written in order, each once."""
    assert await sink.open(None) is None
    await sink.write(documents(0, 3))
    await sink.write([])
    await sink.write(documents(3, 5))
    await sink.commit(COMMIT)
    assert kind.content(sink) == encode_lines(documents(0, 5))


async def test_closing_does_not_commit(kind, sink):
    """After ``aclose`` the output holds just what was committed, and may be closed again."""
    await sink.open(None)
    await sink.write(documents(0, 3))
    await sink.commit(COMMIT)
    await sink.write(documents(3, 3000, size=1000))
    await sink.aclose()
    await sink.aclose()
    assert kind.content(sink) == encode_lines(documents(0, 3))


async def test_opening_at_a_record_rolls_back_to_it(kind, sink):
    """Also to a record before the last one."""
    await sink.open(None)
    await sink.write(documents(0, 3))
    first = await stored(sink)
    await sink.write(documents(3, 5))
    await stored(sink)
    await sink.aclose()
    await sink.open(first)
    assert kind.content(sink) == encode_lines(documents(0, 3))
    await sink.write(documents(7, 9))
    second = await stored(sink)
    await sink.aclose()
    await sink.open(second)
    assert kind.content(sink) == encode_lines(documents(0, 3) + documents(7, 9))


@pytest.mark.parametrize("seed", range(30))
async def test_any_crash_leaves_the_committed_prefix(kind, seed):
    """Whatever was written since the last record, opening at that record gives just what it covered."""
    rng = random.Random(seed)
    sink = kind.new()
    await sink.open(None)
    record = await stored(sink)
    committed, n = 0, 0
    for _ in range(rng.randrange(1, 40)):
        choice = rng.random()
        if choice < 0.6:
            more = rng.choice([1, 2, 50])
            await sink.write(documents(n, n + more, size=rng.choice([1, 3000, 50_000])))
            n += more
        elif choice < 0.8:
            record, committed = await stored(sink), n
        else:
            if choice > 0.9:
                await sink.commit(COMMIT)  # durable, but the ledger did not get to hear of it
            sink = await kind.crash(sink)
            await sink.open(record)
            assert [json.loads(line)["doc_id"] for line in kind.content(sink).splitlines()] == [
                f"d{k}" for k in range(committed)
            ]
            n = committed
    await sink.aclose()


async def test_a_fresh_start_overwrites_nothing(kind, sink):
    """An output that the ledger knows nothing of is refused, until told to restart."""
    await sink.open(None)
    await sink.write(documents(0, 3))
    await sink.commit(COMMIT)
    await sink.aclose()
    with pytest.raises(SinkMismatch, match="restart"):
        await sink.open(None)
    assert kind.content(sink) == encode_lines(documents(0, 3))
    await sink.open(None, restart=True)
    assert kind.content(sink) == b""
    await sink.write(documents(5, 6))
    await sink.commit(COMMIT)
    assert kind.content(sink) == encode_lines(documents(5, 6))


async def test_an_output_that_became_shorter_is_refused(kind, sink):
    """What was committed cannot be given back."""
    await sink.open(None)
    await sink.write(documents(0, 3))
    record = await stored(sink)
    await sink.aclose()
    kind.shorten(sink)
    before = kind.stored(sink)
    with pytest.raises(SinkMismatch, match="restart"):
        await sink.open(record)
    assert kind.stored(sink) == before


async def test_an_output_that_is_another_is_refused(kind, sink):
    """The end of what was committed is not what it was."""
    await sink.open(None)
    await sink.write(documents(0, 3))
    record = await stored(sink)
    await sink.aclose()
    kind.meddle(sink)
    before = kind.stored(sink)
    with pytest.raises(SinkMismatch, match="not the one"):
        await sink.open(record)
    assert kind.stored(sink) == before


@pytest.mark.parametrize("record", [{}, {"format": "other", "parts": []}, [], "x", 7])
async def test_a_record_of_another_sink_is_refused(sink, record):
    """A ledger that was used with another kind of output is not believed."""
    with pytest.raises(SinkMismatch, match="another kind of output"):
        await sink.open(record)


async def test_a_sink_must_be_opened_first(sink):
    """Writing or committing before opening, or after closing, says so."""
    for _ in range(2):
        with pytest.raises(SinkError, match="not open"):
            await sink.write(documents(0, 1))
        with pytest.raises(SinkError, match="not open"):
            await sink.commit(COMMIT)
        await sink.open(None, restart=True)
        await sink.aclose()


async def test_a_sink_says_what_it_is(sink):
    """In a few words, for the receipt."""
    assert sink.describe()
    assert not sink.transactional
