"""The queues and records of the runtime cost what is taken from them, not what they hold."""

from __future__ import annotations

import asyncio
import linecache
from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.fusion import loops
from penstock.runtime.fifo import Fifo
from penstock.runtime.history import History
from penstock.runtime.pages import Pages
from penstock.testing import run

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=20)


@given(STEPS)
def test_a_fifo_is_a_list_whose_front_is_cut_off(steps: list[tuple[bool, int]]) -> None:
    """It gives what a list would give, and never changes a list that it gave."""
    fifo, model, given_out, count = Fifo(), list[int](), list[tuple[list[int], list[int]]](), 0
    for puts, n in steps:
        if puts:
            fifo.put(range(count, count + n))
            model += range(count, count + n)
            count += n
        else:
            taken = fifo.take(n)
            assert taken == model[:n]
            del model[:n]
            given_out.append((taken, list(taken)))
        assert len(fifo) == len(model)
    assert all(taken == before for taken, before in given_out)


@given(st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers())), max_size=400))
def test_a_moment_of_a_history_stays_as_it_was(changes: list[tuple[int, int | None]]) -> None:
    """Each moment can be read later, however many changes followed."""
    history, model, moments = History[int, int]({9: 9}), {9: 9}, list[tuple[Any, dict[int, int]]]()
    for key, value in changes:
        history.put(key, value)
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
        moments.append((history.now(), dict(model)))
    assert all(then() == expected for then, expected in moments)


def test_pages_find_inputs_after_others_were_forgotten() -> None:
    """A function that finds inputs stays valid when chunks are forgotten and others are added."""
    pages = Pages()
    for first in range(0, 1_000, 5):
        pages.add(first, lambda offset, first=first: {"page": first + offset})
    early = pages.find()
    pages.forget(900)
    pages.add(1_000, lambda offset: {"page": 1_000 + offset})
    for find, numbers in ((early, range(1_000)), (pages.find(), range(900, 1_002))):
        for number in numbers:
            marks, offset = find(number)
            assert marks(offset) == {"page": number}
    pages.keep_ends()
    marks, offset = pages.find()(1_001)
    assert marks(offset) == {"page": 1_001}


def test_lines_of_a_loop_are_forgotten_with_the_loop() -> None:
    """``linecache`` holds the lines of the loops that are cached, and of no others."""

    def held() -> int:
        return sum(name.startswith("<penstock stage") for name in linecache.cache)

    flow: Any = ps.range_(1)
    elements: list[Callable[[Any], Any]] = [op.map(str), op.filter(bool), op.enumerate()]
    before = held()
    for chain in product(elements, repeat=3):
        built = flow
        for element in chain:
            built = built | element
        run(built.to_list())
    assert held() > before
    loops._compile.cache_clear()
    assert held() == 0


def test_no_more_workers_start_than_there_are_inputs() -> None:
    """A concurrency without a limit costs nothing: a worker starts when an input waits for it."""

    async def same(x: int) -> int:
        return x

    async def main() -> None:
        for ordered in (True, False):
            for flow in (
                ps.range_(3) | op.map_async(same, 10**9, ordered=ordered),
                ps.range_(3) | op.filter_async(same, 10**9, ordered=ordered),
                ps.range_(3) | op.map_thread(str, 10**9, ordered=ordered),
            ):
                async with flow.subscribe() as subscription:
                    await subscription.request(1)
                    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("penstock")]
                    assert len(tasks) <= 4

    run(main())
