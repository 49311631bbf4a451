"""``expand`` against small models: order, depth, limits, and what is called when."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.errors import BufferOverflow, GraphError, PositionError
from penstock.testing import Planted, no_leaks
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TREES = st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3), max_size=8)
"""Links from a number to others; they may lead in circles."""


def levels(links: dict[int, list[int]], roots: list[int], depth: int) -> list[int]:
    """Return the items of ``depth`` levels below each root, level by level."""
    found: list[int] = []
    for root in roots:
        level = [root]
        for _ in range(depth):
            found += level
            level = [target for item in level for target in links.get(item, ())]
        found += level
    return found


@given(
    TREES, st.lists(st.integers(0, 9), max_size=2), st.integers(0, 4), st.lists(st.integers(1, 5), min_size=1)
)
def test_items_come_level_by_level(
    links: dict[int, list[int]], roots: list[int], depth: int, schedule: list[int]
) -> None:
    """Down to ``max_depth``; runs that are resumed behind each list yield the same items."""
    flow = ps.from_iterable(roots) | op.expand(lambda x: links.get(x, ()), max_depth=depth)

    async def main() -> list[int]:
        out: list[int] = []
        position = None
        for n in itertools.cycle(schedule):
            async with flow.subscribe(position) as subscription:
                items = await subscription.request(n)
                position = json.loads(json.dumps(subscription.position))
            out += items
            if not items:
                return out
        raise AssertionError

    wanted = levels(links, roots, depth)
    assert virtually(flow.to_list()) == wanted
    if len(wanted) < 50:
        assert virtually(main()) == wanted


def test_the_function_may_wait_and_may_yield() -> None:
    """An awaitable of an iterable, an async generator and a flow are read like a list."""

    def links(x: int) -> list[int]:
        return [2 * x, 2 * x + 1] if x < 4 else []

    async def later(x: int) -> list[int]:
        await asyncio.sleep(1)
        return links(x)

    async def one_by_one(x: int) -> AsyncIterator[int]:
        for item in links(x):
            await asyncio.sleep(1)
            yield item

    for function in (links, later, one_by_one, lambda x: ps.from_iterable(links(x))):
        assert virtually((ps.just(1) | op.expand(function)).to_list()) == [1, 2, 3, 4, 5, 6, 7]


def test_it_is_called_under_demand_once_for_each_item() -> None:
    """A request that is cancelled during a call goes on with the same call; nothing is called ahead."""
    asked: list[int] = []

    async def links(x: int) -> list[int]:
        asked.append(x)
        await asyncio.sleep(10)
        return [x + 1]

    async def main() -> None:
        async with no_leaks():
            async with (ps.just(1) | op.expand(links)).subscribe() as subscription:
                assert (await subscription.request(5), asked) == ([1], [])
                for _ in range(2):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(subscription.request(5), 4)
                assert (await subscription.request(5), asked) == ([2], [1])
                pending = asyncio.ensure_future(subscription.request(5))
                await asyncio.sleep(1)  # closed during a call, which is cancelled
            await asyncio.wait([pending])

    virtually(main())


def test_so_many_items_may_wait() -> None:
    """More items than ``limit`` are an error, also of an iterable without end; its notes name the line."""

    async def endless(_: int) -> AsyncIterator[int]:
        for k in itertools.count():
            yield k

    for function in (lambda _: itertools.count(), endless):
        with pytest.raises(BufferOverflow, match=r"limit=5 items of expand at .*test_expand.py"):
            virtually((ps.just(1) | op.expand(function, limit=5)).to_list())
    flow = ps.just(1) | op.expand(lambda x: range(5) if x == 1 else (), max_depth=1, limit=5)
    assert virtually(flow.to_list()) == [1, 0, 1, 2, 3, 4]


def test_a_long_chain_of_links() -> None:
    """Thousands of links one behind the other leave nothing behind in the position."""

    async def main() -> int:
        flow = ps.just(0) | op.expand(lambda x: [x + 1] if x < 20_000 else [])
        async with flow.subscribe() as subscription:
            count = 0
            while count < 15_000:
                count += len(await subscription.request(100))
            return len(json.dumps(subscription.position))

    assert virtually(main()) < 200


def test_errors() -> None:
    """An error stands behind all items that were found before it, and a resumed run calls again."""
    bad = [True]

    def links(x: int) -> list[int]:
        if x == 3 and bad[0]:
            raise Planted
        return [2 * x, 2 * x + 1] if x < 4 else []

    async def main() -> list[int]:
        came: list[int] = []
        async with (ps.just(1) | op.expand(links)).subscribe() as subscription:
            for _ in range(9):
                try:
                    came += await subscription.request(2)
                except Planted as error:
                    assert error.__notes__[0].startswith("penstock: in expand at")
            position = subscription.position
        bad[0] = False
        async with (ps.just(1) | op.expand(links)).subscribe(position) as subscription:
            while items := await subscription.request(2):
                came += items
        return came

    assert virtually(main()) == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(TypeError, match="must return an iterable, not 3"):
        virtually((ps.just(1) | op.expand(lambda _: 3)).to_list())  # type: ignore[arg-type,return-value]


def test_items_that_are_not_json_have_no_position() -> None:
    """Such a flow runs, but its position is refused, with the operator's name."""

    async def main() -> None:
        flow = ps.just(1j) | op.expand(lambda _: [1j], max_depth=3)
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [1j]
            with pytest.raises(PositionError, match="expand at"):
                _ = subscription.position

    virtually(main())


def test_arguments_are_checked() -> None:
    """Wrong numbers and things that are no functions are refused when the graph is built."""
    for make in (
        lambda: op.expand([1]),  # type: ignore[arg-type]
        lambda: op.expand(range, max_depth=-1),
        lambda: op.expand(range, limit=0),
    ):
        with pytest.raises(GraphError, match="expand"):
            make()
