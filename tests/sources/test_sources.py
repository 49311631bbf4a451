"""Sources: plain and async iterables, pages, deferred flows, and the trivial ones."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import defer, empty, fail, from_async_iterable, from_iterable, from_pages, just, never
from penstock.abc import Page
from penstock.errors import AlreadySubscribed, GraphError, NoItem, NotResumable
from penstock.testing import Planted, no_leaks
from penstock.testing import run as virtually

# -- plain iterables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [[1, 2, 3], (1, 2, 3), range(1, 4), {1: 0, 2: 0, 3: 0}, frozenset({1, 2, 3}), lambda: iter([1, 2, 3])],
)
async def test_any_iterable_or_a_function_that_makes_one(items: Any) -> None:
    """Each subscription reads it from the beginning, and a position is an index."""
    flow = from_iterable(items)
    assert await flow.to_list() == await flow.to_list() == [1, 2, 3]
    async with flow.subscribe() as subscription:
        assert await subscription.request(2) == [1, 2]
        position = subscription.position
    async with flow.subscribe(position) as subscription:
        assert await subscription.request(9) == [3]
    async with flow.subscribe({"v": 1, "nodes": {"from_iterable#0": 99}}) as subscription:
        assert await subscription.request(9) == []


async def test_one_shot_inputs_say_so() -> None:
    """A generator object runs once; the error of the second subscription says what to pass instead."""

    async def rows() -> Any:
        yield 1

    for flow in (from_iterable(x for x in [1]), from_async_iterable(rows())):
        assert await flow.to_list() == [1]
        with pytest.raises(AlreadySubscribed, match="Pass a function"):
            await flow.to_list()


async def test_nothing_is_opened_before_the_first_request() -> None:
    """Neither subscribing nor closing calls a factory."""
    opened: list[str] = []

    def rows() -> Any:
        opened.append("plain")
        yield 1

    async def async_rows() -> Any:
        opened.append("async")
        yield 1

    def deferred() -> Any:
        opened.append("deferred")
        return just(1)

    for flow in (from_iterable(rows), from_async_iterable(async_rows), defer(deferred)):
        await flow.subscribe().aclose()
    assert opened == []


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (from_iterable, 3),
        (from_async_iterable, [1]),
        (from_pages, [[1]]),
        (defer, 3),
        (from_async_iterable, 3),
    ],
)
def test_wrong_inputs_are_refused(make: Any, wrong: Any) -> None:
    """A wrong input raises a ``GraphError`` that names its type."""
    with pytest.raises(GraphError, match=type(wrong).__name__):
        make(wrong)


async def test_a_factory_that_fails_is_blamed() -> None:
    """The error of a factory names the source and the line, and each request raises the same error."""

    def broken() -> Any:
        raise Planted

    for make, name in (
        (from_iterable, "from_iterable"),
        (from_async_iterable, "from_async_iterable"),
        (defer, "defer"),
    ):
        async with make(broken).subscribe() as subscription:
            for _ in range(2):
                with pytest.raises(Planted) as caught:
                    await subscription.request(1)
                assert [f"in {name} at {__file__}" in note for note in caught.value.__notes__] == [True]


# -- async iterables ---------------------------------------------------------------------------------


def test_a_generator_runs_in_one_task_and_under_demand_only() -> None:
    """All steps run in one task, whichever task requests, and only under demand."""

    async def main() -> None:
        tasks: list[Any] = []

        async def rows() -> Any:
            for i in range(9):
                tasks.append(asyncio.current_task())
                await asyncio.sleep(1)
                yield i

        async with from_async_iterable(rows).subscribe() as subscription:
            for i in range(3):
                request = asyncio.ensure_future(subscription.request(1))
                assert await request == [i]
                await asyncio.sleep(10)
                assert len(tasks) == i + 1
        assert len(set(tasks)) == 1
        assert tasks[0] is not asyncio.current_task()

    virtually(main())


def test_timeouts_and_cancel_scopes_inside_a_generator_mean_what_they_say() -> None:
    """``asyncio.timeout`` around a ``yield`` and a task group work, although requests come from many tasks."""

    async def main() -> None:
        async def rows() -> Any:
            async with asyncio.timeout(100):
                for i in range(3):
                    try:
                        async with asyncio.timeout(1):
                            await asyncio.sleep(0.5 if i != 1 else 5)
                        yield i
                    except TimeoutError:
                        yield "late"
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(1, "grouped"))
                yield "in between"
            yield task.result()

        async with from_async_iterable(rows).subscribe() as subscription:
            out: list[Any] = []
            while got := await asyncio.ensure_future(subscription.request(1)):
                out += got
        assert out == [0, "late", 2, "in between", "grouped"]

    virtually(main())


def test_a_timed_out_request_does_not_kill_the_generator() -> None:
    """A timeout around ``agen.__anext__()`` would end the generator; here the next request continues it."""

    async def main() -> None:
        async def rows() -> Any:
            for i in range(3):
                await asyncio.sleep(2)
                yield i

        out: list[int] = []
        async with from_async_iterable(rows).subscribe() as subscription:
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        got = await subscription.request(5)
                except TimeoutError:
                    continue
                if not got:
                    break
                out += got
        assert out == [0, 1, 2]
        assert asyncio.get_running_loop().time() == pytest.approx(6, abs=0.3)

    virtually(main())


def test_context_variables_are_those_of_the_first_request() -> None:
    """The generator runs in the context of the first request."""
    var: ContextVar[str] = ContextVar("var", default="none")

    async def main() -> None:
        async def rows() -> Any:
            yield var.get()

        var.set("mine")
        assert await from_async_iterable(rows).to_list() == ["mine"]

    virtually(main())


def test_a_source_cancelled_by_somebody_else_is_an_error() -> None:
    """A ``CancelledError`` that a generator raises becomes a ``RuntimeError``: the consumer was not cancelled."""

    async def main() -> None:
        async def rows() -> Any:
            yield 1
            raise asyncio.CancelledError

        async with from_async_iterable(rows).subscribe() as subscription:
            assert await subscription.request(1) == [1]
            with pytest.raises(RuntimeError, match="cancelled from outside"):
                await subscription.request(1)

    virtually(main())


@pytest.mark.parametrize("state", ["parked", "waiting", "exhausted", "taken"])
def test_an_error_in_a_finally_block_is_heard(state: str) -> None:
    """``aclose`` raises the error of a ``finally`` block, unless another error is in flight: then it is a note."""

    async def rows() -> Any:
        try:
            yield 1
            if state == "exhausted":
                return
            if state == "waiting":
                await asyncio.sleep(1000)
            yield 2
        finally:
            raise Planted

    async def main() -> None:
        flow = from_async_iterable(rows)
        if state == "taken":
            with pytest.raises(Planted):
                await flow.take(1).to_list()
            return
        subscription = flow.subscribe()
        assert await subscription.request(1) == [1]
        if state == "exhausted":
            with pytest.raises(Planted):
                await subscription.request(1)
            await subscription.aclose()
            return
        if state == "waiting":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await subscription.request(1)
        with pytest.raises(Planted):
            await subscription.aclose()
        await subscription.aclose()

        async def fail_inside() -> None:
            async with flow.subscribe() as subscription:
                await subscription.request(1)
                raise KeyError

        with pytest.raises(KeyError) as caught:
            await fail_inside()
        assert any("closing the subscription failed too" in note for note in caught.value.__notes__)

    virtually(main())


def test_a_generator_that_swallows_its_cancellation_is_closed_all_the_same() -> None:
    """A generator that catches ``CancelledError`` and continues is closed at its next ``yield``."""

    async def main() -> None:
        async def stubborn() -> Any:
            for i in itertools.count():
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(1)
                yield i

        async with asyncio.timeout(1000), from_async_iterable(stubborn).subscribe() as subscription:
            assert await subscription.request(1) == [0]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await subscription.request(1)
        async with asyncio.timeout(1000):
            assert await from_async_iterable(stubborn).take_while(lambda x: x < 2).concat(
                just(9)
            ).to_list() == [0, 1, 9]

    virtually(main())


async def test_a_loop_that_is_left_closes_its_generator() -> None:
    """``break`` in ``async for`` ends the run: the generator's ``finally`` runs, and no task is left."""
    closed: list[bool] = []

    async def rows() -> Any:
        try:
            for i in itertools.count():
                yield i
        finally:
            closed.append(True)

    async with no_leaks():
        async for item in from_async_iterable(rows).map(str):
            if item == "3":
                break
        for _ in range(10):
            await asyncio.sleep(0)
        assert closed == [True]


async def test_a_subscription_nobody_closed_does_not_go_on() -> None:
    """A run without references warns, reads no more input, and is closed."""
    told: list[Any] = []
    closed: list[bool] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    taken: list[int] = []

    async def rows() -> Any:
        try:
            for i in itertools.count():
                taken.append(i)
                yield i
        finally:
            closed.append(True)

    subscription = from_async_iterable(rows).subscribe()
    await subscription.request(2)
    before = len(taken)
    with pytest.warns(ResourceWarning, match=r"test_sources.py:\d+ was dropped without aclose"):
        del subscription
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(taken) == before
    assert (told, closed) == ([], [True])


# -- pages -------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 4), max_size=8),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 7)), max_size=6),
)
def test_pages_of_any_size_resume_from_any_cut(
    sizes: list[int],
    seekable: bool,
    cuts: list[tuple[int, int]],
) -> None:
    """Cut and resumed anywhere, a flow of pages (also empty ones) yields each item once, seekable or not."""
    edges = list(itertools.accumulate(sizes, initial=0))
    asked: list[int | None] = []

    async def seek(position: int | None) -> Any:
        asked.append(position)
        for k in range(position or 0, len(sizes)):
            yield Page(list(range(edges[k], edges[k + 1])), k + 1)

    async def lists() -> Any:
        for k in range(len(sizes)):
            yield list(range(edges[k], edges[k + 1]))

    async def main() -> list[int]:
        out: list[int] = []
        position = None
        flow = from_pages(seek, seekable=True) if seekable else from_pages(lists)
        for requests, n in [*cuts, (99, 3)]:
            async with flow.subscribe(position) as subscription:
                for _ in range(requests):
                    got = await subscription.request(n)
                    out += got
                    if not got:
                        break
                position = subscription.position
        return out

    assert virtually(main()) == list(range(edges[-1]))
    assert all(position is None or 0 < position <= len(sizes) for position in asked)


async def test_what_is_no_page_is_told() -> None:
    """A page that is neither a list nor a ``Page`` raises a ``TypeError`` that names the source."""

    async def pages() -> Any:
        yield "abc"

    with pytest.raises(TypeError, match="takes pages"):
        await from_pages(pages).to_list()


async def test_a_page_is_not_changed_by_who_gets_it() -> None:
    """A consumer that changes its list does not change the source's page."""
    page = [1, 2, 3]

    async def pages() -> Any:
        yield page

    async with from_pages(pages).subscribe() as subscription:
        (await subscription.request(9)).clear()
    assert page == [1, 2, 3]


# -- the trivial ones --------------------------------------------------------------------------------


async def test_empty_just_fail_and_never() -> None:
    """``empty`` and ``just`` complete, ``fail`` raises, and ``never`` ends only when it is drained."""
    assert await empty().to_list() == []
    assert await just().to_list() == []
    assert await just(1, [2]).to_list() == [1, [2]]
    for error in (Planted("x"), Planted, lambda: Planted("x")):
        with pytest.raises(Planted) as caught:
            await fail(error).to_list()
        assert "in fail at" in caught.value.__notes__[0]
    async with never().subscribe() as subscription:
        request = asyncio.ensure_future(subscription.request(1))
        await asyncio.sleep(0)
        assert not request.done()
        await subscription.drain()
        assert await request == []
    with pytest.raises(NoItem):
        await empty().first()
    with pytest.raises(NoItem):
        await empty().last()
    assert await empty().first(7) == await empty().last(7) == 7


async def test_defer_builds_anew_and_resumes_what_it_built() -> None:
    """Each subscription builds its own flow, and a position resumes inside it."""
    built: list[int] = []

    def factory() -> Any:
        built.append(1)
        return from_iterable(range(5)).enumerate()

    flow = defer(factory).map(lambda pair: pair[0])
    assert await flow.to_list() == await flow.to_list() == [0, 1, 2, 3, 4]
    assert len(built) == 2
    async with flow.subscribe() as subscription:
        assert await subscription.request(2) == [0, 1]
        position = subscription.position
    async with flow.subscribe(position) as subscription:
        assert await subscription.request(9) == [2, 3, 4]
    with pytest.raises(GraphError, match="must be a Flow, not list"):
        await defer(lambda: [1]).to_list()  # type: ignore[arg-type, return-value]


async def test_a_deferred_flow_without_a_position_says_so() -> None:
    """If the built flow has no position, reading the position raises ``NotResumable``."""

    async def function(x: int) -> int:
        return x

    flow = defer(
        lambda: from_iterable([1]).map_async(function, ordered=False).flat_map(lambda x: [x]),
        order="interleaved",
    )
    async with flow.subscribe() as subscription:
        assert await subscription.request(1) == [1]
        with pytest.raises(NotResumable):
            _ = subscription.position


async def test_an_iterator_that_fails_and_cannot_be_closed() -> None:
    """The error of closing becomes a note on the first error."""

    class Broken:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> Any:
            raise Planted

        async def aclose(self) -> None:
            raise OSError("no way back")

    with pytest.raises(Planted) as caught:
        await from_async_iterable(Broken).to_list()
    assert any("no way back" in note for note in caught.value.__notes__)
