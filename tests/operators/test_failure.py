"""``retry`` in virtual time: which errors are retried, when, and from which position."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import aioreactive as rx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import RetryPolicy, from_async_iterable, from_iterable, from_observable, just
from penstock.abc import Page
from penstock.errors import DocumentError, GraphError, NotResumable
from penstock.sources.from_pages import from_pages
from penstock.testing import no_leaks
from penstock.testing import run as virtually

EXACT = RetryPolicy(attempts=4, initial=1.0, factor=3.0, cap=5.0, jitter=False)


class Flaky:
    """Pages of two numbers; the fetch of page ``k`` fails ``failures[k]`` times."""

    def __init__(
        self, pages: int, failures: dict[int, int], error: type[Exception] = ConnectionError
    ) -> None:
        self.pages = pages
        self.failures = dict(failures)
        self.error = error
        self.fetched: list[tuple[int, float]] = []

    async def fetch(self, position: int | None) -> Any:
        for page in range(position or 0, self.pages):
            self.fetched.append((page, asyncio.get_running_loop().time()))
            if self.failures.get(page, 0) > 0:
                self.failures[page] -= 1
                raise self.error(f"page {page}")
            yield Page([2 * page, 2 * page + 1], page + 1)

    @property
    def flow(self) -> Any:
        return from_pages(self.fetch, seekable=True, page_size=2)


@given(
    st.dictionaries(st.integers(0, 4), st.integers(1, 3)),
    st.lists(st.sampled_from([1, 2, 3, 100]), min_size=1, max_size=4),
)
def test_nothing_is_lost_or_repeated(failures: dict[int, int], schedule: list[int]) -> None:
    """With up to three failures before each page and four attempts, the items are those of an undisturbed run."""
    source = Flaky(5, failures)

    async def main() -> list[int]:
        out: list[int] = []
        async with source.flow.retry(EXACT).subscribe() as subscription:
            for n in itertools.cycle(schedule):
                got = await subscription.request(n)
                if not got:
                    return out
                out += got
        raise AssertionError

    assert virtually(main()) == list(range(10))


def test_the_waits_are_those_of_the_policy() -> None:
    """The waits are 1 s, 3 s and the cap of 5 s; a delivered page resets them."""
    source = Flaky(3, {0: 3, 2: 1})
    assert virtually(source.flow.retry(EXACT).to_list()) == list(range(6))
    assert source.fetched == [(0, 0.0), (0, 1.0), (0, 4.0), (0, 9.0), (1, 9.0), (2, 9.0), (2, 10.0)]


def test_attempts_run_out() -> None:
    """After the last attempt its error is raised, with the note of the operator that failed."""
    source = Flaky(3, {1: 9})

    async def main() -> None:
        async with source.flow.retry(EXACT).subscribe() as subscription:
            assert await subscription.request(9) == [0, 1]
            with pytest.raises(ConnectionError, match="page 1") as caught:
                await subscription.request(9)
            assert "from_pages at" in caught.value.__notes__[0]
            with pytest.raises(ConnectionError):
                await subscription.request(9)
            position = subscription.position
        source.failures.clear()
        async with source.flow.retry(EXACT).subscribe(position) as subscription:
            assert (await subscription.request(9))[:2] == [2, 3]

    virtually(main())
    assert [page for page, _ in source.fetched].count(1) == 4 + 1


def test_other_errors_are_not_retried() -> None:
    """By default only lost connections, timeouts and errors that are marked as retryable are retried."""

    class Marked(Exception):
        is_retryable = True

    for error, fetches in (
        (ValueError, 1),
        (KeyError, 1),
        (TimeoutError, 3),
        (Marked, 3),
        (DocumentError, 1),
    ):
        source = Flaky(1, {0: 9}, error)
        with pytest.raises(error):
            virtually(source.flow.retry().to_list())
        assert len(source.fetched) == fetches
    source = Flaky(1, {0: 1}, ValueError)
    assert virtually(source.flow.retry(RetryPolicy(retry_on=lambda e: True)).to_list()) == [0, 1]


def test_retry_on_takes_kinds_of_errors() -> None:
    """A class or a tuple of classes, also base classes. What cannot be called is refused."""
    for kinds in (KeyError, (OSError, LookupError)):
        source = Flaky(1, {0: 1}, KeyError)
        assert virtually(source.flow.retry(RetryPolicy(retry_on=kinds)).to_list()) == [0, 1]
        source = Flaky(1, {0: 9}, ValueError)
        with pytest.raises(ValueError, match="page 0") as caught:
            virtually(source.flow.retry(RetryPolicy(retry_on=kinds)).to_list())
        assert "not one of the kinds of retry_on" in caught.value.__notes__[-1]
    with pytest.raises(GraphError, match="takes a function, or kinds of errors, as retry_on, not list"):
        RetryPolicy(retry_on=[KeyError])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "error", "reason"),
    [
        (RetryPolicy(), ValueError, "ValueError is neither a ConnectionError, nor a TimeoutError"),
        (RetryPolicy(retry_on=lambda e: False), KeyError, "retry_on returned false for KeyError"),
        (
            RetryPolicy(retry_when=lambda e, k: None),
            KeyError,
            "retry_when wants no other attempt after KeyError",
        ),
        (RetryPolicy(attempts=1), ConnectionError, "only 1 attempt is allowed"),
        (EXACT, ConnectionError, "all 4 attempts failed"),
        (RetryPolicy(initial=9.0, jitter=False, budget=5), TimeoutError, "after the budget of 5 s"),
    ],
)
def test_an_error_that_is_not_retried_says_why(
    policy: RetryPolicy, error: type[Exception], reason: str
) -> None:
    """Its last note names the reason and the operator, once, however often it is raised."""

    async def main() -> list[str]:
        async with Flaky(1, {0: 9}, error).flow.retry(policy).subscribe() as subscription:
            for _ in range(2):
                with pytest.raises(error) as caught:
                    await subscription.request(1)
        return [note for note in caught.value.__notes__ if "not retried" in note]

    (note,) = virtually(main())
    assert note.startswith("penstock: not retried, because ")
    assert reason in note
    assert "(retry at " in note


def test_retry_after_replaces_the_backoff() -> None:
    """``retry_after`` on the error replaces the backoff."""

    class Busy(ConnectionError):
        retry_after = 42

    source = Flaky(1, {0: 2}, Busy)
    virtually(source.flow.retry(EXACT).to_list())
    assert [at for _, at in source.fetched] == [0.0, 42.0, 84.0]


def test_the_deadline_is_kept_over_cancelled_requests() -> None:
    """The backoff keeps its deadline: requests that time out again and again do not postpone it."""
    source = Flaky(1, {0: 1})

    async def main() -> float:
        async with source.flow.retry(RetryPolicy(initial=10, jitter=False)).subscribe() as subscription:
            for _ in range(100):
                try:
                    async with asyncio.timeout(0.7):
                        await subscription.request(1)
                        break
                except TimeoutError:
                    continue
            return asyncio.get_running_loop().time()

    assert virtually(main()) == pytest.approx(10.0)


def test_draining_ends_a_backoff() -> None:
    """``drain`` ends the wait: the run completes, and a later run continues from its position."""
    source = Flaky(2, {1: 1})

    async def main() -> None:
        async with source.flow.retry(RetryPolicy(initial=1000, jitter=False)).subscribe() as subscription:
            assert await subscription.request(2) == [0, 1]
            request = asyncio.ensure_future(subscription.request(2))
            await asyncio.sleep(1)
            await subscription.drain()
            assert await request == []
            assert asyncio.get_running_loop().time() == 1
            position = subscription.position
        async with source.flow.retry().subscribe(position) as subscription:
            assert await subscription.request(2) == [2, 3]

    virtually(main())


def test_closing_ends_a_backoff() -> None:
    """``aclose`` during a wait returns at once and leaves nothing behind."""

    async def main() -> None:
        async with no_leaks():
            source = Flaky(1, {0: 9})
            subscription = source.flow.retry(RetryPolicy(initial=1000, jitter=False)).subscribe()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await subscription.request(1)
            await subscription.aclose()
            assert asyncio.get_running_loop().time() == 1

    virtually(main())


def test_operators_above_go_on_counting() -> None:
    """Operators above the retry keep their state: ``enumerate`` counts on, ``batch`` loses and repeats nothing."""
    failures = {5: 2, 11: 1}

    def check(x: int) -> int:
        if failures.get(x, 0) > 0:
            failures[x] -= 1
            raise TimeoutError
        return x

    flow = from_iterable(range(12)).map(check).enumerate().batch(4) | op.retry(EXACT)
    expected = [(i, i) for i in range(12)]
    assert virtually(flow.to_list()) == [expected[:4], expected[4:8], expected[8:]]


def test_a_failing_close_of_the_failed_upstream_is_raised() -> None:
    """If closing the old upstream fails with an error that is not retryable, this error ends the run."""

    async def rows() -> Any:
        try:
            yield 1
            raise ConnectionError
        finally:
            raise OSError("cannot let go")

    with pytest.raises(OSError, match="cannot let go"):
        virtually(from_async_iterable(rows).retry().to_list())


# -- refused arguments -------------------------------------------------------------------------------


def test_an_upstream_that_cannot_resume_is_refused() -> None:
    """A foreign observable and a single-use input are refused; the message names them and the remedy."""
    with pytest.raises(NotResumable, match=f"from_observable at {__file__}"):
        from_observable(rx.AsyncSubject()).map(str).retry()
    with pytest.raises(NotResumable, match=r"rows instead of rows\(\)"):
        from_iterable(iter([1, 2])).map(str).retry()

    async def rows() -> Any:
        yield 1

    with pytest.raises(NotResumable, match="only once"):
        from_async_iterable(rows()).retry()
    assert virtually(from_async_iterable(rows).retry().to_list()) == [1]


def test_wrong_policies_are_refused() -> None:
    """Wrong numbers are refused, NaN too, and ``op.retry`` without a call gets its own message."""
    for wrong in (
        {"attempts": 0},
        {"attempts": 2.5},
        {"initial": -1},
        {"factor": 0.5},
        {"cap": float("nan")},
    ):
        with pytest.raises(GraphError, match=next(iter(wrong))):
            RetryPolicy(**wrong)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="attempts"):
        op.retry(attempts=0)
    with pytest.raises(GraphError, match=r"flow \| op.retry\(...\)"):
        just(1) | op.retry  # type: ignore[operator]


@given(st.integers(1, 200), st.floats(0, 100), st.floats(1, 1e9), st.floats(0, 1e6))
def test_no_wait_is_longer_than_the_cap(attempt: int, initial: float, factor: float, cap: float) -> None:
    """For any policy a wait is between 0 and the cap, and computing it never fails."""
    policy = RetryPolicy(attempts=999, initial=initial, factor=factor, cap=cap, seed=1)
    assert 0 <= policy.delay(TimeoutError(), attempt) <= cap


# -- budget and retry_when ---------------------------------------------------------------------------


def test_a_budget_limits_a_series_of_attempts() -> None:
    """A budget limits the seconds from the first failure to the last attempt; a wait beyond it is not started."""
    source = Flaky(1, {0: 99})
    policy = RetryPolicy(attempts=None, initial=1.0, factor=2.0, cap=100.0, jitter=False, budget=10)

    async def main() -> float:
        with pytest.raises(ConnectionError):
            await source.flow.retry(policy).to_list()
        return asyncio.get_running_loop().time()

    assert virtually(main()) == 7.0  # 1 + 2 + 4; another 8 would end at 15
    assert [at for _, at in source.fetched] == [0.0, 1.0, 3.0, 7.0]


def test_a_budget_counts_the_attempts_themselves() -> None:
    """The time that an attempt takes counts against the budget, even if there was no wait."""
    begun: list[float] = []

    async def rows() -> Any:
        begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(4)
        raise TimeoutError
        yield

    policy = RetryPolicy(attempts=None, initial=0, jitter=False, budget=10)
    with pytest.raises(TimeoutError):
        virtually(from_async_iterable(rows).retry(policy).to_list())
    assert begun == [0.0, 4.0, 8.0, 12.0]  # first failure at 4: the last attempt begins by 14


def test_an_item_renews_the_budget() -> None:
    """Each delivered page starts a new series of attempts with a new budget."""
    source = Flaky(3, {0: 2, 1: 2, 2: 2})
    policy = RetryPolicy(attempts=None, initial=3, factor=1, jitter=False, budget=6)
    assert virtually(source.flow.retry(policy).to_list()) == list(range(6))
    with pytest.raises(ConnectionError):
        virtually(Flaky(1, {0: 2}).flow.retry(policy, budget=5).to_list())


def test_no_limit_at_all() -> None:
    """``attempts=None`` retries until it works."""
    source = Flaky(1, {0: 500})
    assert virtually(source.flow.retry(RetryPolicy(attempts=None)).to_list()) == [0, 1]
    assert len(source.fetched) == 501


def test_retry_when_decides() -> None:
    """``retry_when`` returns seconds, ``True`` for the backoff, or ``None`` or ``False`` to stop; attempts count from 1."""
    seen: list[tuple[str, int]] = []
    answers: list[float | bool | None] = [7.0, True, 0, None]

    def decide(error: Exception, attempt: int) -> float | bool | None:
        seen.append((type(error).__name__, attempt))
        return answers[attempt - 1]

    source = Flaky(1, {0: 9}, KeyError)
    policy = RetryPolicy(attempts=9, initial=1.0, factor=3.0, jitter=False, retry_when=decide)
    with pytest.raises(KeyError):
        virtually(source.flow.retry(policy).to_list())
    assert [at for _, at in source.fetched] == [0.0, 7.0, 10.0, 10.0]
    assert seen == [("KeyError", k) for k in (1, 2, 3, 4)]
    stop = RetryPolicy(retry_when=lambda _error, attempt: attempt < 2)
    source = Flaky(1, {0: 9})
    with pytest.raises(ConnectionError):
        virtually(source.flow.retry(stop).to_list())
    assert len(source.fetched) == 2


def test_retry_after_replaces_the_delay_of_retry_when() -> None:
    """``retry_after`` replaces the delay of ``retry_when``, but not its refusal, and it does not exceed the budget."""

    class Busy(ConnectionError):
        retry_after = 42

    source = Flaky(1, {0: 1}, Busy)
    virtually(source.flow.retry(RetryPolicy(retry_when=lambda *_: 5.0)).to_list())
    assert [at for _, at in source.fetched] == [0.0, 42.0]
    for policy in (RetryPolicy(retry_when=lambda *_: None), RetryPolicy(budget=41)):
        source = Flaky(1, {0: 1}, Busy)
        with pytest.raises(Busy):
            virtually(source.flow.retry(policy).to_list())
        assert len(source.fetched) == 1


def test_an_error_of_retry_when_ends_the_run() -> None:
    """The error has the note of the retry and the first error as its context; a wrong result is a ``TypeError``."""

    def broken(error: Exception, attempt: int) -> float:
        raise LookupError(attempt)

    for policy, kind in (
        (RetryPolicy(retry_when=broken), LookupError),
        (RetryPolicy(retry_when=lambda *_: -1.0), TypeError),
        (RetryPolicy(retry_when=lambda *_: "soon"), TypeError),  # type: ignore[arg-type,return-value]
    ):
        with pytest.raises(kind) as caught:
            virtually(Flaky(1, {0: 1}).flow.retry(policy).to_list())
        assert f"retry at {__file__}" in caught.value.__notes__[0]
        assert isinstance(caught.value.__context__, ConnectionError)


def test_a_close_that_fails_like_the_source_is_another_attempt() -> None:
    """If upstream fails and closing it fails too with a retryable error, the retry goes on."""
    opened: list[int] = []

    async def rows() -> Any:
        opened.append(1)
        try:
            yield len(opened)
            if len(opened) < 3:
                raise ConnectionError("lost")
        finally:
            if len(opened) < 3:
                raise ConnectionError("cannot say good-bye")

    virtually(from_async_iterable(rows).retry(attempts=9).to_list())
    assert len(opened) == 3
