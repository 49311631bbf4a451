"""``through``: what the laws do not see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError, NotResumable
from penstock.testing import Raise, TestSource, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def doubled(items: AsyncIterator[int]) -> AsyncIterator[int]:
    async for item in items:
        yield item * 2


def test_it_reads_no_item_without_demand() -> None:
    """While nobody asks, the generator stands at its ``yield``."""

    async def main() -> None:
        source = TestSource(range(9))
        async with (source | op.through(doubled, holds=0)).subscribe() as subscription:
            assert source.counts.handed == 0
            assert await subscription.request(1) == [0]
            await asyncio.sleep(9)
            assert source.counts.handed == 1
            assert await subscription.request(1) == [2]
            assert source.counts.handed == 2

    run(main())


def test_a_timeout_in_the_generator_means_the_generator() -> None:
    """It runs in one task of its own; cancelling a request does not reach it."""
    seen: list[asyncio.Task[Any] | None] = []

    async def patient(items: AsyncIterator[int]) -> AsyncIterator[str]:
        async with asyncio.timeout(9):
            async for item in items:
                seen.append(asyncio.current_task())
                await asyncio.sleep(2)
                yield str(item)

    async def main() -> None:
        async with (ps.range_(9) | op.through(patient)).subscribe() as subscription:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(subscription.request(1), 1)
            assert await subscription.request(1) == ["0"]
            assert [await subscription.request(1) for _ in range(3)] == [["1"], ["2"], ["3"]]
            with pytest.raises(TimeoutError) as caught:
                await subscription.request(1)
            assert "in through at" in caught.value.__notes__[0]
        assert len(set(seen)) == 1

    run(main())


def test_an_error_of_upstream_can_be_handled_where_it_is_read() -> None:
    """The generator may yield more behind it."""

    async def careful(items: AsyncIterator[int]) -> AsyncIterator[Any]:
        try:
            async for item in items:
                yield item
        except Exception as error:  # noqa: BLE001  any error will do
            yield type(error).__name__

    assert run((TestSource([1, Raise(lambda: KeyError("x"))]) | op.through(careful)).to_list()) == [
        1,
        "KeyError",
    ]


def test_everything_is_closed_however_it_ends() -> None:
    """The generator's ``finally`` runs, upstream is closed, and no task is left."""
    endings: list[str] = []

    async def watched(items: AsyncIterator[int]) -> AsyncIterator[int]:
        try:
            async for item in items:
                if item == 3:
                    return
                yield item
        finally:
            endings.append("closed")

    async def main() -> None:
        for count in (1, 9):
            source = TestSource(range(9), style="generator")
            async with (source | op.through(watched)).subscribe() as subscription:
                for _ in range(count):
                    await subscription.request(2)
            assert source.counts.opened == source.counts.closed == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    assert endings == ["closed", "closed"]


def test_a_drained_run_lets_the_generator_finish() -> None:
    """Its items end, and what it yields then is delivered."""

    async def summed(items: AsyncIterator[int]) -> AsyncIterator[Any]:
        total = 0
        async for item in items:
            total += item
            yield item
        yield f"total {total}"

    async def main() -> None:
        async with (ps.range_(9) | op.through(summed)).subscribe() as subscription:
            got = await subscription.request(1)
            await subscription.drain()
            while items := await subscription.request(1):
                got += items
        assert got[-1] == f"total {sum(got[:-1])}"

    run(main())


def test_it_says_that_it_has_no_position() -> None:
    """A retry behind it is refused, with the name of what can be resumed."""
    with pytest.raises(NotResumable, match=r"through at .*stateful"):
        ps.range_(3).through(doubled).retry()


async def one_result(items: Any) -> int:
    return await items.__anext__()  # type: ignore[no-any-return]


def test_what_is_no_generator_function_is_refused() -> None:
    """A plain value and a function without a ``yield`` when the graph is built, a wrong result later."""
    with pytest.raises(GraphError, match="through takes a function"):
        op.through(3)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="one with yield"):
        op.through(one_result)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="holds must be"):
        op.through(doubled, holds=-1)
    with pytest.raises(TypeError, match="must return an async iterator; it returned list") as caught:
        run(ps.just(1).through(lambda items: [items]).to_list())  # type: ignore[arg-type, return-value]
    assert "in through at" in caught.value.__notes__[0]
