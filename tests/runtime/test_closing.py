"""Ways to end a run that are easy to get wrong: from inside, from another loop, by dropping it, by an error."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
from penstock.errors import SubscriptionClosed
from penstock.runtime import subscription as module
from penstock.runtime.run import Run
from penstock.testing import Planted, no_leaks, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def rows() -> AsyncIterator[int]:
    for x in range(5):
        yield x


# -- from inside -------------------------------------------------------------------------------------


def of_a_source(close: Callable[[], Any]) -> ps.Flow[Any]:
    async def closing() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await close()

    return ps.from_async_iterable(closing)


def of_a_release(close: Callable[[], Any]) -> ps.Flow[Any]:
    async def release(_: Any) -> None:
        await close()

    return ps.using(lambda: 1, lambda _: ps.range_(3), release)


def of_a_resource(close: Callable[[], Any]) -> ps.Flow[Any]:
    @asynccontextmanager
    async def resource() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await close()

    return ps.using(resource, lambda _: ps.range_(3))


def of_a_function(close: Callable[[], Any]) -> ps.Flow[Any]:
    async def function(x: int) -> int:
        if x == 2:
            await close()
        return x

    return ps.range_(5).map_async(function, 1)


def of_a_child(close: Callable[[], Any]) -> ps.Flow[Any]:
    async def function(x: int) -> int:
        await asyncio.create_task(close())
        return x

    return ps.range_(5).map_async(function, 1)


@pytest.mark.parametrize("place", [of_a_source, of_a_release, of_a_resource, of_a_function, of_a_child])
def test_a_run_can_be_closed_from_inside(place: Callable[[Any], ps.Flow[Any]]) -> None:
    """``aclose`` in code that the run awaits starts the closing and does not wait for that code."""

    async def main() -> None:
        async with no_leaks():
            subscription: Any = None

            async def close() -> None:
                await subscription.aclose()

            subscription = place(close).subscribe()
            with suppress(SubscriptionClosed):  # raised if the code that closes runs during a request
                await subscription.request(5)
            await subscription.aclose()
            with pytest.raises(SubscriptionClosed):
                await subscription.request(1)

    run(main())


# -- from another event loop ---------------------------------------------------------------------------


def test_another_event_loop_is_refused() -> None:
    """A run stays in the event loop of its first request; another one is told so, instead of waiting."""
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    subscription = ps.from_async_iterable(rows).subscribe()
    assert first.run_until_complete(subscription.request(1)) == [0]
    with pytest.raises(RuntimeError, match=r"another event loop.*subscribe to the flow again"):
        second.run_until_complete(subscription.request(1))
    with pytest.raises(RuntimeError, match=r"another event loop.*close it there"):
        second.run_until_complete(subscription.aclose())
    assert first.run_until_complete(subscription.request(1)) == [1]
    first.run_until_complete(subscription.aclose())
    first.close()
    second.close()


# -- by dropping it --------------------------------------------------------------------------------------


def test_a_dropped_run_says_where_it_began_and_is_closed() -> None:
    """A subscription that nobody closes warns when it is collected, and its source is closed."""

    async def main() -> None:
        async with no_leaks():
            ended: list[str] = []
            subscription = ps.from_async_iterable(rows).finally_do(ended.append).subscribe()
            await subscription.request(1)
            with pytest.warns(ResourceWarning, match=r"test_closing.py:\d+ was dropped"):
                del subscription
            for _ in range(5):
                await asyncio.sleep(0)
            assert ended == ["cancelled"]

    run(main())


@pytest.mark.filterwarnings("error")
def test_a_run_that_ended_or_never_began_may_be_dropped() -> None:
    """Nothing is left to close after the last request, and before the first one."""

    async def main() -> None:
        ps.range_(3).subscribe()
        subscription = ps.range_(3).subscribe()
        while await subscription.request(2):
            pass
        del subscription
        gc.collect()

    run(main())


# -- by an error -----------------------------------------------------------------------------------------


def fail_at_3(x: int) -> int:
    if x == 3:
        raise Planted
    return x


async def fail_later_at_3(x: int) -> int:
    return fail_at_3(x)


async def failing_rows() -> AsyncIterator[int]:
    for x in range(5):
        yield fail_at_3(x)


FAILING: dict[str, Callable[[], ps.Flow[Any]]] = {
    "map": lambda: ps.range_(5).map(fail_at_3),
    "map_async": lambda: ps.range_(5).map_async(fail_later_at_3),
    "generator": lambda: ps.from_async_iterable(failing_rows),
    "merge": lambda: ps.range_(5).map(fail_at_3).merge(ps.range_(9)),
    "buffer": lambda: ps.range_(5).map(fail_at_3).buffer(2),
    "retry": lambda: ps.range_(5).map(fail_at_3).retry(attempts=1),
    "concat_map": lambda: ps.range_(5).concat_map(lambda x: ps.just(x).map(fail_at_3)),
}


async def to_list(flow: ps.Flow[Any]) -> None:
    await flow.to_list()


async def iterate(flow: ps.Flow[Any]) -> None:
    async for _ in flow:
        pass


async def request(flow: ps.Flow[Any]) -> None:
    async with flow.subscribe() as subscription:
        while await subscription.request(2):
            pass


@pytest.mark.parametrize("consume", [to_list, iterate, request])
@pytest.mark.parametrize("name", FAILING)
def test_a_failed_run_is_freed_at_once(
    name: str, consume: Callable[[ps.Flow[Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its error is handled, a failed run has no reference, so it needs no garbage collection."""
    runs: list[weakref.ref[Run]] = []

    class Watched(Run):
        __slots__ = ("__weakref__",)

        def __init__(self) -> None:
            super().__init__()
            runs.append(weakref.ref(self))

    monkeypatch.setattr(module, "Run", Watched)

    async def main() -> None:
        with pytest.raises(Planted):
            await consume(FAILING[name]())
        await asyncio.sleep(0)

    gc.disable()
    try:
        run(main())
        assert runs
        assert not any(one() for one in runs)
    finally:
        gc.enable()
