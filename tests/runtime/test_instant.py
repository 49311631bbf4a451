"""Inputs that need no task: they are ready, so the stage that has several of them asks them itself."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Flow, from_async_iterable, from_iterable, just, never
from penstock.operators.fanout.shared_run import Tally
from penstock.runtime.run import STRETCH
from penstock.testing import Planted, no_leaks
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def numbers(count: int) -> Flow[int]:
    return from_iterable(range(count))


async def late() -> AsyncIterator[int]:
    await asyncio.sleep(1)
    yield 7


JOINS: dict[str, Callable[[], Flow[Any]]] = {
    "flat_map_merge": lambda: numbers(20).flat_map_merge(lambda x: numbers(x % 4).filter(bool), 3),
    "merge": lambda: numbers(9).merge(numbers(7).map(str), from_async_iterable(late)),
    "merge_sorted": lambda: numbers(9).merge_sorted(numbers(7).filter(lambda x: x % 2)),
    "zip": lambda: numbers(9).zip(numbers(7).map(str)),
    "concat_map": lambda: numbers(9).concat_map(numbers, concurrency=3),
}


class Leaping:
    """A clock that sometimes goes on by so much, while somebody looks at it, that the run is strained."""

    def __init__(self, chance: Random, often: float) -> None:
        self._chance = chance
        self._often = often
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 2 * STRETCH * (self._chance.random() < self._often)
        return self._now

    def time(self) -> float:
        return self.monotonic()


@given(st.sampled_from(sorted(JOINS)), st.sampled_from([0.1, 0.5, 0.9]), st.integers())
def test_a_strained_run_delivers_the_same(name: str, often: float, seed: int) -> None:
    """Whenever a run is strained, its inputs lose no item, and the request ends."""
    wanted = virtually(JOINS[name]().to_list())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock.runtime.run.clock_of_the_loop", lambda: Leaping(Random(seed), often))
        found = virtually(JOINS[name]().to_list())
    assert sorted(map(str, found)) == sorted(map(str, wanted))


def test_flows_that_are_ready_need_no_task() -> None:
    """``flat_map_merge`` starts a task for a flow that may wait, and none for a collection."""

    async def main(inner: Callable[[int], Flow[int]]) -> list[str]:
        names: list[str] = []
        loop: Any = asyncio.get_running_loop()
        create: Callable[..., asyncio.Task[Any]] = loop.create_task

        def noted(work: Any, **known: Any) -> asyncio.Task[Any]:
            names.append(known.get("name") or "")
            return create(work, **known)

        loop.create_task = noted
        assert sorted(await numbers(9).flat_map_merge(inner).to_list()) == list(range(9))
        loop.create_task = create
        return [name for name in names if name.startswith("penstock input")]

    assert not virtually(main(lambda x: just(x).map(int)))
    assert len(virtually(main(lambda x: just(x).buffer(1)))) == 9


def test_an_error_that_is_no_exception_ends_the_run_at_once() -> None:
    """It reaches the request, also if another input waits for ever, and nothing is left."""

    class Panic(BaseException):
        pass

    def broken(_: int) -> int:
        raise Panic

    async def main() -> None:
        for flow in (
            never().merge(just(1).map(broken)),
            just(1).flat_map_merge(lambda x: just(x).map(broken)),
        ):
            async with no_leaks():
                with pytest.raises(Panic):
                    await flow.to_list()

    virtually(main())


def test_an_error_of_a_closing_is_raised_by_aclose() -> None:
    """A flow that has ended is closed at once; its error comes with the end of the run."""

    class Numbers:
        def __init__(self) -> None:
            self.left = 2

        def __iter__(self) -> Numbers:
            return self

        def __next__(self) -> int:
            self.left -= 1
            if self.left < 0:
                raise StopIteration
            return self.left

        def close(self) -> None:
            raise Planted

    async def main() -> None:
        subscription = just(1, 2).flat_map_merge(lambda _: from_iterable(Numbers)).subscribe()
        found: list[int] = []
        while items := await subscription.request(9):
            found += items
        assert sorted(found) == [0, 0, 1, 1]
        with pytest.raises(ExceptionGroup) as caught:
            await subscription.aclose()
        assert [type(error) for error in caught.value.exceptions] == [Planted, Planted]

    virtually(main())


@given(st.lists(st.integers(0, 5)), st.data())
def test_a_tally_knows_the_least_and_the_most(added: list[int], data: st.DataObject) -> None:
    """It is a multiset."""
    tally, model = Tally(), list[int]()
    for number in added:
        tally.add(number)
        model.append(number)
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(model))
            model.remove(gone)
            tally.remove(gone)
        assert (tally.least(), tally.most()) == (min(model, default=float("inf")), max(model, default=0))
