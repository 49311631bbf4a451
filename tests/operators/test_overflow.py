"""Overflow strategies, ``prefetch`` and ``limit_demand`` in virtual time, against small models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
import penstock.operators as op
from penstock.errors import BufferOverflow, GraphError
from penstock.operators.concurrency.overflow import Overflow
from penstock.testing import Sleep, TestSource, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOSSY = ["drop_oldest", "drop_newest", "latest"]


@given(st.sampled_from(LOSSY), st.integers(1, 4), st.integers(0, 12), st.integers(1, 5))
def test_lossy_strategies_match_their_models(overflow: Any, capacity: int, count: int, delay: int) -> None:
    """Each strategy drops the same items as its model, and the drops are counted."""
    script = [part for i in range(count) for part in (Sleep(1), i)]
    flow = TestSource(script) | op.buffer(capacity, overflow)

    async def main() -> tuple[list[int], int]:
        out: list[int] = []
        async with flow.subscribe() as subscription:
            while items := await subscription.request(1):
                out += items
                # half a second more once, so that no item arrives at the moment of a request
                await asyncio.sleep(delay + (0.5 if len(out) == 1 else 0))
            return out, sum(stage.dropped for stage in subscription.statistics().stages)

    came, dropped = run(main())
    assert came == list(lossy_model(overflow, capacity, count, delay))
    assert dropped == count - len(came)


def lossy_model(overflow: str, capacity: int, count: int, delay: int) -> Iterator[int]:
    """Yield the items that a reader gets: item 0 at second 1, then one every ``delay`` seconds."""
    if count:
        yield 0
    held: list[int] = []
    coming, clock = 1, 1.5 + delay
    while coming < count or held:
        while coming < count and (coming + 1 <= clock or not held):
            if len(held) >= capacity and overflow != "drop_newest":
                del held[: 1 if overflow == "drop_oldest" else None]
            if len(held) < capacity:
                held.append(coming)
            coming += 1
        clock = max(clock, coming) if held == [coming - 1] else clock
        yield held.pop(0)
        clock += delay


@pytest.mark.parametrize("capacity", [1, 3])
def test_error_comes_behind_what_was_held(capacity: int) -> None:
    """With ``error`` a full buffer fails after the items it holds; the error names the buffer and its line."""

    async def main() -> tuple[list[int], BaseException, Any]:
        source = TestSource([part for i in range(20) for part in (i, Sleep(1))], style="seekable", page=(1,))
        out: list[int] = []
        async with (source | op.buffer(capacity, "error")).subscribe() as subscription:
            try:
                while items := await subscription.request(1):
                    out += items
                    await asyncio.sleep(2.5)
            except BufferOverflow as error:
                return out, error, subscription.position
        raise AssertionError("it did not overflow")

    came, error, position = run(main())
    assert came == list(range(len(came)))
    assert len(came) > capacity
    assert "buffer at " in error.__notes__[0]
    assert "test_overflow.py" in error.__notes__[0]
    assert position["nodes"]["from_pages#0"] in (
        {"at": len(came), "skip": 0},
        {"at": len(came) - 1, "skip": 1},
    )


def test_a_resumed_run_reads_again_what_was_dropped_behind_the_last_delivery() -> None:
    """A dropped item is settled when a later item is delivered, not before."""

    async def main() -> list[int]:
        flow = ps.from_iterable(range(10)) | op.buffer(2, "drop_newest")
        async with flow.subscribe() as subscription:
            first = await subscription.request(1)
            await asyncio.sleep(1)
            at = subscription.position
        async with flow.subscribe(at) as subscription:
            return first + await subscription.request(1)

    assert run(main()) == [0, 1]


def asked_of(flow_of: Callable[[ps.Flow[int]], ps.Flow[int]], schedule: list[int]) -> list[int]:
    """Return the sizes of the requests that a source gets while a reader requests by ``schedule``."""
    from penstock.runtime.stage import Stage  # noqa: TC001
    from penstock.sources.from_iterable import FromIterable

    asked: list[int] = []

    class Asked(FromIterable):
        def start(self, site: Any) -> Stage[Any]:
            stage = FromIterable.start(self, site)
            inner = stage._request

            async def request(n: int) -> list[Any]:
                asked.append(n)
                return await inner(n)

            stage._request = request  # type: ignore[method-assign]
            return stage

    async def main() -> None:
        async with flow_of(ps.Flow(Asked(items=range(1000)))).subscribe() as subscription:
            for n in schedule:
                await subscription.request(n)
                await asyncio.sleep(1)

    run(main())
    return asked


def test_prefetch_asks_again_at_three_quarters() -> None:
    """Upstream gets one request for ``count``, then for three quarters at a time, as in Reactor's publishOn."""
    assert asked_of(op.prefetch(8), [1] * 20) == [8, 6, 6, 6]
    assert asked_of(op.buffer(8), [1] * 4) == [8, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("high", "low", "asked"),
    [(10, 3, [10, 3, 3, 3]), (10, 0, [10, 10]), (10, None, [10, 8]), (3, 3, [3] * 4)],
)
def test_limit_demand_asks_as_reactor_does(high: int, low: int | None, asked: list[int]) -> None:
    """Upstream gets a request for ``high``, then for ``low`` at a time, whatever downstream requests."""
    assert asked_of(op.limit_demand(high, low), [1] * 10) == asked


def test_limit_demand_caps_a_large_request() -> None:
    """A request for more than ``high`` items requests only ``high`` from upstream."""
    assert max(asked_of(op.limit_demand(10, 5), [1000] * 5)) == 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: op.buffer(1, "block"), "overflow must be one of 'wait', 'drop_oldest'"),  # type: ignore[arg-type]
        (lambda: op.buffer(0, "latest"), "capacity"),
        (lambda: op.prefetch(0), "count"),
        (lambda: op.limit_demand(3, 4), "low must be at most high"),
        (lambda: op.limit_demand(3, -1), "low"),
    ],
)
def test_nonsense_is_refused_when_the_graph_is_built(make: Callable[[], object], message: str) -> None:
    """Wrong arguments are refused when the graph is built."""
    with pytest.raises(GraphError, match=message):
        make()


def test_order_says_what_may_be_lost() -> None:
    """A buffer that drops items has the order ``lossy``; one that waits or fails keeps the order."""
    for overflow in Overflow:
        flow = ps.just(1) | op.buffer(1, overflow.value)
        assert (flow.order == "lossy") == (overflow.value in LOSSY)
        assert flow.resumable
