"""``circuit_breaker`` in virtual time: which runs may start, and when."""

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
    """A service that is called once per run, fails until the time ``down``, and records its calls."""

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
    """Return the outcome of a run: "worked", "failed", or how long the circuit is open."""
    try:
        await flow.to_list()
    except CircuitOpen as error:
        return f"open {error.retry_after:g}"
    except ConnectionError:
        return "failed"
    return "worked"


# -- against a model ---------------------------------------------------------------------------------


class Model:
    """The three states of a breaker as a plain model."""

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
    """Runs at any distance, on a service that is up or down, have the outcomes of the model."""

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
    """The wait in ``CircuitOpen`` replaces the backoff, so the service is called no more often than allowed."""
    service = Service(down=75)
    policy = RetryPolicy(attempts=99, initial=1, factor=1, jitter=False)
    flow = service.flow.circuit_breaker(3, 30).retry(policy)
    assert virtually(flow.to_list()) == [92.0]
    assert service.calls == [0.0, 1.0, 2.0, 32.0, 62.0, 92.0]


def test_an_item_ends_a_row_of_failures() -> None:
    """A stream that often breaks, but delivers an item each time, never opens the breaker."""
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
    """During the trial other runs are refused; after a successful trial all runs may start."""

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
    """A trial that is closed or drained without a result is void, and the next run is the trial."""

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


# -- sharing, and refused arguments ------------------------------------------------------------------


def test_one_call_is_one_breaker() -> None:
    """One call is one breaker for all flows behind which it is put; another call is another breaker."""

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
    """An error that does not count leaves the breaker closed."""

    async def main(counts: Callable[[Exception], object]) -> str:
        flow = Service(down=99).flow.circuit_breaker(1, 10, counts=counts)
        await attempt(flow)
        return await attempt(flow)

    assert virtually(main(lambda error: not isinstance(error, ConnectionError))) == "failed"
    assert virtually(main(lambda error: isinstance(error, ConnectionError))) == "open 10"


def test_the_error_of_an_open_circuit() -> None:
    """The error names the operator and stays the same, and the position does not move."""

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
    """Counts must be whole numbers, times must not be NaN, and ``counts`` must be a function."""
    for wrong in ({"failures": 0}, {"failures": 1.5}, {"reset_after": -1}, {"reset_after": float("nan")}):
        with pytest.raises(GraphError, match=next(iter(wrong))):
            op.circuit_breaker(**wrong)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="takes a function"):
        op.circuit_breaker(counts=ConnectionError("x"))  # type: ignore[arg-type]
