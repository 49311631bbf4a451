"""``element_at`` and ``zip_longest``: what the laws do not see."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError, NoItem
from penstock.testing import TestSource, run

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=1, max_size=3)


@given(st.lists(st.integers(0, 9), max_size=5), st.integers(0, 5))
def test_element_at_is_that_of_a_list(items: list[int], index: int) -> None:
    """Without such an item there is an error or a default, which may be ``None``."""
    flow = ps.from_iterable(items)
    if index < len(items):
        assert run(flow.element_at(index).single()) == items[index]
        assert run(flow.element_at(index, None).single()) == items[index]
    else:
        assert run(flow.element_at(index, None).single()) is None
        with pytest.raises(NoItem, match=rf"element_at\({index}\): the flow has fewer items"):
            run(flow.element_at(index).to_list())


def test_element_at_requests_nothing_behind_the_item() -> None:
    """It closes upstream with the item."""

    async def main() -> None:
        source = TestSource(range(99), style="generator")
        async with (source | op.element_at(3)).subscribe() as subscription:
            assert await subscription.request(50) == [3]
            assert source.counts.handed == 4

    run(main())


@given(LISTS, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_zip_longest_is_that_of_itertools(lists: list[list[int]], schedule: list[int]) -> None:
    """For any requests, and when the run is cut and resumed behind each of them."""
    first, *others = map(ps.from_iterable, lists)
    flow = first | op.zip_longest(*others, fillvalue="x")
    wanted = [*itertools.zip_longest(*lists, fillvalue="x")]

    async def main() -> None:
        assert await flow.to_list() == wanted
        out: list[Any] = []
        position = None
        for n in itertools.cycle(schedule):
            async with flow.subscribe(position) as subscription:
                items = await subscription.request(n)
                position = json.loads(json.dumps(subscription.position))
            if not items:
                break
            out += items
        assert out == wanted

    run(main())


def test_a_drained_flow_is_not_taken_for_one_that_has_ended() -> None:
    """A drained ``zip_longest`` yields no fill value for an item that will come when it is resumed."""
    short, long = ps.from_iterable(range(2)), ps.from_iterable(range(5))
    flow = short | op.zip_longest(long)

    async def main() -> None:
        async with flow.subscribe() as subscription:
            got = await subscription.request(1)
            await subscription.drain()
            while items := await subscription.request(3):
                got += items
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            while items := await subscription.request(3):
                got += items
        assert got == [*itertools.zip_longest(range(2), range(5))]

    run(main())


def test_wrong_arguments_are_refused() -> None:
    """The graph is not built."""
    with pytest.raises(GraphError, match="index must be"):
        op.element_at(-1)
    with pytest.raises(GraphError, match="zip_longest"):
        ps.just(1) | op.zip_longest(1)  # type: ignore[arg-type]
