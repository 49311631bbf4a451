"""``Probe``: the test decides its demand, and an expectation that fails says why."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

import penstock.operators as op
from penstock.sources.from_iterable import from_iterable
from penstock.sources.trivial import just
from penstock.testing import Planted, Probe, ProbeFailure, Raise, Sleep, TestSource, no_leaks, run


def probed(flow: Any, test: Any, **options: Any) -> Any:
    """Run ``test`` with a probe of ``flow``, which must leave nothing behind."""

    async def main() -> Any:
        async with no_leaks(), Probe(flow, **options) as probe:
            return await test(probe)

    return run(main())


def test_the_test_decides_the_demand() -> None:
    """A source hands over the requested items, and no more until the next request."""
    source = TestSource(range(10))

    async def test(probe: Probe[int]) -> None:
        await probe.expect_nothing(within=60)
        assert source.counts.handed == 0
        await probe.request(3)
        await probe.expect_next(0, 1, 2)
        await probe.expect_nothing(within=60)
        assert source.counts.handed == 3
        await probe.request(1)
        await probe.request(1)
        assert await probe.take(2) == [3, 4]
        assert probe.demand == 0

    probed(source, test)


def test_a_request_does_not_wait_for_its_items() -> None:
    """The test can do other things while demand is outstanding, and add to it."""

    async def test(probe: Probe[int]) -> None:
        await probe.request(2)
        await probe.expect_nothing(within=9)
        assert probe.demand == 2
        await probe.request(1)
        await probe.expect_next(1, 2, 3)

    probed(TestSource([Sleep(10), 1, 2, 3]), test)


def test_expecting_the_end_requests_once_more() -> None:
    """``expect_completed`` requests once more if there is no demand, as only a request shows the end."""

    async def test(probe: Probe[int]) -> None:
        await probe.request(2)
        await probe.expect_next(1, 2)
        await probe.expect_completed()

    probed(just(1, 2), test)


def test_an_error_is_returned() -> None:
    """``expect_error`` returns the error, after the items before it."""

    async def test(probe: Probe[int]) -> None:
        await probe.request(5)
        await probe.expect_next(1)
        error = await probe.expect_error(Planted, match="in the source")
        assert error.__notes__

    probed(TestSource([1, Raise()]).map(int), test)


def test_an_interrupted_request_loses_nothing() -> None:
    """``interrupt`` withdraws the demand, and the run continues with the next request."""
    source = TestSource([Sleep(10), 1, Sleep(10), 2])

    async def test(probe: Probe[int]) -> None:
        await probe.request(2)
        await probe.interrupt()
        assert probe.demand == 0
        await probe.expect_nothing(within=100)
        await probe.request(2)
        await probe.expect_next(1, 2)

    probed(source, test)


def test_a_probe_may_start_at_a_position() -> None:
    """A probe subscribes at the given position, and shows the position of its run."""
    flow = from_iterable(range(5))

    async def first(probe: Probe[int]) -> Any:
        await probe.request(2)
        await probe.expect_next(0, 1)
        return probe.subscription.position

    async def second(probe: Probe[int]) -> None:
        await probe.request(9)
        await probe.expect_next(2, 3, 4)
        await probe.expect_completed()

    probed(flow, second, position=probed(flow, first))


def failing(flow: Any, test: Any, **options: Any) -> str:
    with pytest.raises(ProbeFailure) as caught:
        probed(flow, test, **options)
    return str(caught.value)


def test_a_failure_shows_the_history() -> None:
    """The message says what was wanted and what came, and has the history with its times."""

    async def test(probe: Probe[int]) -> None:
        await probe.request(2)
        await probe.expect_next(1)
        await probe.expect_next(3)

    assert failing(TestSource([1, Sleep(5), 2]), test).splitlines() == [
        "expected the next items to be 3, but item 0 was 2",
        "history:",
        "  0 s: subscribed",
        "  0 s: request(2)",
        "  0 s: next 1",
        "  5 s: next 2",
    ]


@pytest.mark.parametrize(
    ("script", "test", "text"),
    [
        ([], lambda p: p.expect_next(1), "no demand for more; call request"),
        ([1, Sleep(1e7)], lambda p: ask(p, 2, p.expect_next(1, 2)), "only 1 came within"),
        ([1], lambda p: ask(p, 2, p.expect_next(1, 2)), "after 1 of them the flow completed"),
        ([1], lambda p: ask(p, 2, p.expect_completed()), "1 came, and no expectation took it"),
        ([Raise()], lambda p: p.expect_completed(), "the flow failed with Planted"),
        ([], lambda p: p.expect_error(ValueError), "the flow completed"),
        ([Raise()], lambda p: p.expect_error(ValueError), "the flow failed with Planted"),
        (
            [Raise()],
            lambda p: p.expect_error(Planted, "elsewhere"),
            "matching 'elsewhere', but the flow failed",
        ),
        ([1], lambda p: ask(p, 1, p.expect_nothing()), "1 had come before|1 came"),
        ([Sleep(0.5), 1], lambda p: ask(p, 1, p.expect_nothing()), "1 came"),
        ([Sleep(0.5)], lambda p: ask(p, 1, p.expect_nothing()), "the flow completed"),
        ([1], lambda p: p.take(2), "only 0 came, and there is no demand"),
        ([Sleep(1e7)], lambda p: p.expect_completed(), "nothing happened for"),
    ],
)
def test_each_failed_expectation_says_why(script: Any, test: Any, text: str) -> None:
    """The message says what came instead."""
    assert re.search(text, failing(TestSource(script), test))


async def ask(probe: Probe[Any], n: int, then: Any) -> None:
    await probe.request(n)
    await asyncio.sleep(0.1)
    await then


class Generous:
    """A run that returns one item more than requested."""

    def subscribe(self) -> Any:
        return self

    async def request(self, n: int) -> list[int]:
        return [0] * (n + 1)

    async def aclose(self) -> None:
        return


def test_too_many_items_are_a_failure() -> None:
    """Any expectation fails after a request returned too many items."""

    async def test(probe: Probe[int]) -> None:
        await probe.request(1)
        await probe.expect_next(0)

    assert "broke the law of demand: 2 items for request(1)" in failing(Generous(), test)


def test_misuse_is_refused() -> None:
    """A probe must be entered before it requests, and must request at least one item."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="async with Probe"):
            await Probe(just(1)).request(1)
        async with Probe(just(1)) as probe:
            with pytest.raises(ValueError, match="at least one"):
                await probe.request(0)

    run(main())


def test_closing_does_not_mask_a_failed_expectation() -> None:
    """An error of closing becomes a note on the failed expectation."""

    async def main() -> None:
        async with Probe(TestSource([1, 2], on_close=[Raise()]) | op.map(int)) as probe:
            await probe.request(1)
            await probe.expect_next(5)

    with pytest.raises(ProbeFailure) as caught:
        run(main())
    assert "closing the probe failed too" in caught.value.__notes__[0]


async def test_it_works_on_a_real_loop() -> None:
    """On a real loop a probe waits real seconds, by default five."""
    async with Probe(TestSource([1, Sleep(60), 2]), patience=0.05) as probe:
        await probe.request(2)
        await probe.expect_next(1)
        with pytest.raises(ProbeFailure, match=r"within 0\.05 s"):
            await probe.expect_next(2)
