"""The sources ``unfold``, ``iterate``, ``range_``, ``from_callable``, ``from_future`` and ``from_queue``."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import from_callable, from_future, from_queue, iterate, just, never, range_, unfold
from penstock.errors import AlreadySubscribed, GraphError, NotResumable, PositionError, SubscriptionClosed
from penstock.testing import Planted, VirtualTimeLoop, no_leaks
from penstock.testing import run as virtually

# -- from a state ------------------------------------------------------------------------------------


def fibonacci(state: list[int]) -> tuple[int, list[int]] | None:
    a, b = state
    return (a, [b, a + b]) if a < 100 else None


async def fibonacci_later(state: list[int]) -> tuple[int, list[int]] | None:
    await asyncio.sleep(1)
    return fibonacci(state)


FIBONACCI = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]


@pytest.mark.parametrize("function", [fibonacci, fibonacci_later])
def test_unfold_goes_on_from_its_state(function: Any) -> None:
    """After any item, the position is the state after it, and a resumed run continues from there."""

    async def main() -> None:
        flow = unfold([1, 1], function, name="f")
        assert await flow.to_list() == FIBONACCI
        for cut in range(1, len(FIBONACCI) + 1):
            async with flow.subscribe() as subscription:
                came = [item for _ in range(cut) for item in await subscription.request(1)]
                position = subscription.position
            assert came == FIBONACCI[:cut]
            assert "[" in str(position["nodes"]["f"])
            async with flow.subscribe(position) as subscription:
                assert came + [x for _ in range(11) for x in await subscription.request(1)] == FIBONACCI

    virtually(main())


@given(st.integers(0, 40), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_iterate_is_the_powers_of_a_function(count: int, schedule: list[int]) -> None:
    """``iterate`` yields what ``itertools.accumulate`` yields, and computes each item when it is requested."""
    calls: list[int] = []

    def step(x: int) -> int:
        calls.append(x)
        return (x * 7 + 3) % 101

    async def main() -> None:
        wanted = list(itertools.accumulate(range(count), lambda x, _: (x * 7 + 3) % 101, initial=5))
        out: list[int] = []
        async with iterate(5, step).subscribe() as subscription:
            for n in itertools.cycle(schedule):
                if len(out) >= len(wanted):
                    break
                out += await subscription.request(min(n, len(wanted) - len(out)))
                assert calls == out[:-1]
        assert out == wanted

    virtually(main())


async def test_a_run_resumes_with_a_mended_function() -> None:
    """After an error the position stands before the failed call, which a resumed run makes again."""

    def broken(x: int) -> int:
        if x == 8:
            raise Planted
        return 2 * x

    async with iterate(1, broken).subscribe() as subscription:
        assert await subscription.request(9) == [1, 2, 4, 8]
        for _ in range(2):
            with pytest.raises(Planted) as caught:
                await subscription.request(9)
            assert [f"in iterate at {__file__}" in note for note in caught.value.__notes__] == [True]
        position = subscription.position
    async with iterate(1, lambda x: 2 * x).subscribe(position) as subscription:
        assert await subscription.request(2) == [16, 32]


async def test_a_position_does_not_change_with_the_run() -> None:
    """A position taken earlier does not change when the run continues."""
    async with iterate(1, lambda x: x + 1).subscribe() as subscription:
        await subscription.request(3)
        first = subscription.position
        await subscription.request(3)
        assert first != subscription.position
    async with iterate(1, lambda x: x + 1).subscribe(first) as subscription:
        assert await subscription.request(1) == [4]


async def test_a_state_that_is_no_json_has_no_position() -> None:
    """A state that is not JSON runs; only reading the position raises an error."""
    async with unfold({1}, lambda s: (len(s), {*s, len(s) + 1})).subscribe() as subscription:
        assert await subscription.request(3) == [1, 2, 3]
        with pytest.raises(PositionError, match="unfold"):
            _ = subscription.position


@pytest.mark.parametrize("returned", [3, [1, 2], (1, 2, 3), "ab"])
async def test_what_is_no_pair_is_refused(returned: Any) -> None:
    """The error says what the function must return, and what it returned."""
    with pytest.raises(TypeError, match="next state") as caught:
        await unfold(0, lambda _: returned).to_list()
    assert repr(returned) in str(caught.value)


async def test_a_hidden_coroutine_function_is_refused() -> None:
    """A lambda that returns a coroutine is refused when it is called."""
    hidden: Any = lambda state: fibonacci_later(state)  # noqa: E731, PLW0108  a lambda is the point
    with pytest.raises(TypeError, match="coroutine"):
        await unfold([1, 1], hidden).to_list()
    gc.collect()


async def test_a_stray_stop_iteration_is_no_end() -> None:
    """A ``StopIteration`` becomes a ``RuntimeError`` after the items before it."""

    def stray(x: int) -> int:
        if x == 2:
            raise StopIteration
        return x + 1

    items: list[int] = []

    async def take_all() -> None:
        async with iterate(0, stray).subscribe() as subscription:
            while True:
                items.extend(await subscription.request(9))

    with pytest.raises(RuntimeError, match=r"iterate at .* StopIteration"):
        await take_all()
    assert items == [0, 1, 2]


async def test_making_items_lets_others_run() -> None:
    """Other tasks run even if an endless source is asked for very many items at a time."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count_turns())
    async with iterate(0, lambda x: x + 1).subscribe() as subscription:
        total = 0
        while total < 100_000:
            total += len(await subscription.request(1_000_000))
    counter.cancel()
    assert turns > 3


@pytest.mark.parametrize("bounds", [(5,), (2, 9), (9, 2, -3), (0,), (3, 3)])
async def test_range_is_range(bounds: tuple[int, ...]) -> None:
    """``range_`` takes the arguments of ``range``; resuming far into it takes no time."""
    make: Any = range_
    assert await make(*bounds).to_list() == list(range(*bounds))
    async with range_(10**15).subscribe({"v": 1, "nodes": {"from_iterable#0": 10**14}}) as subscription:
        assert await subscription.request(1) == [10**14]


@pytest.mark.parametrize("bounds", [(), (1, 2, 0), (1.5,), ("a",), (1, 2, 3, 4)])
def test_what_range_refuses_is_refused(bounds: tuple[Any, ...]) -> None:
    """Arguments that ``range`` refuses raise a ``GraphError``."""
    make: Any = range_
    with pytest.raises(GraphError, match="range_"):
        make(*bounds)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (unfold, (0, 3)),
        (iterate, (0, None)),
        (from_callable, (3,)),
        (from_future, (3,)),
        (from_future, (fibonacci,)),
        (from_queue, ([],)),
    ],
)
def test_wrong_arguments_are_refused(make: Any, arguments: tuple[Any, ...]) -> None:
    """A wrong argument raises a ``GraphError`` that names its type."""
    with pytest.raises(GraphError, match=type(arguments[-1]).__name__):
        make(*arguments)


# -- one item ----------------------------------------------------------------------------------------


def test_a_callable_is_called_once_per_subscription_and_only_when_asked() -> None:
    """``from_callable`` calls a plain or async function once per subscription, and not at all after the item."""
    calls: list[str] = []

    def plain() -> int:
        calls.append("plain")
        return 1

    async def slow() -> int:
        calls.append("slow")
        await asyncio.sleep(5)
        return 1

    async def main() -> None:
        for function in (plain, slow):
            calls.clear()
            flow = from_callable(function)
            async with flow.subscribe() as unused:
                await asyncio.sleep(9)
            del unused
            assert calls == []
            async with flow.subscribe() as subscription:
                assert await subscription.request(5) == [1]
                assert await subscription.request(5) == []
                position = subscription.position
            assert len(calls) == 1
            async with flow.subscribe(position) as subscription:
                assert await subscription.request(5) == []
            assert len(calls) == 1
            assert await flow.to_list() == [1]

    virtually(main())


def test_a_cancelled_request_leaves_the_call_alone() -> None:
    """A cancelled request does not cancel the call; the next request gets its result, and ``aclose`` cancels it."""
    began: list[float] = []
    cancelled: list[bool] = []

    async def slow() -> int:
        began.append(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise
        return 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with no_leaks():
            async with from_callable(slow).subscribe() as subscription:
                for _ in range(2):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(2):
                            await subscription.request(1)
                assert await subscription.request(1) == [1]
                assert loop.time() == 5
            assert (began, cancelled) == ([0], [])
            async with from_callable(slow).subscribe() as subscription:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(2):
                        await subscription.request(1)
            assert cancelled == [True]

    virtually(main())


def test_a_callable_is_retried() -> None:
    """``retry`` calls the function again."""
    failures = iter([ConnectionError(), ConnectionError()])

    async def flaky() -> int:
        for failure in failures:
            raise failure
        return 7

    async def main() -> None:
        assert await (from_callable(flaky) | op.retry(attempts=3)).to_list() == [7]

    virtually(main())


def test_a_future_is_waited_for_and_never_cancelled() -> None:
    """Several subscriptions wait for one task; closing one of them does not cancel it."""

    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(5, "done"))
        flow = from_future(task)
        async with no_leaks():
            for _ in range(2):
                async with flow.subscribe() as subscription:
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(1):
                            await subscription.request(1)
            assert await flow.to_list() == await flow.to_list() == ["done"]
            assert asyncio.get_running_loop().time() == 5

    virtually(main())


def test_a_future_that_fails_or_is_cancelled() -> None:
    """The error of a future fails the flow; its cancellation becomes a ``RuntimeError``."""

    async def main() -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_exception(Planted("x"))
        for _ in range(2):
            with pytest.raises(Planted) as caught:
                await from_future(future).to_list()
        assert len(caught.value.__notes__) == 1
        task = asyncio.create_task(asyncio.sleep(5))
        asyncio.get_running_loop().call_later(1, task.cancel)
        with pytest.raises(RuntimeError, match="cancelled from outside"):
            await from_future(task).to_list()

    virtually(main())


async def test_a_future_of_another_loop_is_refused() -> None:
    """A future of another event loop raises an error instead of waiting for ever."""
    other = VirtualTimeLoop()
    try:
        with pytest.raises(RuntimeError, match="another event loop"):
            await from_future(other.create_future()).to_list()
    finally:
        other.close()


async def test_a_coroutine_runs_once() -> None:
    """A second subscription and ``retry`` raise errors that say what to write instead."""
    flow = from_future(asyncio.sleep(0, "done"))
    with pytest.raises(NotResumable, match="only once"):
        flow | op.retry()
    assert await flow.to_list() == ["done"]
    with pytest.raises(AlreadySubscribed, match="from_callable"):
        await flow.to_list()


# -- queues ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue])
@given(schedule=st.lists(st.integers(1, 4), min_size=1, max_size=4), pauses=st.lists(st.integers(0, 2)))
def test_a_queue_gives_what_is_put(kind: Any, schedule: list[int], pauses: list[int]) -> None:
    """Each item is yielded once, in the queue's order, and ``maxsize`` slows the producer down."""

    async def main() -> None:
        queue: asyncio.Queue[Any] = kind(2)
        most = 0

        async def produce() -> None:
            nonlocal most
            for i, pause in enumerate(pauses):
                await asyncio.sleep(pause)
                await queue.put(i)
                most = max(most, queue.qsize())
            await queue.join()
            await queue.put(-1)

        out: list[int] = []
        async with no_leaks():
            producer = asyncio.create_task(produce())
            async with from_queue(queue, sentinel=-1).subscribe() as subscription:
                for n in itertools.cycle(schedule):
                    if not (items := await subscription.request(n)):
                        break
                    assert len(items) <= n
                    out += items
                assert await subscription.request(1) == []
            await producer
        assert sorted(out) == list(range(len(pauses)))
        assert kind is asyncio.LifoQueue or out == sorted(out)
        assert most <= 2
        await queue.join()

    virtually(main())


@pytest.mark.parametrize("how", ["close", "cancel", "drain"])
def test_nothing_is_lost_wherever_a_run_ends(how: str) -> None:
    """At every turn of the loop, the items that were not delivered are still in the queue, in order."""

    async def ended_at(turn: int) -> bool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        out: list[int] = []

        async def produce() -> None:
            for i in range(6):
                if i % 2:
                    await asyncio.sleep(0)
                await queue.put(i)

        async def read(subscription: Any) -> None:
            while items := await subscription.request(2):
                out.extend(items)

        async with no_leaks():
            producer = asyncio.create_task(produce())
            subscription = from_queue(queue).subscribe()
            reader = asyncio.create_task(read(subscription))
            closers: list[asyncio.Task[Any]] = []

            def strike() -> None:
                if how == "cancel":
                    reader.cancel()
                else:
                    step = subscription.aclose() if how == "close" else subscription.drain()
                    closers.append(loop.create_task(step))

            loop.at_turn(loop.turns + turn, strike)
            await asyncio.wait([reader], timeout=1)
            over = not reader.done()
            if over:
                strike()
            await asyncio.wait([reader])
            if not reader.cancelled():
                assert isinstance(reader.exception(), SubscriptionClosed | None)
            await asyncio.gather(*closers)
            await subscription.aclose()
            rest = []
            while not producer.done() or not queue.empty():
                while not queue.empty():
                    rest.append(queue.get_nowait())
                await asyncio.sleep(0)
            assert out + rest == list(range(6))
        return over

    for turn in range(100):
        if virtually(ended_at(turn)):
            break
    else:
        pytest.fail("the run never got to its end")


def test_two_subscriptions_share_a_queue() -> None:
    """Each item of a queue goes to one of two subscriptions."""

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        flow = from_queue(queue)
        async with flow.subscribe() as one, flow.subscribe() as two:
            waiting = [asyncio.create_task(one.request(1)), asyncio.create_task(two.request(1))]
            await asyncio.sleep(1)
            queue.put_nowait(1)
            queue.put_nowait(2)
            assert sorted(itertools.chain(*await asyncio.gather(*waiting))) == [1, 2]
        assert not flow.resumable
        with pytest.raises(NotResumable, match="from_queue"):
            flow | op.retry()

    virtually(main())


def test_the_sentinel_is_compared_within_its_type() -> None:
    """Only items of the sentinel's type are compared with it, so ``True`` is not ``1``."""

    class Prickly:
        def __eq__(self, other: object) -> bool:
            raise Planted

        __hash__ = None  # type: ignore[assignment]

    async def main() -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for item in (Prickly(), True, 1, 2):
            queue.put_nowait(item)
        first, second = await from_queue(queue, sentinel=1).to_list()
        assert isinstance(first, Prickly)
        assert second is True
        assert queue.qsize() == 1

    virtually(main())


def test_a_second_caller_of_task_done_is_told() -> None:
    """If ``task_done`` is called elsewhere, the error has a note that ``from_queue`` calls it."""

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        queue.put_nowait(1)
        async with from_queue(queue).subscribe() as subscription:
            await subscription.request(1)
            queue.task_done()
            with pytest.raises(ValueError, match="too many times") as caught:
                await subscription.request(1)
            assert any("calls task_done() itself" in note for note in caught.value.__notes__)

    virtually(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues can be shut down from Python 3.13 on")
@pytest.mark.parametrize("immediate", [False, True])
def test_a_queue_that_is_shut_down_ends_the_flow(immediate: bool) -> None:
    """A queue that is shut down ends the flow after its last item, or at once; also while a request waits."""

    async def main() -> None:
        queue: Any = asyncio.Queue()
        queue.put_nowait(1)
        async with from_queue(queue).subscribe() as subscription:
            assert await subscription.request(1) == [1]
            waiting = asyncio.create_task(subscription.request(1))
            await asyncio.sleep(1)
            queue.shutdown(immediate=immediate)
            assert await waiting == []

        queue = asyncio.Queue()
        queue.put_nowait(1)
        queue.shutdown(immediate=immediate)
        assert await from_queue(queue).to_list() == ([] if immediate else [1])

    virtually(main())


@pytest.mark.parametrize("join", ["merge", "zip", "combine_latest", "interleave", "flat_map_merge"])
def test_a_queue_behind_a_join_ends_without_cancelling_the_consumer(join: str) -> None:
    """Draining ends the wait for an item of the queue; the task that waits for the join is not cancelled."""

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        flow: Any = from_queue(queue)
        shaped = flow.flat_map_merge(just) if join == "flat_map_merge" else getattr(flow, join)(never())
        async with no_leaks(), shaped.subscribe() as subscription:
            asking = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(0.01)
            await subscription.drain()
            assert await asking == []

    virtually(main())
