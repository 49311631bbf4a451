"""``create``: a flow from callbacks, with backpressure or a stated overflow."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as rxop

import penstock as ps
from penstock.errors import BufferOverflow, GraphError, SubscriptionClosed
from penstock.testing import no_leaks
from penstock.testing import run as virtually

DROPPING = [("drop_oldest", [0, 4, 5]), ("drop_newest", [0, 1, 2]), ("latest", [0, 5])]


class Hub:
    """A callback API: listeners are called with each item that is sent."""

    def __init__(self) -> None:
        self.emitters: list[ps.Emitter[int]] = []
        self.left = 0

    def listen(self, emitter: ps.Emitter[int]) -> Any:
        self.emitters.append(emitter)

        def leave() -> None:
            self.left += 1
            self.emitters.remove(emitter)

        return leave


async def settled() -> None:
    """Let all tasks go on until they wait."""
    await asyncio.sleep(1)


def test_subscribe_is_called_for_each_run_and_undone_once() -> None:
    """It is called at the first request, and its cleanup once, whether the run completes, fails or is closed."""
    hub = Hub()
    flow = ps.create(hub.listen)

    async def main() -> None:
        for number, end in enumerate((lambda e: e.complete(), lambda e: e.fail(ValueError("lost")), None)):
            async with no_leaks(), flow.subscribe() as subscription:
                assert hub.emitters == []
                pending = asyncio.create_task(subscription.request(5))
                await settled()
                (emitter,) = hub.emitters
                assert emitter.emit_nowait(1)
                assert await pending == [1]
                if end is not None:
                    end(emitter)
                    if number:
                        with pytest.raises(ValueError, match="lost"):
                            await subscription.request(1)
                    else:
                        assert await subscription.request(1) == []
                    assert hub.left == number + 1
                    end(emitter)  # a second end does nothing
            assert (hub.left, emitter.ended, emitter.emit_nowait(2)) == (number + 1, True, False)

    virtually(main())


@pytest.mark.parametrize(("overflow", "wanted"), DROPPING)
def test_overflow_is_that_of_buffer(overflow: Any, wanted: list[int]) -> None:
    """Beyond the request and ``capacity`` items are dropped, as ``overflow`` says, and counted."""

    async def main() -> tuple[list[int], int]:
        hub = Hub()
        async with ps.create(hub.listen, capacity=2, overflow=overflow).subscribe() as subscription:
            pending = asyncio.create_task(subscription.request(1))
            await settled()
            taken = [hub.emitters[0].emit_nowait(0)]
            came = await pending
            taken += [hub.emitters[0].emit_nowait(k) for k in range(1, 6)]
            hub.emitters[0].complete()
            while items := await subscription.request(9):
                came += items
            assert taken.count(False) == (3 if overflow == "drop_newest" else 0)
            return came, sum(stage.dropped for stage in subscription.statistics().stages)

    assert virtually(main()) == (wanted, 6 - len(wanted))


def test_an_overflow_is_an_error_by_default() -> None:
    """The items that fit come first; then the flow fails, with a note that names the line."""

    async def main() -> None:
        hub = Hub()
        async with ps.create(hub.listen, capacity=2).subscribe() as subscription:
            pending = asyncio.create_task(subscription.request(3))
            await settled()
            assert [hub.emitters[0].emit_nowait(k) for k in range(7)] == [True] * 5 + [False] * 2
            assert (await pending, await subscription.request(9)) == ([0, 1, 2], [3, 4])
            for _ in range(2):
                with pytest.raises(BufferOverflow) as caught:
                    await subscription.request(1)
                assert "create at " in caught.value.__notes__[0]

    virtually(main())


def test_emit_waits_for_demand_and_calls_take_turns() -> None:
    """No item is taken before it is requested; a cancelled call delivers nothing."""

    async def main() -> None:
        hub = Hub()
        async with ps.create(hub.listen).subscribe() as subscription:
            pending = asyncio.create_task(subscription.request(1))
            await settled()
            calls = [asyncio.create_task(hub.emitters[0].emit(k)) for k in range(4)]
            await settled()
            assert [call.done() for call in calls] == [True, False, False, False]
            calls[1].cancel()
            assert (await pending, await subscription.request(1)) == ([0], [2])
            hub.emitters[0].complete()
            with pytest.raises(SubscriptionClosed):
                await calls[3]
            assert await subscription.request(1) == []

    virtually(main())


def test_closing_ends_calls_that_wait() -> None:
    """A call in a task of the user's own raises ``SubscriptionClosed``; an async ``subscribe`` is cancelled."""

    async def main() -> list[str]:
        ended: list[str] = []

        async def subscribe(emitter: ps.Emitter[int]) -> None:
            async def produce() -> None:
                try:
                    while True:
                        await emitter.emit(1)
                except SubscriptionClosed:
                    ended.append("producer")

            task = asyncio.create_task(produce())
            try:
                await asyncio.sleep(1e6)
            finally:
                await task
                ended.append("subscribe")

        async with no_leaks(), ps.create(subscribe).subscribe() as subscription:
            assert await subscription.request(1) == [1]
        return ended

    assert virtually(main()) == ["producer", "subscribe"]


def test_another_task_ends_a_flow_whose_subscribe_still_runs() -> None:
    """The running ``subscribe`` is cancelled; one that ends the flow itself runs to its own end."""

    async def main() -> list[str]:
        ended: list[str] = []

        async def forever(emitter: ps.Emitter[int]) -> None:
            asyncio.get_running_loop().call_later(1, emitter.complete)
            try:
                await asyncio.sleep(1e6)
            finally:
                ended.append("cancelled")

        async def by_itself(emitter: ps.Emitter[int]) -> Any:
            emitter.complete()
            await asyncio.sleep(5)
            ended.append("by itself")

            async def leave() -> None:
                await asyncio.sleep(5)
                ended.append("left")

            return leave

        for subscribe in (forever, by_itself):
            assert await ps.create(subscribe).to_list() == []
        return ended

    assert virtually(main()) == ["cancelled", "by itself", "left"]


def test_errors_of_subscribe_and_of_its_cleanup() -> None:
    """Both fail the flow and name the line. An error of the cleanup does not mask an earlier one."""

    def fails(_: ps.Emitter[int]) -> None:
        raise KeyError("at once")

    async def fails_later(_: ps.Emitter[int]) -> None:
        await asyncio.sleep(1)
        raise KeyError("later")

    def cleanup() -> None:
        raise OSError("cleanup")

    def completes(emitter: ps.Emitter[int]) -> Any:
        emitter.complete()
        return cleanup

    def loses(emitter: ps.Emitter[int]) -> Any:
        emitter.fail(KeyError("lost"))
        return cleanup

    for subscribe, error, note in (
        (fails, KeyError, "in create at"),
        (fails_later, KeyError, "in create at"),
        (completes, OSError, "in create at"),
        (loses, KeyError, "the cleanup of create at"),
        (lambda _: 3, TypeError, "in create at"),
    ):
        with pytest.raises(error) as caught:
            virtually(ps.create(subscribe).to_list())
        assert any(note in line for line in caught.value.__notes__)


def test_items_from_another_thread() -> None:
    """``emit_threadsafe`` keeps the order of a thread; ``emit_blocking`` lets it wait for demand."""

    def subscribe(emitter: ps.Emitter[int]) -> Any:
        def produce() -> None:
            for k in range(50):
                emitter.emit_threadsafe(k)
            for k in range(50, 60):
                emitter.emit_blocking(k)
            emitter.complete()

        thread = threading.Thread(target=produce)
        thread.start()
        return lambda: asyncio.to_thread(thread.join)

    assert asyncio.run(ps.create(subscribe).to_list()) == list(range(60))


def test_a_thread_that_waits_for_demand_learns_that_the_consumer_has_left() -> None:
    """The blocking function stops at the error of ``emit_blocking``; its own errors fail the flow."""
    sent: list[int] = []
    stopped: list[BaseException] = []

    def parse(callback: Any, end: int) -> None:
        try:
            for k in range(end):
                sent.append(k)
                callback(k)
        except BaseException as error:
            stopped.append(error)
            raise
        msg = "bad"
        raise ValueError(msg)

    def parsed(end: int) -> ps.Flow[int]:
        async def subscribe(emitter: ps.Emitter[int]) -> None:
            await asyncio.to_thread(parse, emitter.emit_blocking, end)

        return ps.create(subscribe)

    assert asyncio.run(parsed(1000).head(3)) == [0, 1, 2]  # it waits for its threads at the end
    assert sent == [0, 1, 2, 3]
    assert [type(error) for error in stopped] == [SubscriptionClosed]
    with pytest.raises(ValueError, match="bad"):
        asyncio.run(parsed(2).run())

    async def wrong() -> None:
        def subscribe(emitter: ps.Emitter[int]) -> None:
            emitter.emit_blocking(1)

        await ps.create(subscribe).run()

    with pytest.raises(RuntimeError, match=r"Use await emitter\.emit"):
        asyncio.run(wrong())


def test_a_failure_from_another_thread() -> None:
    """``emit_nowait`` in another thread fails the flow, behind the items before, and says what to call."""

    def subscribe(emitter: ps.Emitter[int]) -> Any:
        def produce() -> None:
            emitter.emit_threadsafe(1)
            with suppress(RuntimeError):  # as a library does that logs the errors of its callbacks
                emitter.emit_nowait(2)

        thread = threading.Thread(target=produce)
        thread.start()
        return lambda: asyncio.to_thread(thread.join)

    items: list[int] = []
    with pytest.raises(RuntimeError, match="Use emit_threadsafe or emit_blocking there"):
        asyncio.run(ps.create(subscribe).for_each(items.append))
    assert items == [1]


def test_an_item_for_a_loop_that_is_closed_is_dropped() -> None:
    """A thread that emits after the end of the loop gets no error, or the one that ``emit`` raises."""
    emitters: list[ps.Emitter[int]] = []

    def subscribe(emitter: ps.Emitter[int]) -> None:
        emitters.append(emitter)
        emitter.complete()

    asyncio.run(ps.create(subscribe).to_list())
    emitters[0].emit_threadsafe(1)
    with ThreadPoolExecutor(1) as pool, pytest.raises(SubscriptionClosed):
        pool.submit(emitters[0].emit_blocking, 1).result()
    ending = threading.Thread(target=emitters[0].complete)
    ending.start()
    ending.join()


@pytest.mark.parametrize("source", [lambda: rx.of(0, 1, 2), lambda: rx.interval(0.001).pipe(rxop.take(3))])
def test_an_observable_of_rxpy_is_a_flow_whatever_thread_sends(source: Any) -> None:
    """One that sends while it is subscribed to, and one whose timer sends, lose nothing before the end."""

    def subscribe(emitter: ps.Emitter[int]) -> Any:
        return source().subscribe(emitter.emit_threadsafe, emitter.fail, emitter.complete).dispose

    assert asyncio.run(ps.create(subscribe).to_list()) == [0, 1, 2]


def test_draining_takes_no_new_items() -> None:
    """The items that wait are delivered; ``emit_nowait`` refuses others, and ``emit`` keeps its item."""

    async def main() -> None:
        hub = Hub()
        async with ps.create(hub.listen).subscribe() as subscription:
            pending = asyncio.create_task(subscription.request(1))
            await settled()
            emitter = hub.emitters[0]
            assert [emitter.emit_nowait(k) for k in range(3)] == [True] * 3
            call = asyncio.create_task(emitter.emit(9))
            assert await pending == [0]
            await subscription.drain()
            assert not emitter.emit_nowait(3)
            assert (await subscription.request(9), await subscription.request(9)) == ([1, 2], [])
            assert not call.done()
        with pytest.raises(SubscriptionClosed):
            await call

    virtually(main())


def test_arguments_are_checked() -> None:
    """``emit_nowait`` cannot wait, so that overflow is refused, with what to do instead."""
    with pytest.raises(GraphError, match=r"await emitter\.emit"):
        ps.create(lambda _: None, overflow="wait")
    with pytest.raises(GraphError, match="overflow must be one of"):
        ps.create(lambda _: None, overflow="never")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="capacity"):
        ps.create(lambda _: None, capacity=0)
    with pytest.raises(GraphError, match="create takes a function"):
        ps.create([1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes an Exception"):
        virtually(ps.create(lambda e: e.fail("text")).to_list())  # type: ignore[arg-type]
    assert not ps.create(lambda _: None).resumable
