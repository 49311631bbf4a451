"""A million trivial documents as events, compared with a loop that creates the same event objects.

The loop reads the same pages of records, calls the same ``identify`` and ``parse``, takes the same two timestamps a
document, and hands each event to the same function. For ``async for``, both count in the body of the loop. *Made*
documents are created by ``parse``, one each, as in any real parser. *Ready* documents are the same object every time,
so only the events and the checks of the id and the fields cost anything. *Checked* ones come from a source that
vouches for them, so only the events do.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar

from expression import Ok, Result
from harness import Row, Way, at_least, at_most, measure

import penstock.operators as op
from penstock import Document, Flow, RawRecord
from penstock.abc import JSON, Page, Source
from penstock.adapters import Adapter
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentStarted,
    PipelineEvent,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from penstock.errors import DocumentError

TITLE = "1,000,000 trivial documents as events (Started, Completed, progress every 1000)"
DOCUMENTS = 1_000_000
FEWER = 250_000
PAGE = EVERY = 1000
QUEUED = 100


class Trivial(Source):
    """Pages with the same thousand records each time."""

    name: ClassVar[str] = "trivial"

    def __init__(self, documents: int) -> None:
        self.pages = documents // PAGE
        self.records = [RawRecord(f"T:{n}", b"") for n in range(PAGE)]

    def page(self, n: int) -> Page[RawRecord]:
        return Page(self.records[:], n + 1)

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        for n in range(position or 0, self.pages):
            yield self.page(n)

    def identify(self, raw: RawRecord) -> str:
        return raw.key

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        return Ok(Document(doc_id=raw.key, source="trivial"))


class Ready(Trivial):
    """The same, with one document that exists already."""

    def __init__(self, documents: int) -> None:
        super().__init__(documents)
        self.document: Result[Document, DocumentError] = Ok(Document(doc_id="T:0", source="trivial"))

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:  # noqa: ARG002
        return self.document


class Vouched(Ready):
    """The same, from a source that says that its documents need no check, as the adapters of Penstock do."""

    checked: ClassVar[bool] = True


class Counter:
    """The function for ``for_each``: counts."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, event: PipelineEvent) -> None:
        if type(event) is DocumentCompleted:
            self.count += 1


# -- by hand


def by_hand(source: Trivial) -> Iterator[PipelineEvent]:
    """Create the events in a generator, for the queue and the plain ``for``."""
    now, identify, parse, name, parameters = (
        time.time,
        source.identify,
        source.parse,
        source.name,
        source.parameters,
    )
    done, start = 0, time.perf_counter()
    for n in range(source.pages):
        for raw in source.page(n).items:
            began = now()
            doc_id = identify(raw)
            yield DocumentStarted(began, "run", doc_id, name, parameters)
            document = parse(raw).ok
            ended = now()
            yield DocumentCompleted(ended, "run", doc_id, name, document, ended - began)
            done += 1
            if not done % EVERY:
                rate = done / (time.perf_counter() - start)
                yield BatchProgress(now(), "run", done, 0, 0, 0, None, rate)


def loop_for_each(source: Trivial) -> int:
    counter = Counter()
    handle = counter.take
    now, identify, parse, name, parameters = (
        time.time,
        source.identify,
        source.parse,
        source.name,
        source.parameters,
    )
    done, start = 0, time.perf_counter()
    for n in range(source.pages):
        for raw in source.page(n).items:
            began = now()
            doc_id = identify(raw)
            handle(DocumentStarted(began, "run", doc_id, name, parameters))
            document = parse(raw).ok
            ended = now()
            handle(DocumentCompleted(ended, "run", doc_id, name, document, ended - began))
            done += 1
            if not done % EVERY:
                rate = done / (time.perf_counter() - start)
                handle(BatchProgress(now(), "run", done, 0, 0, 0, None, rate))
    return counter.count


def loop_inline(source: Trivial) -> int:
    """Do the same as ``loop_for_each``, with the function for each event inlined."""
    count = 0
    now, identify, parse, name, parameters = (
        time.time,
        source.identify,
        source.parse,
        source.name,
        source.parameters,
    )
    done, start = 0, time.perf_counter()
    for n in range(source.pages):
        for raw in source.page(n).items:
            began = now()
            doc_id = identify(raw)
            event: PipelineEvent = DocumentStarted(began, "run", doc_id, name, parameters)
            if type(event) is DocumentCompleted:
                count += 1
            document = parse(raw).ok
            ended = now()
            event = DocumentCompleted(ended, "run", doc_id, name, document, ended - began)
            if type(event) is DocumentCompleted:
                count += 1
            done += 1
            if not done % EVERY:
                rate = done / (time.perf_counter() - start)
                event = BatchProgress(now(), "run", done, 0, 0, 0, None, rate)
                if type(event) is DocumentCompleted:
                    count += 1
    return count


async def queued(source: Trivial) -> int:
    """Send the same events through an ``asyncio.Queue(100)`` to a task that counts them."""
    queue: asyncio.Queue[PipelineEvent | None] = asyncio.Queue(QUEUED)

    async def produce() -> None:
        for event in by_hand(source):
            await queue.put(event)
        await queue.put(None)

    count = 0
    task = asyncio.create_task(produce())
    while (event := await queue.get()) is not None:
        if type(event) is DocumentCompleted:
            count += 1
    await task
    return count


# -- ours


def flow(source: Trivial) -> Flow[PipelineEvent]:
    return Adapter(source) | op.batch_progress(EVERY)


async def for_each(source: Trivial) -> int:
    counter = Counter()
    await flow(source).for_each(counter.take)
    return counter.count


async def async_for(source: Trivial) -> int:
    count = 0
    async for event in flow(source):
        if type(event) is DocumentCompleted:
            count += 1
    return count


def check() -> None:
    """Check that both create the same events, except for measured fields and the last two events."""

    async def ours() -> list[PipelineEvent]:
        return await flow(Trivial(3 * PAGE)).to_list()

    def shown(event: PipelineEvent) -> object:
        names = [name for name in event.__dataclass_fields__ if name not in VARYING]
        return type(event), [getattr(event, name, None) for name in names]

    mine = asyncio.run(ours())
    hand = list(by_hand(Trivial(3 * PAGE)))
    states = [event for event in mine if isinstance(event, AdapterStateChange)]
    assert [event.new_state for event in states] == ["running", "completed"]
    assert [shown(event) for event in mine[1:-1]][: len(hand)] == [shown(event) for event in hand]
    assert len(mine) <= len(hand) + 3


VARYING = ("timestamp", "pipeline_id", "duration", "rate")


def rows() -> list[Row]:
    """Return the measured rows."""
    check()
    return [*compare("made", Trivial), *compare("ready", Ready), *compare("ready and checked", Vouched)]


def compare(kind: str, make: Callable[[int], Trivial]) -> list[Row]:
    whole, part = make(DOCUMENTS), make(FEWER)
    with asyncio.Runner() as runner:

        def later(work: Coroutine[object, object, int]) -> int:
            return runner.run(work)

        found = measure(
            [
                Way("loop, for_each", lambda: loop_for_each(whole), DOCUMENTS),
                Way("for_each", lambda: later(for_each(whole)), DOCUMENTS),
                Way("loop", lambda: loop_inline(whole), DOCUMENTS),
                Way("async for", lambda: later(async_for(whole)), DOCUMENTS),
                Way("queue", lambda: later(queued(part)), FEWER),
            ],
            rounds=7,
        )
    return [
        at_most(f"{kind}: for_each, by the plain loop", found, "for_each", "loop, for_each", 1.25),
        at_most(f"{kind}: async for, by the plain loop", found, "async for", "loop", 1.4),
        at_least(
            f"{kind}: for_each, by asyncio.Queue({QUEUED}) ({FEWER:,} documents)",
            found,
            "for_each",
            "queue",
            2.2,
        ),
        at_least(f"{kind}: async for, by the same", found, "async for", "queue", None),
    ]
