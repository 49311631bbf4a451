"""aioreactive 0.20, both ways: its operators over our flows, our operators over its observables, its known faults.

The tests hold that faults of aioreactive stay on its side of the bridge: a flow of its observable has none.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from contextlib import suppress
from typing import Any

import aioreactive as rx
import pytest
from expression import pipe
from expression.system import AsyncDisposable

import penstock.operators as op
from penstock import Flow, from_async_iterable, from_iterable, from_observable, just
from penstock.testing import Planted, TestSource, no_leaks
from penstock.testing import run as virtually
from penstock.testing.script import Forever, Sleep


class Log:
    """An observer that records its signals and can be awaited."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.over = asyncio.Event()

    async def send(self, item: Any) -> None:
        self.seen.append(item)

    async def throw(self, error: Exception) -> None:
        self.seen.append(error)
        self.over.set()

    async def close(self) -> None:
        self.seen.append("end")
        self.over.set()


async def heard(observable: Any) -> list[Any]:
    """Subscribe as aioreactive's own subscribers do, and return all signals up to the end."""
    log = Log()
    disposable = await observable.subscribe_async(log.send, log.throw, log.close)
    async with asyncio.timeout(1000):
        await log.over.wait()
    await disposable.dispose_async()
    return log.seen


async def failing(items: int) -> Any:
    for i in range(items):
        yield i
    raise Planted


THEIRS = {
    "map": rx.map(lambda x: x * 2),
    "map_async": rx.map_async(lambda x: asyncio.sleep(1, x + 1)),
    "filter": rx.filter(lambda x: x % 2),
    "scan": rx.scan(lambda acc, x: acc + x, 0),
    "skip": rx.skip(2),
    "skip_last": rx.skip_last(2),
    "take": rx.take(3),
    "take_last": rx.take_last(2),
    "distinct_until_changed": rx.distinct_until_changed,
    "flat_map": rx.flat_map(rx.single),
    "merge": rx.merge(rx.empty()),
    "concat": rx.concat(rx.from_iterable([7, 8])),
    "catch": rx.catch(lambda _: rx.empty()),
    "delay": rx.delay(0.01),
}


@pytest.mark.parametrize("name", THEIRS)
def test_their_operators_over_our_flows(name: str) -> None:
    """Each operator of aioreactive returns the same over a flow as over aioreactive's source of the same items."""
    operator = THEIRS[name]
    items = [1, 1, 2, 3, 4]
    ours = virtually(heard(pipe(from_iterable(items), operator)))
    theirs = virtually(heard(pipe(rx.from_iterable(items), operator)))
    assert ours == theirs
    assert ours[-1] == "end"


OURS: dict[str, Any] = {
    "map": (op.map(lambda x: x * 2), [0, 2, 4, 6, 8]),
    "filter": (op.filter(lambda x: x % 2), [1, 3]),
    "flat_map": (op.flat_map(lambda x: [x] * x), [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]),
    "scan": (op.scan(lambda acc, x: acc + x, 0), [0, 1, 3, 6, 10]),
    "take": (op.take(2), [0, 1]),
    "batch": (op.batch(2), [[0, 1], [2, 3], [4]]),
    "buffer": (op.buffer(2), [0, 1, 2, 3, 4]),
    "map_async": (op.map_async(lambda x: asyncio.sleep(1, x)), [0, 1, 2, 3, 4]),
    "concat": (op.concat(just(9)), [0, 1, 2, 3, 4, 9]),
    "merge": (op.merge(just(9)), [0, 1, 2, 3, 4, 9]),
    "recover": (op.recover(lambda _: -1), [0, 1, 2, 3, 4]),
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("chained", [False, True])
def test_our_operators_over_their_observables(name: str, *, chained: bool) -> None:
    """Our operators work over a source of aioreactive, with and without its operators between; no task is left."""
    operator, wanted = OURS[name]

    async def main() -> list[Any]:
        async with no_leaks():
            source = rx.from_iterable(range(5))
            observable: Any = pipe(source, rx.skip(0), rx.merge(rx.empty())) if chained else source
            return await (from_observable(observable) | operator).to_list()

    came = virtually(main())
    assert sorted(came, key=repr) == sorted(wanted, key=repr) if name == "merge" else came == wanted


def test_there_and_back_again() -> None:
    """Items, the end and errors pass through a flow, operators of aioreactive, and a flow again."""

    async def main() -> None:
        async with no_leaks():
            flow = from_iterable(range(6)).map(lambda x: x + 1)
            back = from_observable(pipe(flow, rx.filter(lambda x: x % 2), rx.map(str))).batch(2)
            assert await back.to_list() == [["1", "3"], ["5"]]
            broken = from_observable(pipe(from_async_iterable(lambda: failing(3)), rx.map(str)))
            with pytest.raises(Planted):
                await broken.run()
            assert await broken.recover(lambda _: "error").to_list() == ["0", "1", "2", "error"]

    virtually(main())


@pytest.mark.parametrize("kind", [rx.AsyncSubject, rx.AsyncSingleSubject])
def test_subjects_both_ways(kind: Any) -> None:
    """A flow feeds a subject and another flow reads it; errors and the end arrive."""

    async def main(source: Flow[int]) -> list[Any]:
        async with no_leaks():
            subject: Any = kind()
            out: list[Any] = []

            async def read() -> None:
                try:
                    async for item in from_observable(subject).map(str):
                        out.append(item)
                except Planted:
                    out.append("error")

            reader = asyncio.ensure_future(read())
            await asyncio.sleep(1)
            disposable = await source.subscribe_async(subject)
            await reader
            await disposable.dispose_async()
        return out

    assert virtually(main(from_iterable(range(3)))) == ["0", "1", "2"]
    assert virtually(main(from_async_iterable(lambda: failing(2)))) == ["0", "1", "error"]


# -- source errors that hang the subscriber ----------------------------------------------------------


def rows_that_fail() -> Any:
    yield from range(3)
    raise Planted


LOST = {
    "from_async_iterable": lambda: rx.from_async_iterable(failing(3)),
    "from_iterable": lambda: rx.from_iterable(rows_that_fail()),
    "behind operators": lambda: pipe(rx.from_async_iterable(failing(3)), rx.map(lambda x: x), rx.skip(0)),
    "behind a mailbox": lambda: pipe(rx.from_iterable(rows_that_fail()), rx.take(9)),
}


@pytest.mark.parametrize("name", LOST)
def test_an_error_that_their_source_keeps_to_itself_is_raised(name: str) -> None:
    """A worker of aioreactive dies without calling its observer; a flow of it fails, behind the items that came."""

    async def hangs() -> None:
        log = Log()
        before = asyncio.all_tasks()
        disposable = await LOST[name]().subscribe_async(log.send, log.throw, log.close)
        with suppress(TimeoutError):
            async with asyncio.timeout(100):
                await log.over.wait()
        assert log.seen == [0, 1, 2]  # the fault is there: neither an error nor an end
        await disposable.dispose_async()
        for task in asyncio.all_tasks() - before:
            task.cancel()

    async def main(n: int) -> None:
        async with no_leaks(), from_observable(LOST[name]()).subscribe() as subscription:
            out: list[int] = []
            while len(out) < 3:
                out += await subscription.request(n)
                await asyncio.sleep(1)
            assert out == [0, 1, 2]
            with pytest.raises(Planted) as caught:
                await subscription.request(n)
            assert f"from_observable at {__file__}" in caught.value.__notes__[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "call_exception_handler", lambda *_: None)
        virtually(hangs())
    for n in (1, 2, 99):
        virtually(main(n))


def test_an_error_of_our_flow_reaches_their_subscriber() -> None:
    """The error arrives directly and through operators of aioreactive; over its own source they would hang."""
    for build in (
        lambda flow: flow,
        lambda flow: pipe(flow, rx.map(lambda x: x), rx.filter(lambda _: True)),
        lambda flow: pipe(flow, rx.take(99)),
        lambda flow: pipe(flow, rx.merge(rx.never())),
    ):
        seen = virtually(heard(build(from_async_iterable(lambda: failing(2)))))
        assert seen[:2] == [0, 1]
        assert isinstance(seen[-1], Planted)
        assert len(seen) == 3


# -- take that never cancels upstream ----------------------------------------------------------------


def test_our_take_disposes_their_observable() -> None:
    """``take`` disposes the observable when it has enough, during the run; the producer does not wait for ever."""

    async def main() -> None:
        disposed: list[float] = []
        sent: list[int] = []

        class Endless(rx.AsyncObservable[int]):
            async def subscribe_async(self, send: Any = None, throw: Any = None, close: Any = None) -> Any:
                async def drive() -> None:
                    for i in itertools.count():
                        await send.asend(i)
                        sent.append(i)

                task = asyncio.ensure_future(drive())

                async def dispose() -> None:
                    disposed.append(asyncio.get_running_loop().time())
                    task.cancel()
                    await asyncio.wait([task])

                return AsyncDisposable.create(dispose)

        async with no_leaks():
            flow = from_observable(Endless()).take(3).concat(TestSource([Sleep(50), "later"]))
            assert await flow.to_list() == [0, 1, 2, "later"]
        assert disposed == [0.0]
        assert len(sent) <= 4

    virtually(main())


def test_their_take_over_our_flow_ends_with_the_subscription() -> None:
    """The ``take`` of aioreactive never disposes its upstream; a flow of it does, so our endless source is closed."""

    async def main() -> None:
        async with no_leaks():
            source = TestSource([0, 1, 2, 3, 4, Forever()])
            flow = from_observable(pipe(source, rx.take(3)))
            assert await flow.to_list() == [0, 1, 2]
            assert source.counts.opened == source.counts.closed == 1

    async def endless() -> None:
        numbers = from_iterable(itertools.count)
        assert await from_observable(pipe(numbers, rx.take(3))).to_list() == [0, 1, 2]

    virtually(main())
    asyncio.run(endless())  # real time: a source that never waits takes none of the other kind


# -- tasks destroyed while pending -------------------------------------------------------------------


@pytest.mark.parametrize("name", THEIRS)
def test_the_tasks_behind_their_mailboxes_are_ended(name: str) -> None:
    """No task of aioreactive is destroyed while pending, whether the flow ends or is closed in the middle."""

    async def main() -> None:
        async with no_leaks():
            await from_observable(pipe(rx.from_iterable(range(5)), THEIRS[name])).run()
        async with no_leaks():
            await from_observable(pipe(from_iterable(range(5)), THEIRS[name])).run()
        async with no_leaks():
            subscription = from_observable(pipe(rx.from_iterable(range(5)), THEIRS[name])).subscribe()
            await subscription.request(1)
            await subscription.aclose()
        async with no_leaks():
            subscription = from_observable(pipe(rx.never(), THEIRS[name])).subscribe()
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(1)
            request.cancel()
            await asyncio.wait([request])
            await subscription.aclose()
            del request, subscription

    virtually(main())


def test_tasks_of_other_subscriptions_are_left_alone() -> None:
    """Only tasks started within our own ``subscribe_async`` are ended with it, even if that call waits."""

    async def main() -> None:
        class Slow(rx.AsyncObservable[int]):
            def __init__(self, inner: Any) -> None:
                self.inner = inner

            async def subscribe_async(self, send: Any = None, throw: Any = None, close: Any = None) -> Any:
                await asyncio.sleep(1)
                return await self.inner.subscribe_async(send, throw, close)

        async with no_leaks():
            first = from_observable(Slow(pipe(rx.from_iterable(range(3)), rx.take(2)))).subscribe()
            subject: Any = rx.AsyncSubject()
            second = from_observable(pipe(subject, rx.take(2))).subscribe()
            one = asyncio.ensure_future(first.request(1))
            await asyncio.sleep(0.5)
            two = asyncio.ensure_future(second.request(1))  # its workers start while the first one waits
            assert await one == [0]
            await first.aclose()
            sending = asyncio.ensure_future(subject.asend(7))
            assert await two == [7]
            await second.aclose()
            await sending

    virtually(main())


# -- unbounded mailboxes -----------------------------------------------------------------------------


def test_what_cannot_be_bounded_shows_infinity() -> None:
    """A foreign observable shows ∞ in ``max_in_flight``, in the text and in the pictures; a bounded flow does not."""
    flow = from_observable(pipe(rx.from_iterable(range(5)), rx.take(2))).map(str).batch(2)
    assert flow.max_in_flight() == math.inf
    graph = flow.graph()
    assert [node.holds for node in graph.nodes] == ["\N{INFINITY}"] * 3
    for shown in (str(graph), graph.to_mermaid(), graph.to_svg()):
        assert "\N{INFINITY}" in shown
    assert "\N{INFINITY}" not in str(from_iterable(range(5)).map(str).graph())


def test_a_flow_in_front_of_a_mailbox_leaves_the_loop_to_others() -> None:
    """A flow before a mailbox runs ahead, because nothing makes it wait, but it pauses for other tasks."""

    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticker = asyncio.ensure_future(tick())
        assert await from_observable(pipe(from_iterable(range(20_000)), rx.skip(19_999))).to_list() == [
            19_999
        ]
        assert ticks > 10
        ticker.cancel()

    asyncio.run(main())
