"""Terminals that are compiled together with the elements before them behave like a plain loop."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.testing import TestSource, run

from .graphs import STEPS, Step

if TYPE_CHECKING:
    from collections.abc import Callable

CHAINS = st.lists(STEPS, max_size=4)
INPUTS = st.lists(st.integers(0, 9), max_size=12)


def built(source: Any, chain: list[Step]) -> Any:
    for step in chain:
        source = step.apply(source)
    return source


def modelled(items: list[int], chain: list[Step]) -> list[Any]:
    result: Any = iter(items)
    for step in chain:
        result = step.model(result)
    return list(result)


async def iterated(flow: ps.Flow[Any]) -> list[Any]:
    return [item async for item in flow]


async def called(flow: ps.Flow[Any]) -> list[Any]:
    items: list[Any] = []
    await flow.for_each(items.append)
    return items


async def folded(flow: ps.Flow[Any]) -> list[Any]:
    return await flow.reduce(lambda items, x: [*items, x], [])


async def requested(flow: ps.Flow[Any]) -> list[Any]:
    return [item async for item in flow.requesting(2)]


WAYS = [iterated, called, folded, requested, ps.Flow.to_list]


@given(INPUTS, CHAINS)
def test_every_terminal_sees_what_the_model_says(items: list[int], chain: list[Step]) -> None:
    """``async for``, ``for_each``, ``reduce``, ``count`` and ``last`` agree with the model of any chain."""
    flow, expected = built(ps.from_iterable(items), chain), modelled(items, chain)
    disordered = flow.order is not ps.Order.EXACT

    async def main() -> None:
        for way in WAYS:
            found = await way(flow)
            assert (sorted(found) if disordered else found) == (sorted(expected) if disordered else expected)
        assert await flow.count() == len(expected)
        if not disordered:
            assert await flow.last(None) == (expected[-1] if expected else None)

    run(main())


def first_word(words: list[str]) -> str:
    return next(iter(word for word in words if word))  # a StopIteration for a list of empty words


@pytest.mark.parametrize("way", WAYS)
def test_a_stray_stop_iteration_is_an_error(way: Callable[[Any], Any]) -> None:
    """A StopIteration that escapes from a function is an error, not the end."""
    flow = ps.from_iterable([["a"], [""], ["b"]]) | op.map(first_word)
    with pytest.raises(RuntimeError) as caught:
        run(way(flow))
    assert isinstance(caught.value.__cause__, StopIteration)
    notes = [*getattr(caught.value, "__notes__", ()), *getattr(caught.value.__cause__, "__notes__", ())]
    assert [note for note in notes if "map at" in note and "test_driving.py" in note]


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_an_element_names_it(way: Callable[[Any], Any]) -> None:
    """The note names only the element that failed, and the source is closed once."""
    source = TestSource([4, 2, 0, 1])
    flow = source | op.map(lambda x: x) | op.filter(lambda x: 4 // x) | op.scan(max, 0)
    with pytest.raises(ZeroDivisionError) as caught:
        run(way(flow))
    (note,) = caught.value.__notes__
    assert note.startswith("penstock: in filter at ")
    assert (source.counts.opened, source.counts.closed) == (1, 1)


def test_an_error_of_the_consumer_blames_no_operator() -> None:
    """Errors of the functions of ``for_each`` and ``reduce`` get no note."""
    flow = ps.from_iterable([1, 0]) | op.map(lambda x: x)
    for work in (flow.for_each(lambda x: 1 // x), flow.reduce(lambda a, x: a // x, 1)):
        with pytest.raises(ZeroDivisionError) as caught:
            run(work)
        assert not hasattr(caught.value, "__notes__")


def test_an_error_of_the_source_keeps_what_came_before() -> None:
    """Items before a failure are consumed before it (law 4)."""

    def rows() -> Any:
        yield from range(5)
        raise OSError("gone")

    for way in ("for_each", "iterate"):
        seen: list[int] = []

        async def main(way: str = way, seen: list[int] = seen) -> None:
            flow = ps.from_iterable(rows) | op.map(lambda x: x * 2)
            if way == "for_each":
                await flow.for_each(seen.append)
            else:
                async for x in flow:
                    seen.append(x)

        with pytest.raises(OSError, match="gone"):
            run(main())
        assert seen == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("take", [0, 1, 3, 7])
def test_take_asks_for_no_more(take: int) -> None:
    """A terminal behind ``take`` requests no more than ``take`` needs (law 1)."""
    for way in (iterated, called, folded, ps.Flow.to_list):
        source = TestSource(range(100), style="iterable")
        assert run(way(source | op.map(lambda x: x) | op.take(take))) == list(range(take))
        assert source.counts.handed == take


def test_leaving_the_loop_closes_the_source() -> None:
    """``break`` closes the source when the generator is collected, ``aclosing`` at once."""
    source = TestSource(range(100))

    async def broken() -> None:
        async for x in source | op.map(lambda x: x):
            if x == 3:
                break
        gc.collect()
        await asyncio.sleep(1)

    async def closed() -> None:
        async with aclosing(aiter(source | op.filter(lambda x: x % 2))) as items:
            async for _ in items:
                return

    for main in (broken, closed):
        run(main())
        assert source.counts.opened == source.counts.closed


def test_cancelling_a_terminal_closes_the_source() -> None:
    """A terminal that is cancelled while it waits leaves nothing behind."""
    source = TestSource([1, 2])

    async def main() -> None:
        flow = source | op.concat(ps.never()) | op.map(lambda x: x)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await flow.for_each(lambda _: None)
        assert len(asyncio.all_tasks()) == 1

    run(main())
    assert source.counts.opened == source.counts.closed == 1


def test_a_terminal_lets_others_run() -> None:
    """Items that never wait do not block the loop: a ticking task gets its turns (law 11)."""

    async def main() -> None:
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(tick())
        for way in (called, iterated):
            before = turns
            assert len(await way(ps.from_iterable(range(200_000)) | op.map(lambda x: x))) == 200_000
            assert turns > before
        task.cancel()

    asyncio.run(main())
