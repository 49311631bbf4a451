"""``broadcast``, ``share`` and ``publish`` to two and to eight subscribers, compared with subjects.

Each subscriber adds up the numbers. The cost is per number and subscriber. Two comparisons have a target:

* The whole way, from an iterable to a sum by a function that is called for each number: ours, and aioreactive's
  ``from_iterable`` into an ``AsyncSubject``.
* The handover alone: ours to subscribers that request 1,000 items at a time and add up lists, and a loop that awaits
  the subject's ``asend``, which calls one coroutine per number and subscriber.

Two more ways are measured for comparison: a loop into one queue per subscriber, and reactivex's subject, which has no
backpressure and never waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aioreactive as rx
import reactivex
from harness import Row, Way, at_least, measure

from penstock import Connectable, Flow, from_iterable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

ITEMS = 50_000
CHUNK = 1_000
COUNTS = {2: None, 8: 10}
"""Targets of the handover alone, by number of subscribers: two hardly share the cost of making the numbers."""
TITLE = f"one flow of {ITEMS:,} ints to several subscribers"

add = lambda total, x: total + x  # noqa: E731  as in benchmarks/elements.py


class Sum:
    """An observer that adds up the numbers."""

    def __init__(self) -> None:
        self.total = 0

    def take(self, x: int) -> None:
        self.total += x

    async def take_async(self, x: int) -> None:
        self.total += x


async def consumed(flows: Sequence[Flow[int]]) -> int:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(flow.reduce(add, 0)) for flow in flows]
        await asyncio.sleep(0)
        if isinstance(flows[0], Connectable):
            flows[0].connect()
    return sum(task.result() for task in tasks)


async def broadcast(count: int) -> int:
    return await consumed(from_iterable(range(ITEMS)).broadcast(count))


async def share(count: int) -> int:
    return await consumed([from_iterable(range(ITEMS)).share()] * count)


async def publish(count: int) -> int:
    return await consumed([from_iterable(range(ITEMS)).publish()] * count)


async def lists(count: int) -> int:
    async def total(flow: Flow[int]) -> int:
        result = 0
        async with flow.subscribe() as subscription:
            while items := await subscription.request(CHUNK):
                result += sum(items)
        return result

    flows = from_iterable(range(ITEMS)).broadcast(count, capacity=CHUNK)
    return sum(await asyncio.gather(*(total(flow) for flow in flows)))


async def async_for(count: int) -> int:
    async def total(flow: Flow[int]) -> int:
        result = 0
        async for x in flow:
            result += x
        return result

    return sum(await asyncio.gather(*(total(flow) for flow in from_iterable(range(ITEMS)).broadcast(count))))


async def aioreactive_subject(count: int) -> int:
    subject: Any = rx.AsyncSubject()
    sums = [Sum() for _ in range(count)]
    for each in sums:
        await subject.subscribe_async(rx.AsyncAnonymousObserver(each.take_async))
    for x in range(ITEMS):
        await subject.asend(x)
    await subject.aclose()
    return sum(each.total for each in sums)


async def aioreactive_whole(count: int) -> int:
    subject: Any = rx.AsyncSubject()
    sums = [Sum() for _ in range(count)]
    observers: list[Any] = [rx.AsyncAwaitableObserver(each.take_async) for each in sums]
    for observer in observers:
        await subject.subscribe_async(observer)
    async with await rx.from_iterable(range(ITEMS)).subscribe_async(subject):
        for observer in observers:
            await observer
    return sum(each.total for each in sums)


async def queues(count: int) -> int:
    between: list[asyncio.Queue[int | None]] = [asyncio.Queue(256) for _ in range(count)]

    async def consume(queue: asyncio.Queue[int | None]) -> int:
        total = 0
        while (x := await queue.get()) is not None:
            total = add(total, x)
        return total

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(consume(queue)) for queue in between]
        for x in [*range(ITEMS), None]:
            for queue in between:
                await queue.put(x)
    return sum(task.result() for task in tasks)


async def reactivex_subject(count: int) -> int:
    subject: Any = reactivex.Subject()
    sums = [Sum() for _ in range(count)]
    for each in sums:
        subject.subscribe(each.take)
    reactivex.from_iterable(range(ITEMS)).subscribe(subject)
    return sum(each.total for each in sums)


def rows() -> list[Row]:
    """Return the measured rows."""
    result = []
    with asyncio.Runner() as runner:

        def way(name: str, work: Any, count: int) -> Way:
            def later() -> int:
                coroutine: Coroutine[object, object, int] = work(count)
                return runner.run(coroutine)

            return Way(name, later, ITEMS * count)

        for count, target in COUNTS.items():
            found = measure(
                [
                    way("broadcast", broadcast, count),
                    way("share", share, count),
                    way("publish", publish, count),
                    way("lists", lists, count),
                    way("async for", async_for, count),
                    way("aioreactive", aioreactive_subject, count),
                    way("aioreactive, whole", aioreactive_whole, count),
                    way("queues", queues, count),
                    way("reactivex", reactivex_subject, count),
                ],
                rounds=7,
            )
            whole = "from_iterable into a subject"
            result += [
                at_least(f"broadcast({count}), by {whole}", found, "broadcast", "aioreactive, whole", 10),
                at_least(f"share, {count} readers, by {whole}", found, "share", "aioreactive, whole", 10),
                at_least(f"publish, {count} readers, by {whole}", found, "publish", "aioreactive, whole", 10),
                at_least(f"broadcast({count}) of lists, by a subject", found, "lists", "aioreactive", target),
                at_least(
                    f"(broadcast({count}) and reduce, by a subject)", found, "broadcast", "aioreactive", None
                ),
                at_least(
                    f"(broadcast({count}) and async for, by a subject)",
                    found,
                    "async for",
                    "aioreactive",
                    None,
                ),
                at_least(f"(broadcast({count}), by {count} queues)", found, "broadcast", "queues", None),
                at_least(
                    f"(broadcast({count}), by reactivex's subject)", found, "broadcast", "reactivex", None
                ),
            ]
    return result
