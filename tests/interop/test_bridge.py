"""The bridge to aioreactive: flows as observables, observables as flows, with real subjects and operators."""

from __future__ import annotations

import asyncio
from typing import Any

import aioreactive as rx
import pytest
from expression import pipe
from expression.system import AsyncDisposable

import penstock.operators as op
from penstock import defer, fail, from_async_iterable, from_iterable, from_observable, just
from penstock.testing import Forever, Planted, TestSource, no_leaks
from penstock.testing import run as virtually


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Log:
    """An observer that records its signals."""

    def __init__(self, *, fails_at: Any = None) -> None:
        self.seen: list[Any] = []
        self.fails_at = fails_at

    async def send(self, item: Any) -> None:
        self.seen.append(item)
        if item == self.fails_at:
            raise Planted

    async def throw(self, error: Exception) -> None:
        self.seen.append(type(error))

    async def close(self) -> None:
        self.seen.append("end")

    @property
    def observer(self) -> rx.AsyncObserver[Any]:
        return rx.AsyncAnonymousObserver(self.send, self.throw, self.close)


class FromFunction(rx.AsyncObservable[Any]):
    """An observable that calls a function with each observer."""

    def __init__(self, subscribe: Any) -> None:
        self.subscribe = subscribe
        self.disposed = 0

    async def subscribe_async(
        self, send: Any = None, throw: Any = None, close: Any = None
    ) -> AsyncDisposable:
        await self.subscribe(send)

        async def dispose() -> None:
            self.disposed += 1

        return AsyncDisposable.create(dispose)


class InTheBackground(FromFunction):
    """An observable that calls a function with each observer in a task, which disposing cancels."""

    async def subscribe_async(
        self, send: Any = None, throw: Any = None, close: Any = None
    ) -> AsyncDisposable:
        task = asyncio.ensure_future(self.subscribe(send))

        async def dispose() -> None:
            self.disposed += 1
            task.cancel()
            await asyncio.wait([task])

        return AsyncDisposable.create(dispose)


# -- a flow, observed --------------------------------------------------------------------------------


def test_observers_get_items_then_the_end() -> None:
    """Three functions or an observer object get the items, then the end or an error."""

    async def main() -> None:
        async with no_leaks():
            functions, observer, failed = Log(), Log(), Log()
            await from_iterable(range(3)).subscribe_async(functions.send, functions.throw, functions.close)
            await from_iterable(range(3)).subscribe_async(observer.observer)
            await just(1).concat(fail(KeyError())).subscribe_async(failed.observer)
            await turns()
            assert functions.seen == observer.seen == [0, 1, 2, "end"]
            assert failed.seen == [1, KeyError]

    virtually(main())


def test_aioreactive_operators_accept_a_flow() -> None:
    """``map``, ``filter`` and ``merge`` of aioreactive accept a flow, and a flow accepts their result."""

    async def main() -> None:
        flow = from_iterable(range(6))
        observable = pipe(flow, rx.map(lambda x: x + 1), rx.filter(lambda x: x % 2 == 0), rx.merge(just(100)))
        assert sorted(await from_observable(observable).to_list()) == [2, 4, 6, 100]

    virtually(main())


def test_a_slow_observer_is_waited_for() -> None:
    """``asend`` is called one item at a time, in order, however long each call takes."""

    async def main() -> None:
        handled: list[float] = []

        async def send(item: int) -> None:
            await asyncio.sleep(1)
            handled.append(asyncio.get_running_loop().time())

        await TestSource(range(100)).subscribe_async(send)
        await asyncio.sleep(200)
        assert handled == [pytest.approx(k) for k in range(1, 101)]

    virtually(main())


@pytest.mark.parametrize("depth", range(3))
def test_disposing_inside_asend_ends_the_run(depth: int) -> None:
    """``dispose_async`` inside ``asend``, behind two operators or in its child task closes upstream, without deadlock."""

    async def main() -> None:
        async with no_leaks():
            source, seen = TestSource(range(100)), []

            async def send(item: int) -> None:
                seen.append(item)
                if item == 2:
                    if depth == 2:
                        await asyncio.ensure_future(subscription.dispose_async())
                    else:
                        await subscription.dispose_async()

            observable: Any = source
            if depth == 1:
                observable = pipe(source, rx.map(lambda x: x), rx.filter(lambda x: True))
            async with asyncio.timeout(10):
                subscription = await observable.subscribe_async(rx.AsyncAnonymousObserver(send))
                await asyncio.sleep(5)
            assert seen[:3] == [0, 1, 2]
            assert len(seen) == 3 or depth == 1
            assert source.counts.closed == source.counts.opened == 1

    virtually(main())


@pytest.mark.parametrize("moment", ["at once", "while waiting", "while sending", "after the end"])
def test_disposing_from_outside_ends_the_run(moment: str) -> None:
    """``dispose_async`` works in any state, also twice; no task is left and no further signal is sent."""

    async def main() -> None:
        async with no_leaks():
            log = Log()

            async def rows() -> Any:
                yield 1
                await asyncio.sleep(10)
                yield 2

            async def slow(item: int) -> None:
                await log.send(item)
                await asyncio.sleep(100 if moment == "while sending" else 0)

            subscription = await from_async_iterable(rows).subscribe_async(slow, log.throw, log.close)
            await asyncio.sleep(
                {"at once": 0, "while waiting": 5, "while sending": 5, "after the end": 50}[moment]
            )
            seen = list(log.seen)
            await subscription.dispose_async()
            await subscription.dispose_async()
            await asyncio.sleep(200)
            assert log.seen == seen

    virtually(main())


def test_an_error_of_the_observer_closes_upstream_then_comes_back_to_it() -> None:
    """Upstream is closed before ``athrow`` gets the observer's own error."""

    async def main() -> None:
        async with no_leaks():
            source, log = TestSource(range(9)), Log(fails_at=2)
            closed: list[int] = []

            async def throw(error: Exception) -> None:
                closed.append(source.counts.closed)
                await log.throw(error)

            await source.subscribe_async(log.send, throw, log.close)
            await turns()
            assert log.seen == [0, 1, 2, Planted]
            assert closed == [1]

    virtually(main())


@pytest.mark.parametrize("when", ["throw", "close"])
def test_an_error_in_the_last_words_goes_to_the_loop(when: str) -> None:
    """An error of ``athrow`` or ``aclose`` goes to the loop's exception handler."""

    async def main() -> None:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        async def fails(*_: Any) -> None:
            raise Planted

        flow = fail(KeyError()) if when == "throw" else just(1)
        await flow.subscribe_async(
            None, fails if when == "throw" else None, fails if when == "close" else None
        )
        await turns()
        assert [type(error) for error in told] == [Planted]

    virtually(main())


@pytest.mark.parametrize("inside", [True, False])
def test_an_error_while_closing_after_a_dispose_is_not_lost(*, inside: bool) -> None:
    """After a dispose inside ``asend`` the loop's handler gets it; from outside, ``dispose_async`` raises it."""

    async def main() -> None:
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        async def rows() -> Any:
            try:
                for i in range(5):
                    yield i
                    await asyncio.sleep(1)
            finally:
                raise Planted

        async def send(item: int) -> None:
            if inside and item == 1:
                await subscription.dispose_async()

        subscription = await from_async_iterable(rows).subscribe_async(send)
        await asyncio.sleep(2.5)
        if inside:
            assert [type(error) for error in told] == [Planted]
        else:
            with pytest.raises(Planted):
                await subscription.dispose_async()

    virtually(main())


INPUTS: dict[str, Any] = {
    "alone": from_observable,
    "operators": lambda subject: from_observable(subject) | op.map(lambda x: x) | op.buffer(4) | op.batch(1),
    "behind theirs": lambda subject: from_observable(pipe(subject, rx.map(str), rx.skip(0))),
    "merged": lambda subject: just("just") | op.merge(from_observable(subject)),
    "built at run time": lambda subject: defer(lambda: from_observable(subject)),
    "shared": lambda subject: from_observable(subject) | op.share(),
    "shared twice": lambda subject: (from_observable(subject) | op.share() | op.broadcast(1))[0] | op.share(),
}


@pytest.mark.parametrize("name", INPUTS)
def test_no_item_is_missed_after_subscribe_async(name: str) -> None:
    """When ``subscribe_async`` returns, the observables above are subscribed: their first item arrives."""

    async def main() -> None:
        async with no_leaks():
            subject, seen = rx.AsyncSubject[str](), []

            async def send(item: Any) -> None:
                seen.append(item)

            subscription = await INPUTS[name](subject).subscribe_async(send)
            for item in "abc":
                await subject.asend(item)
            await asyncio.sleep(1)
            await subscription.dispose_async()
            came = [item for one in seen for item in (one if isinstance(one, list) else [one])]
            assert [item for item in came if item != "just"] == ["a", "b", "c"]

    virtually(main())


def test_the_observer_is_called_after_subscribe_async_has_returned() -> None:
    """This holds for a source that is ready, one that sends within its own ``subscribe_async``, and errors."""

    async def main() -> None:
        async def all_at_once(observer: Any) -> None:
            for i in range(3):
                await observer.asend(i)
            await observer.aclose()

        async with no_leaks():
            for flow in (
                just(1),
                fail(KeyError()),
                from_observable(FromFunction(all_at_once)),
                just(1) | op.merge(from_observable(FromFunction(all_at_once))),
            ):
                log = Log()
                await flow.subscribe_async(log.observer)
                assert log.seen == []
                await asyncio.sleep(1)
                assert log.seen

    virtually(main())


def test_a_cancelled_subscribe_async_leaves_nothing() -> None:
    """Its caller may be cancelled while an observable takes long to be subscribed."""

    async def main() -> None:
        async with no_leaks():
            observable = FromFunction(lambda _: asyncio.sleep(1000))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await from_observable(observable).subscribe_async(Log().observer)

    virtually(main())


@pytest.mark.parametrize("waits", ["for upstream", "in asend"])
def test_disposing_from_a_task_that_outlives_asend_ends_the_run(waits: str) -> None:
    """The task inherits the mark of ``asend``; its dispose returns at once, and the run ends nevertheless."""

    async def main() -> None:
        async with no_leaks():
            ended: list[float] = []
            late: list[asyncio.Task[None]] = []
            release = asyncio.Event()

            async def dispose() -> None:
                await asyncio.sleep(10)
                await subscription.dispose_async()

            async def send(_: int) -> None:
                late.append(asyncio.ensure_future(dispose()))
                if waits == "in asend":
                    await release.wait()

            source = TestSource([0, Forever()])
            flow = source | op.finally_do(lambda _: ended.append(asyncio.get_running_loop().time()))
            subscription = await flow.subscribe_async(send)
            await asyncio.sleep(20)
            assert ended == [10]
            assert source.counts.opened == source.counts.closed == 1
            release.set()
            await late[0]

    virtually(main())


# -- an observable, as a flow ------------------------------------------------------------------------


def test_a_subject_is_parked_until_there_is_demand() -> None:
    """``asend`` returns when there is demand for another item, which slows down a producer that awaits it."""

    async def main() -> None:
        subject: rx.AsyncSubject[int] = rx.AsyncSubject()
        sent: list[int] = []

        async def produce() -> None:
            for i in range(4):
                await subject.asend(i)
                sent.append(i)
            await subject.aclose()

        async with from_observable(subject).subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            await turns()
            producer = asyncio.ensure_future(produce())
            assert await request == [0]
            await asyncio.sleep(5)
            assert sent == []
            out = [0]
            while got := await subscription.request(1):
                out += got
                await asyncio.sleep(5)
                assert len(sent) <= len(out)
            assert out == [0, 1, 2, 3]
            await producer

    virtually(main())


def test_several_producers_may_send_at_a_time() -> None:
    """Demand wakes each waiting producer; when the consumer leaves, none hangs and none gets an error."""

    async def main() -> None:
        async with no_leaks():
            subject: rx.AsyncSubject[int] = rx.AsyncSubject()
            async with from_observable(subject).subscribe() as subscription:
                request = asyncio.ensure_future(subscription.request(1))
                await turns()
                producers = [asyncio.ensure_future(subject.asend(i)) for i in range(5)]
                out = await request
                while len(out) < 5:
                    out += await subscription.request(2)
                waiting = asyncio.ensure_future(subscription.request(1))
                await turns()
                assert all(producer.done() for producer in producers)
                more = [asyncio.ensure_future(subject.asend(i)) for i in (5, 6)]
                out += await waiting
                await turns()
            await asyncio.gather(*producers, *more)
            assert sorted(out)[:5] == [0, 1, 2, 3, 4]

    virtually(main())


def test_a_consumer_that_has_enough_releases_the_producer() -> None:
    """``take`` disposes the observable during the run, so its producer does not wait for ever."""

    async def main() -> None:
        subject: rx.AsyncSubject[int] = rx.AsyncSubject()

        async def later() -> Any:
            await asyncio.sleep(100)
            yield "later"

        flow = from_observable(subject).take(1).concat(from_async_iterable(later))
        async with flow.subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            await turns()
            producer = asyncio.ensure_future(subject.asend(1))
            assert await request == [1]
            waiting = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(1)
            assert producer.done()
            assert await waiting == ["later"]

    virtually(main())


def test_an_observable_that_sends_within_subscribe() -> None:
    """Cold sources of aioreactive, which run inside ``subscribe_async``, are driven, ended and disposed."""

    async def main() -> None:
        async with no_leaks():

            async def all_at_once(observer: Any) -> None:
                for i in range(5):
                    await observer.asend(i)
                await observer.aclose()

            observable = FromFunction(all_at_once)
            async with from_observable(observable).subscribe() as subscription:
                out: list[int] = []
                while got := await subscription.request(2):
                    assert len(got) <= 2
                    out += got
            assert out == [0, 1, 2, 3, 4]
            assert observable.disposed == 1
            assert await from_observable(rx.from_iterable(range(4))).to_list() == [0, 1, 2, 3]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await from_observable(FromFunction(lambda _: asyncio.sleep(1000))).to_list()

    virtually(main())


def test_errors_of_an_observable_come_behind_its_items() -> None:
    """``athrow``, during or after ``subscribe_async``, and an error of that call itself, fail the flow with a note."""

    async def main() -> None:
        async with no_leaks():

            async def throws(observer: Any) -> None:
                await observer.asend(1)
                await observer.athrow(Planted())

            async def breaks(observer: Any) -> None:
                await observer.asend(1)
                raise Planted

            for behaviour in (throws, breaks):
                async with from_observable(FromFunction(behaviour)).subscribe() as subscription:
                    assert await subscription.request(5) == [1]
                    for _ in range(2):
                        with pytest.raises(Planted) as caught:
                            await subscription.request(5)
                    assert f"in from_observable at {__file__}" in caught.value.__notes__[0]

    virtually(main())


def test_closing_disposes_the_observable_once() -> None:
    """Closing in any state disposes the observable once; an item sent afterwards is dropped."""

    async def main() -> None:
        async with no_leaks():
            subject: rx.AsyncSubject[int] = rx.AsyncSubject()
            subscription = from_observable(subject).subscribe()
            await subscription.aclose()
            subscription = from_observable(subject).subscribe()
            request = asyncio.ensure_future(subscription.request(1))
            await turns()
            producer = asyncio.ensure_future(subject.asend(1))
            await request
            await subscription.aclose()
            await producer
            await subject.asend(2)

    virtually(main())


@pytest.mark.parametrize("ends", ["at the end", "early", "with an error"])
def test_their_iterator_is_read_and_disposed(ends: str) -> None:
    """``from_async_iterable`` reads aioreactive's iterator over an observable, ends with it, and disposes it."""

    async def main() -> None:
        async def sends(observer: Any) -> None:
            await observer.asend(1)
            await observer.asend(2)
            await (observer.athrow(Planted()) if ends == "with an error" else observer.aclose())

        async with no_leaks():
            observable = InTheBackground(sends)
            flow = from_async_iterable(rx.AsyncIteratorObserver(observable))
            if ends == "early":
                assert await flow.take(1).to_list() == [1]
            elif ends == "at the end":
                assert await flow.to_list() == [1, 2]
            else:
                with pytest.raises(Planted):
                    await flow.to_list()
            assert observable.disposed == 1

    virtually(main())
