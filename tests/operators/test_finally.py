"""``finally_do``: the function is called once, for every kind of end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import Flow, RetryPolicy, fail, from_async_iterable, from_iterable, just
from penstock.errors import GraphError
from penstock.testing import Planted, Raise, TestSource
from penstock.testing import run as virtually
from penstock.testing.script import Forever, Sleep


@given(
    st.lists(st.sampled_from([1, 2, Sleep(1), Raise()]), max_size=5),
    st.sampled_from(["plain", "cancelled", "drained"]),
    st.integers(0, 12),
)
def test_it_is_called_once_with_how_it_ended(script: list[Any], how: str, turn: int) -> None:
    """A run that ends by itself, is cancelled or is drained at any moment calls the function once, with the right word."""
    calls: list[str] = []

    async def main() -> str:
        source = TestSource(script)
        async with source.finally_do(calls.append).subscribe() as subscription:

            async def read() -> str:
                try:
                    while await subscription.request(1):
                        pass
                except Planted:
                    return "failed"
                return "completed"

            reader = asyncio.ensure_future(read())
            for _ in range(turn):
                await asyncio.sleep(0.3)
            if how == "drained" and not reader.done():
                await subscription.drain()
                await reader
                return reader.result() if reader.result() == "failed" else "cancelled"
            if how == "cancelled":
                reader.cancel()
                await asyncio.wait([reader])
                return "cancelled" if reader.cancelled() else reader.result()
            return await reader

    ended = virtually(main())
    if how == "cancelled" and not calls:
        assert turn == 0  # cancelled before the first request: nothing had begun
    else:
        assert calls == [ended]


def test_a_run_that_was_never_asked_has_no_end() -> None:
    """Without a request nothing has started, so nothing ends."""
    calls: list[str] = []

    async def main() -> None:
        async with just(1).finally_do(calls.append).subscribe():
            pass

    virtually(main())
    assert calls == []


def test_the_call_comes_before_the_end_is_delivered() -> None:
    """The call comes before the end or the error is delivered; on closing it comes after upstream is closed."""
    order: list[Any] = []

    async def rows() -> Any:
        try:
            yield 1
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(5)
            order.append("closed")

    async def main() -> None:
        async with just(1).finally_do(order.append).subscribe() as subscription:
            assert await subscription.request(1) == [1]
            assert order == []
            assert await subscription.request(1) == []
            assert order == ["completed"]
        async with from_async_iterable(rows).finally_do(order.append).subscribe() as subscription:
            await subscription.request(1)
        assert order == ["completed", "closed", "cancelled"]

    virtually(main())


def test_each_attempt_has_its_own_end() -> None:
    """In front of a retry it is called for each attempt; behind a retry it is called once."""
    inner: list[str] = []
    outer: list[str] = []
    failures = [ConnectionError(), ConnectionError()]

    def check(x: int) -> int:
        if failures:
            raise failures.pop()
        return x

    flow = just(1).map(check).finally_do(inner.append).retry(RetryPolicy(attempts=3)).finally_do(outer.append)
    assert virtually(flow.to_list()) == [1]
    assert inner == ["failed", "failed", "completed"]
    assert outer == ["completed"]


def test_an_early_end_downstream_is_a_cancel() -> None:
    """``take`` closes upstream when it has enough items, so the run is "cancelled"."""
    calls: list[str] = []
    assert virtually(from_iterable(range(9)).finally_do(calls.append).take(3).to_list()) == [0, 1, 2]
    assert calls == ["cancelled"]


# -- errors of the function --------------------------------------------------------------------------


async def failing_within(flow: Flow[int]) -> None:
    async with flow.subscribe() as subscription:
        await subscription.request(1)
        raise Planted


def blow_up(ending: str) -> None:
    raise KeyError(ending)


def test_its_error_fails_a_run_that_had_completed() -> None:
    """Later requests raise the same error, and the note names the operator."""

    async def main() -> None:
        async with just(1).finally_do(blow_up).subscribe() as subscription:
            assert await subscription.request(1) == [1]
            for _ in range(3):
                with pytest.raises(KeyError, match="completed") as caught:
                    await subscription.request(1)
            assert f"finally_do at {__file__}" in caught.value.__notes__[0]
            assert len(caught.value.__notes__) == 1

    virtually(main())


def test_its_error_never_masks_another() -> None:
    """The error becomes a note on the error of the run, or on an error of closing."""
    with pytest.raises(Planted) as caught:
        virtually(fail(Planted()).finally_do(blow_up).to_list())
    assert "the function of finally_do" in caught.value.__notes__[1]
    assert "KeyError('failed')" in caught.value.__notes__[1]

    async def main() -> None:
        flow = TestSource([1, Forever()], on_close=[Raise()]).finally_do(blow_up)
        subscription = flow.subscribe()
        await subscription.request(1)
        with pytest.raises(Planted) as caught:
            await subscription.aclose()
        assert any("KeyError('cancelled')" in note for note in caught.value.__notes__)

    virtually(main())


def test_its_error_comes_out_of_a_close() -> None:
    """``aclose`` raises the error, but the error never masks one in flight."""

    async def main() -> None:
        subscription = just(1, 2).finally_do(blow_up).subscribe()
        await subscription.request(1)
        with pytest.raises(KeyError, match="cancelled"):
            await subscription.aclose()
        with pytest.raises(Planted) as caught:
            await failing_within(just(1, 2).finally_do(blow_up))
        assert "KeyError('cancelled')" in caught.value.__notes__[0]

    virtually(main())


def test_what_is_refused() -> None:
    """An async function is refused."""

    async def later(_: str) -> None: ...

    with pytest.raises(GraphError, match=r"finally_do\(later\).*does not await"):
        op.finally_do(later)
