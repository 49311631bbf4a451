"""The operators that await one call after the other: when they call, and what ends a call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.testing import run


class Calls:
    """An async function of one item that takes a second, and what became of its calls."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self.fails_at = fails_at

    async def __call__(self, item: int) -> bool:
        assert len(self.begun) == len(self.ended), "another call is under way"
        self.begun.append(item)
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        self.ended.append(item)
        if item == self.fails_at:
            raise LookupError(item)
        return item < 3


OPERATORS = [op.tap_async, op.take_while_async, op.skip_while_async]


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_call_begins_without_demand(operator: Any) -> None:
    """While nobody asks, at most the call under way ends."""

    async def main() -> None:
        calls = Calls()
        async with (ps.range_(9) | operator(calls)).subscribe() as subscription:
            assert len(await subscription.request(5)) == 1
            at_first = len(calls.begun)
            await asyncio.sleep(99)
            assert len(calls.begun) <= at_first + 1

    run(main())


def test_a_cancelled_request_keeps_the_call_and_its_result() -> None:
    """The next request delivers the result, and the function was called once."""

    async def main() -> None:
        calls = Calls()
        async with (ps.range_(3) | op.tap_async(calls)).subscribe() as subscription:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(subscription.request(1), 0.5)
            assert await subscription.request(1) == [0]
        assert (calls.begun, calls.cancelled) == ([0], [])

    run(main())


@pytest.mark.parametrize("operator", OPERATORS)
def test_closing_cancels_the_call(operator: Any) -> None:
    """No task is left behind."""

    async def main() -> None:
        calls = Calls()
        async with (ps.range_(3) | operator(calls)).subscribe() as subscription:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(subscription.request(1), 0.5)
        assert calls.cancelled == [0]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_predicates_are_not_called_once_they_have_decided() -> None:
    """``skip_while_async`` asks up to the first item that it keeps; ``take_while_async`` to the last."""
    skipping, taking = Calls(), Calls()
    assert run(ps.range_(6).skip_while_async(skipping).to_list()) == [3, 4, 5]
    assert run(ps.range_(6).take_while_async(taking).to_list()) == [0, 1, 2]
    assert skipping.begun == taking.begun == [0, 1, 2, 3]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_failing_call_can_be_skipped(operator: Any) -> None:
    """``on_error_skip`` drops the item; without it the error comes behind the items before."""
    skipped: list[Any] = []
    flow = ps.range_(3) | operator(Calls(fails_at=1))
    keeps = [] if operator is op.skip_while_async else [0, 2]
    assert run((flow | op.on_error_skip(lambda error, item: skipped.append(item))).to_list()) == keeps
    assert skipped == [1]

    async def main() -> None:
        seen: list[int] = []
        failing = Calls(fails_at=1)
        with pytest.raises(LookupError) as caught:
            await (ps.range_(3) | operator(failing)).for_each(seen.append)
        assert seen == keeps[:1]
        assert failing.begun == [0, 1]
        assert "_async at" in caught.value.__notes__[0]

    run(main())


@pytest.mark.parametrize("operator", [*OPERATORS, op.scan_async])
def test_what_is_no_function_is_refused(operator: Any) -> None:
    """The graph is not built."""
    with pytest.raises(GraphError, match=r"_async takes a function|_async takes an"):
        operator(3)
