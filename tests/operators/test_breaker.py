"""``circuit_breaker`` in virtual time: what is let through, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import Flow, RetryPolicy, from_async_iterable, just
from penstock.errors import CircuitOpen, GraphError
from penstock.testing import run as virtually


@dataclass
class Service:
    """Called once per run; ``down`` says until when it fails, and its calls are written down."""

    down: float = 0.0
    calls: list[float] = field(default_factory=list)

    async def rows(self) -> Any:
        now = asyncio.get_running_loop().time()
        self.calls.append(now)
        if now < self.down:
            raise ConnectionError("down")
        yield now

    @property
    def flow(self) -> Flow[float]:
        return from_async_iterable(self.rows)


async def attempt(flow: Flow[Any]) -> str:
    """Say how a run went: its word, or how long the circuit is open."""
    try:
        await flow.to_list()
    except CircuitOpen as error:
        return f"open {error.retry_after:g}"
    except ConnectionError:
        return "failed"
    return "worked"


# -- against a model ---------------------------------------------------------------------------------


class Model:
    """The three states, as anybody would write them down."""

    def __init__(self, failures: int, reset_after: float) -> None:
        self.limit, self.reset_after = failures, reset_after
        self.row, self.until = 0, 0.0
        self.is_open = False

    def call(self, now: float, *, fails: bool) -> str:
        if self.is_open and now < self.until:
            return f"open {self.until - now:g}"
        if not fails:
            self.row, self.is_open = 0, False
            return "worked"
        self.row += 1
        if self.is_open or self.row >= self.limit:
            self.is_open, self.until = True, now + self.reset_after
        return "failed"


@given(
    st.integers(1, 3),
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=15),
)
def test_every_run_goes_as_the_model_says(
    failures: int, reset_after: int, calls: list[tuple[int, bool]]
) -> None:
    """Runs one after the other, some seconds apart, on a service that is up or down."""

    async def main() -> tuple[list[str], list[str]]:
        service, model = Service(), Model(failures, reset_after)
        flow = service.flow.circuit_breaker(failures, reset_after)
        came, wanted = [], []
        for wait, fails in calls:
            await asyncio.sleep(wait)
            now = asyncio.get_running_loop().time()
            service.down = now + fails
            came.append(await attempt(flow))
            wanted.append(model.call(now, fails=fails))
        return came, wanted

    came, wanted = virtually(main())
    assert came == wanted


# -- with a retry behind it --------------------------------------------------------------------------


def test_a_retry_waits_just_until_it_is_half_open() -> None:
    """``CircuitOpen`` says how long, and that wins over the backoff: the service is called no more than allowed."""
    service = Service(down=75)
    policy = RetryPolicy(attempts=99, initial=1, factor=1, jitter=False)
    flow = service.flow.circuit_breaker(3, 30).retry(policy)
    assert virtually(flow.to_list()) == [92.0]
    assert service.calls == [0.0, 1.0, 2.0, 32.0, 62.0, 92.0]


def test_an_item_ends_a_row_of_failures() -> None:
    """A stream that breaks now and then, but gives something each time, never opens it."""
    given_out: list[int] = []

    def shaky(x: int) -> int:
        if given_out.count(x) == 0:
            given_out.append(x)
            raise ConnectionError
        return x

    flow = just(*range(9)).map(shaky).circuit_breaker(2, 1e9).retry(RetryPolicy(attempts=2, initial=0))
    assert virtually(flow.to_list()) == list(range(9))


# -- half-open ---------------------------------------------------------------------------------------


def test_only_one_run_is_on_trial() -> None:
    """While it is under way, others are turned away; when it has worked, all are let through."""

    async def main() -> None:
        service = Service(down=3)
        slow = from_async_iterable(lambda: slowly(service.rows()))
        flow = slow.circuit_breaker(1, 10)
        assert await attempt(flow) == "failed"
        await asyncio.sleep(10)
        trial = asyncio.ensure_future(attempt(flow))
        await asyncio.sleep(1)
        assert await attempt(flow) == "open 10"
        assert await trial == "worked"
        assert await asyncio.gather(attempt(flow), attempt(flow)) == ["worked", "worked"]

    virtually(main())


async def slowly(rows: Any) -> Any:
    await asyncio.sleep(2)
    async for row in rows:
        yield row


def test_a_trial_that_is_closed_before_its_end_is_taken_back() -> None:
    """Nothing came of it, so the next run is on trial; drained without an item, it says nothing either."""

    async def main() -> None:
        service = Service(down=3)
        flow = from_async_iterable(lambda: slowly(service.rows())).circuit_breaker(1, 10)
        assert await attempt(flow) == "failed"
        await asyncio.sleep(10)
        async with flow.subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(1)
            request.cancel()
            await asyncio.wait([request])
            assert await attempt(flow) == "open 10"
        async with flow.subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(1)
            await subscription.drain()
            assert await request == []
            assert await attempt(flow) == "open 10"
        assert await attempt(flow) == "worked"

    virtually(main())


# -- the rest ----------------------------------------------------------------------------------------


def test_one_call_is_one_breaker() -> None:
    """Put behind several flows, it is theirs together; another call is another."""

    async def main() -> None:
        guard = op.circuit_breaker(2, 10)
        service = Service(down=5)
        first, second = service.flow | guard, service.flow | guard
        other = service.flow.circuit_breaker(2, 10)
        assert [await attempt(first), await attempt(second)] == ["failed", "failed"]
        assert [await attempt(flow) for flow in (first, second, other)] == ["open 10", "open 10", "failed"]
        assert len(service.calls) == 3

    virtually(main())


def test_errors_that_do_not_count() -> None:
    """A fault of the caller's says nothing about the service."""

    async def main(counts: Callable[[Exception], object]) -> str:
        flow = Service(down=99).flow.circuit_breaker(1, 10, counts=counts)
        await attempt(flow)
        return await attempt(flow)

    assert virtually(main(lambda error: not isinstance(error, ConnectionError))) == "failed"
    assert virtually(main(lambda error: isinstance(error, ConnectionError))) == "open 10"


def test_an_open_circuit_speaks() -> None:
    """Its error names the operator, is the same for ever, and the position stays where it was."""

    async def main() -> None:
        flow = Service(down=99).flow.circuit_breaker(1, 10)
        await attempt(flow)
        async with flow.subscribe() as subscription:
            before = subscription.position
            for _ in range(3):
                with pytest.raises(CircuitOpen, match="open for 10 s: 1 runs in a row have failed") as caught:
                    await subscription.request(1)
            assert len(caught.value.__notes__) == 1
            assert f"circuit_breaker at {__file__}" in caught.value.__notes__[0]
            assert subscription.position == before
        assert "open, 1 of 1 failures" in repr(flow.node.breaker)  # type: ignore[attr-defined]

    virtually(main())


def test_what_is_refused() -> None:
    """Counts are whole, times are no NaN, and what decides is a function."""
    for wrong in ({"failures": 0}, {"failures": 1.5}, {"reset_after": -1}, {"reset_after": float("nan")}):
        with pytest.raises(GraphError, match=next(iter(wrong))):
            op.circuit_breaker(**wrong)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="takes a function"):
        op.circuit_breaker(counts=ConnectionError("x"))  # type: ignore[arg-type]
