"""``TestSource`` plays its script in every style, and counts; ``Poison`` fails in functions only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock.testing import Forever, Planted, Poison, Raise, Sleep, TestSource, Wait, run
from penstock.testing.script import items_of, paced

STYLES = ["iterable", "generator", "pages", "seekable"]


async def pull(source: TestSource, n: int = 2) -> list[Any]:
    items: list[Any] = []
    async with source.subscribe() as subscription:
        while batch := await subscription.request(n):
            items += batch
    return items


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("script", [[], [1], [1, 2, 3, 4, 5, 6, 7], [Wait(2), 1, Sleep(3), 2, Wait(1)]])
def test_items_come_in_order_and_are_counted(style: Any, script: list[Any]) -> None:
    """Each style yields the items of the script, counts them, and is opened and closed once."""
    source = TestSource(script, style=style, page=(2, 3))
    assert run(pull(source)) == items_of(script)
    assert source.counts.handed == len(items_of(script))
    assert source.counts.opened == source.counts.closed == 1


@pytest.mark.parametrize("style", STYLES)
def test_a_planted_error_comes_after_the_items_before_it(style: Any) -> None:
    """``Raise`` fails the source at its place in the script."""
    source = TestSource([1, 2, Raise(), 3], style=style)

    async def main() -> list[int]:
        got: list[int] = []
        async with source.subscribe() as subscription:
            for _ in range(2):
                got += await subscription.request(1)
            with pytest.raises(Planted):
                await subscription.request(1)
        return got

    assert run(main()) == [1, 2]


@pytest.mark.parametrize("style", STYLES[1:])
def test_forever_stalls_and_closing_ends_it(style: Any) -> None:
    """``Forever`` waits until the source is closed; an expected close is no interruption."""
    source = TestSource([1, Forever(), 2], style=style)

    async def main() -> None:
        async with source.subscribe() as subscription:
            assert await subscription.request(5) == [1]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(10):
                    await subscription.request(5)
            source.expect_close()

    run(main())
    assert (source.counts.handed, source.counts.closed, source.counts.interrupted) == (1, 1, 0)


def test_interruptions_are_counted() -> None:
    """An exception at a wait of a running generator is counted."""
    source = TestSource([Sleep(10), 1])

    async def main() -> None:
        async for _ in source.play():
            pass

    async def cancelled() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])

    run(cancelled())
    assert source.counts.interrupted == 1


def test_pages_can_be_fetched_from_a_position() -> None:
    """``play_pages(position)`` starts after that many items."""
    source = TestSource([1, 2, 3, 4, 5], page=(2,))

    async def main() -> list[tuple[list[int], int]]:
        return [(page.items, page.position) async for page in source.play_pages(2)]

    assert run(main()) == [([3, 4], 4), ([5], 5)]


def test_paced_puts_waits_before_items_and_the_end() -> None:
    """A pace repeats its waits in order; ``None`` means no wait."""
    assert paced("abc", [Wait(1), None]) == [Wait(1), "a", "b", Wait(1), "c"]
    assert paced("ab", []) == ["a", "b"]


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x + 1,
        lambda x: 1 + x,
        lambda x: x % 2,
        lambda x: x > 1,
        str,
        bool,
        "{}".format,
    ],
)
def test_computing_with_poison_fails(use: Any) -> None:
    """Arithmetic, comparison, truth and formatting raise the planted exception."""
    with pytest.raises(Planted):
        use(Poison(3))
    with pytest.raises(StopIteration):
        use(Poison(3, lambda: StopIteration("stray")))


def test_poison_can_be_passed_on() -> None:
    """Equality, hashing and ``repr`` work, so that lists of poison can be compared and shown."""
    assert [Poison(3)] == [3]
    assert {Poison(3): "x"}[Poison(3)] == "x"
    assert repr([Poison(3)]) == "[Poison(3)]"
