"""The window of an unordered operator: how many inputs its position covers, and where a resumed run continues."""

from __future__ import annotations

import asyncio
from typing import Any

from penstock import from_pages
from penstock.testing import TestSource, run


async def first_is_slow(x: int) -> int:
    await asyncio.sleep(1000 if x == 0 else 1)
    return x


def test_nothing_is_taken_further_beyond_a_slow_input_than_the_window() -> None:
    """If others overtake an input, a position covers at most the inputs of the window and the last chunk."""

    async def main() -> None:
        source = TestSource(range(100))
        flow = source.map_async(first_is_slow, 3, ordered=False, window=8)
        async with flow.subscribe() as subscription:
            for _ in range(7):
                await subscription.request(1)
                (beyond,) = (v for v in subscription.position["nodes"].values() if isinstance(v, list))
                assert len(beyond) <= 8
            assert source.counts.handed == 8
            assert await subscription.request(1) == [0]
            assert asyncio.get_running_loop().time() == 1000
            assert len([await subscription.request(1) for _ in range(92)]) == 92
            assert await subscription.request(1) == []

    run(main())


def test_the_watermark_waits_for_inputs_that_a_resumed_run_has_not_fetched() -> None:
    """A resumed run that is cut before it reaches inputs delivered out of order still knows that they were delivered."""

    async def pages() -> Any:
        for x in range(5):
            await asyncio.sleep(10)
            yield [x]

    async def late(x: int) -> int:
        await asyncio.sleep(100 if x == 0 else 0)
        return x

    async def main() -> None:
        flow = from_pages(pages, page_size=1).map_async(late, 3, ordered=False)
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [1]
            assert await subscription.request(1) == [2]
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            assert await subscription.request(1) == [3]
            position = subscription.position
        quick = from_pages(pages, page_size=1).map_async(asyncio.sleep, 1, ordered=False, window=1)
        async with quick.subscribe(position) as subscription:
            await subscription.request(1)  # input 0 alone: 1, 2 and 3 are not fetched yet
            position = subscription.position
        async with flow.subscribe(position) as subscription:
            assert await subscription.request(5) == [4]
            assert await subscription.request(5) == []

    run(main())
