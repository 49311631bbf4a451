"""``cache`` in virtual time: who receives the items of which run."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.errors import BufferOverflow, GraphError
from penstock.testing import Planted, Sleep, TestSource, no_leaks
from penstock.testing import run as virtually


class Fetched:
    """A flow of the number of the run, twice; a run takes ``seconds`` and fails if its number is in ``bad``."""

    def __init__(self, seconds: float = 2, bad: tuple[int, ...] = ()) -> None:
        self.runs = 0
        self.seconds = seconds
        self.bad = bad

    @property
    def flow(self) -> ps.Flow[int]:
        async def rows() -> object:
            self.runs += 1
            number = self.runs
            yield number
            await asyncio.sleep(self.seconds)
            if number in self.bad:
                raise Planted
            yield number

        return ps.from_async_iterable(rows)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 12).map(lambda k: k + 0.25), max_size=8), st.sampled_from([None, 5.0]))
def test_a_run_serves_all_who_come_until_it_is_too_old(moments: list[float], ttl: float | None) -> None:
    """Subscribers that come during a run, or within ``ttl`` after its end, receive all its items."""
    fetched = Fetched()
    flow = fetched.flow | op.cache(ttl)

    async def read(moment: float) -> tuple[list[int], float]:
        await asyncio.sleep(moment)
        items = await flow.to_list()
        return items, asyncio.get_running_loop().time()

    async def main() -> list[tuple[list[int], float]]:
        async with no_leaks():
            return list(await asyncio.gather(*map(read, sorted(moments))))

    wanted, run, began = [], 0, 0.0
    for moment in sorted(moments):
        if not run or (ttl is not None and moment >= began + 2 + ttl):
            run, began = run + 1, moment
        wanted.append(([run, run], max(moment, began + 2)))
    assert virtually(main()) == wanted


def test_what_is_not_kept() -> None:
    """Neither an error nor a run that all have left: the next subscriber begins anew."""

    async def main() -> None:
        fetched = Fetched(bad=(1,))
        flow = fetched.flow | op.cache(60)
        with pytest.raises(Planted):
            await flow.to_list()
        assert await flow.first() == 2
        assert await flow.to_list() == [3, 3]
        assert await flow.to_list() == [3, 3]
        assert fetched.runs == 3

    virtually(main())


def test_all_items_are_kept_although_the_end_was_not_read() -> None:
    """A run that is left behind its last item counts as ended, if its source is known to have no more."""
    calls: list[str] = []

    async def load() -> int:
        calls.append("load")
        await asyncio.sleep(1)
        return 5

    async def main() -> None:
        async with no_leaks():
            loaded = ps.from_callable(load).map(str).filter(bool) | op.cache(60)
            assert [await loaded.first(), await loaded.first(), *await loaded.to_list()] == ["5"] * 3
            assert calls == ["load"]
            await asyncio.sleep(60)
            assert await (loaded | op.take(1)).to_list() == ["5"]
            assert calls == ["load"] * 2
            numbers: list[int] = []
            several = ps.just(1, 2, 3).tap(numbers.append) | op.cache()
            for n in (2, 3, 3):
                assert len(await (several | op.take(n)).to_list()) == n
            assert numbers == [1, 2, 1, 2, 3]

    virtually(main())


def test_a_late_subscriber_catches_up() -> None:
    """It receives the items before it at once, then those that both wait for."""

    async def main() -> list[list[int]]:
        source = TestSource([part for k in range(6) for part in (Sleep(1), k)])
        flow = source | op.cache(capacity=2)

        async def late() -> list[int]:
            await asyncio.sleep(4.5)
            async with flow.subscribe() as subscription:
                assert await subscription.request(9) == [0, 1, 2, 3]
                return [*await subscription.request(9), *await subscription.request(9)]

        lists = list(await asyncio.gather(flow.to_list(), late()))
        assert source.counts.opened == source.counts.closed == 1
        return lists

    assert virtually(main()) == [[0, 1, 2, 3, 4, 5], [4, 5]]


def test_too_many_items() -> None:
    """A run longer than ``limit`` fails, after its first items; the error says what to do."""
    flow = ps.from_iterable(range(9)) | op.cache(limit=5)
    with pytest.raises(BufferOverflow, match=r"cache at .* limit=5 items.*Raise limit"):
        virtually(flow.to_list())
    for make in (lambda: op.cache(0), lambda: op.cache(-1), lambda: op.cache(limit=0)):
        with pytest.raises(GraphError, match="cache"):
            make()


def test_another_loop_begins_another_run() -> None:
    """Kept items belong to one event loop."""
    fetched = Fetched(seconds=0)
    flow = fetched.flow | op.cache()
    assert asyncio.run(flow.to_list()) == [1, 1]
    assert asyncio.run(flow.to_list()) == [2, 2]
