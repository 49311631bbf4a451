"""The journal: what is written is read back by number, whatever is forgotten, cut or killed."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import BatchProgress, DocumentStarted
from penstock.events import encode
from penstock.http.frames import NDJSON, SSE, Form, Frames
from penstock.http.journal import Gone, Journal
from penstock.testing import run


def event(number, size=0):
    """Return an event; every tenth is of another type."""
    if number % 10 == 0:
        return BatchProgress(float(number), "run", number, 0, 0, 0)
    return DocumentStarted(float(number), "run", f"d{number}{'x' * size}", "a")


def filled(folder, count, limit=1 << 30, size=0, chunk=7):
    """Return a journal with so many events, written in lists."""
    journal = Journal(folder, limit)
    journal.open()
    for first in range(1, count + 1, chunk):
        journal.append([event(n, size) for n in range(first, min(first + chunk, count + 1))], at_once=True)
    return journal


def everything(journal, start=1, form=Form(NDJSON)):  # noqa: B008  frozen
    """Return all events from a number on, as a client gets them."""
    parts, frames = [], Frames()
    while start <= journal.last:
        part, start = frames.chunk(journal, start, form)
        parts.append(part)
    return b"".join(parts)


def lines(first, last, size=0):
    return b"".join(encode(event(n, size)) for n in range(first, last + 1))


async def test_any_number_is_a_place_to_continue(tmp_path):
    """From every number on, a client gets exactly the rest; blocks and files make no difference."""
    journal = filled(tmp_path, 1500, size=200)
    for start in [1, 2, 1500, *random.Random(0).sample(range(1, 1500), 20)]:
        assert everything(journal, start) == lines(start, 1500, size=200)
    journal.close()


async def test_a_cut_last_line_is_forgotten(tmp_path):
    """A journal whose last line was cut by a crash has the lines before it, and continues with its number."""
    filled(tmp_path, 20).close()
    (path,) = tmp_path.glob("*.ndjson")
    whole = path.read_bytes()
    for left in (len(whole) - 1, len(whole) - 30):
        path.write_bytes(whole[:left])
        journal = Journal(tmp_path, 1 << 30)
        journal.open()
        assert journal.last == 19
        journal.append([event(20)], at_once=True)
        assert everything(journal) == lines(1, 20)
        journal.close()


async def test_old_events_are_forgotten_by_whole_files(tmp_path):
    """A full journal keeps the newest events within its limit, and says which are gone, also when opened again."""
    limit = 40_000
    journal = filled(tmp_path, 5000, limit)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit * 1.5
    for again in (journal, Journal(tmp_path, limit)):
        if not again.opened:
            again.open()
        assert again.last == 5000
        assert 1 < again.first < 5000
        assert everything(again, again.first) == lines(again.first, 5000)
        for number in (1, again.first - 1, 5001):
            with pytest.raises(Gone):
                again.read(number)
        again.close()


async def test_numbers_of_lost_events_do_not_come_again(tmp_path):
    """Behind a power cut the numbers go on higher: who has all before it continues, who has seen more is told."""
    journal = filled(tmp_path, 20)
    journal.skip()
    journal.append([event(n) for n in range(21, 31)], at_once=True)
    first = journal.last - 9
    assert first > 1_000_000
    assert (journal.place(20), journal.place(21), journal.place(first), journal.place(first + 10)) == (
        20,
        first,
        first,
        first + 10,
    )
    assert everything(journal, first) == lines(21, 30)
    assert [journal.tail(count) for count in (0, 10, 11, 30, 99)] == [first + 10, first, 20, 1, 1]
    for number in (22, 500_000, first + 11):
        with pytest.raises(Gone):
            journal.place(number)
    journal.close()


async def test_a_write_that_fails_leaves_no_half_of_a_line(tmp_path, monkeypatch):
    """After a full disk the journal has only whole lines, and the same numbers go on."""
    journal = filled(tmp_path, 5)
    (segment,) = journal._segments
    write, calls = segment.write, []

    def full(data):
        calls.append(data)
        if len(calls) == 1:
            return write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(segment, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.append([event(6)])
    monkeypatch.undo()
    journal.append([event(6)], at_once=True)
    assert everything(journal) == lines(1, 6)
    journal.close()


async def test_clients_share_chunks_of_a_bounded_size(tmp_path):
    """Two clients that read the same events get one object; chunks beyond the limit are not kept."""
    journal = filled(tmp_path, 2000, size=200)
    for kept, same in ((1 << 20, True), (1000, False)):
        frames, form, start = Frames(kept), Form(SSE), 1
        while start <= journal.last:
            chunk, after = frames.chunk(journal, start, form)
            assert (frames.chunk(journal, start, Form(SSE))[0] is chunk) == same
            start = after
        assert sum(map(len, frames._chunks.values())) <= frames._size <= kept
    journal.close()


async def test_sse_numbers_every_event_and_a_filter_keeps_the_numbers(tmp_path):
    """The id of an event is its number in the journal, whatever is left out."""
    journal = filled(tmp_path, 100)
    form = Form(SSE, frozenset({b"BatchProgress"}))
    text = everything(journal, 1, form).decode()
    assert text.count("event: BatchProgress\n") == text.count("event: ") == 10
    assert [int(part.split("\n")[0]) for part in text.split("id: ")[1:]] == [*range(10, 101, 10)]
    journal.close()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 5))
def test_clients_at_any_pace_get_the_same(tmp_path_factory, sizes, clients):
    """Clients that wait for news while the run writes get every event once, in order."""
    folder = tmp_path_factory.mktemp("journal")

    async def read(journal, start):
        found, frames = [], Frames()
        while True:
            while start <= journal.visible:
                part, start = frames.chunk(journal, start, Form(NDJSON))
                found.append(part)
            if journal.over:
                return b"".join(found)
            await journal.wait(start - 1, 60)

    async def main():
        journal = Journal(folder, 1 << 30)
        journal.open()
        readers = [asyncio.ensure_future(read(journal, 1)) for _ in range(clients)]
        number = 0
        for size in sizes:
            journal.append([event(number + n) for n in range(1, size + 1)])
            number += size
            await asyncio.sleep(0.02)
        journal.end()
        found = await asyncio.gather(*readers)
        journal.close()
        return found, number

    found, number = run(main())
    assert found == [lines(1, number)] * clients
