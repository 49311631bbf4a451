"""``using`` acquires its resource at the first request and releases it exactly once, however the run ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from penstock import Flow, RetryPolicy, fail, from_async_iterable, from_iterable, just, using
from penstock.errors import GraphError
from penstock.ledger import MemoryLedger
from penstock.testing import Planted, Raise, TestSource, no_leaks
from penstock.testing import run as virtually
from penstock.testing.script import Forever, Sleep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from penstock import Subscription


class Book:
    """A resource in every form that ``using`` takes, with a log of what was done to it."""

    def __init__(self, *, takes: float = 0.0) -> None:
        self.log: list[str] = []
        self.takes = takes

    def ended(self, error: BaseException | None) -> None:
        self.log.append("released" if error is None else f"released after {type(error).__name__}")

    @contextmanager
    def plain(self) -> Iterator[str]:
        self.log.append("acquired")
        try:
            yield "resource"
        except BaseException as error:
            self.ended(error)
            raise
        self.ended(None)

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[str]:
        await asyncio.sleep(self.takes)
        self.log.append("acquired")
        try:
            yield "resource"
        except BaseException as error:
            await asyncio.sleep(self.takes)
            self.ended(error)
            raise
        await asyncio.sleep(self.takes)
        self.ended(None)

    def value(self) -> str:
        self.log.append("acquired")
        return "resource"

    async def value_later(self) -> str:
        await asyncio.sleep(self.takes)
        return self.value()

    def release(self, resource: str) -> None:
        assert resource == "resource"
        self.log.append("released")

    async def release_later(self, resource: str) -> None:
        await asyncio.sleep(self.takes)
        self.release(resource)

    def forms(self, function: Callable[[str], Flow[Any]]) -> list[Flow[Any]]:
        async def entered_later() -> Any:
            await asyncio.sleep(self.takes)
            return self.waiting()

        return [
            using(self.plain, function),
            using(self.waiting, function),
            using(entered_later, function),  # type: ignore[arg-type,misc]
            using(self.value, function, self.release),
            using(self.value, function, self.release_later),
            using(self.value_later, function, self.release_later),
        ]


FORMS = range(6)


@given(st.lists(st.integers(), max_size=5), st.booleans())
def test_items_and_end_are_those_of_reactivex(numbers: list[int], fails: bool) -> None:
    """The items, the end and the release come in the same order as in reactivex."""
    model: list[Any] = []
    end = reactivex.throw(Planted("x")) if fails else reactivex.empty()

    class Resource:
        def dispose(self) -> None:
            model.append("released")

    reactivex.using(Resource, lambda _: reactivex.concat(reactivex.from_iterable(numbers), end)).subscribe(
        model.append, on_error=lambda error: model.append(repr(error))
    )
    for form in FORMS:
        book = Book(takes=1)
        last = fail(Planted("x")) if fails else from_iterable([])
        came: list[Any] = []
        flow = book.forms(lambda _: from_iterable(numbers).concat(last))[form].tap(came.append)  # noqa: B023
        try:
            virtually(flow.to_list())
        except Planted as error:
            came.append(repr(error))
        assert [*came, "released"] == model
        assert len(book.log) == 2
        assert book.log[1].startswith("released")


async def read_on(subscription: Subscription[Any]) -> None:
    with suppress(Planted):
        while await subscription.request(2):
            pass


@given(
    st.sampled_from(FORMS),
    st.lists(st.sampled_from([1, 2, Sleep(1), Raise()]), max_size=4),
    st.integers(0, 40),
    st.sampled_from(["cancel", "close", "drain"]),
)
def test_it_is_released_once_wherever_a_run_is_left(
    form: int, script: list[Any], moment: int, how: str
) -> None:
    """A run that is cancelled, closed or drained at any time releases its resource once and leaks nothing."""
    book = Book(takes=1.5)
    sources: list[TestSource] = []

    def build(resource: str) -> Flow[Any]:
        assert resource == "resource"
        sources.append(TestSource([*script, Sleep(3)]))
        return sources[-1].tap(lambda _: book.log.append("item"))

    async def main() -> None:
        async with no_leaks():
            subscription = book.forms(build)[form].subscribe()

            reader = asyncio.ensure_future(read_on(subscription))
            await asyncio.sleep(moment * 0.25)
            if how == "cancel":
                reader.cancel()
            elif how == "drain":
                await subscription.drain()
                await asyncio.wait([reader])
            await subscription.aclose()
            await asyncio.wait([reader])
            if not reader.cancelled():
                reader.exception()

    virtually(main())
    assert book.log.count("acquired") <= 1
    assert sum(entry.startswith("released") for entry in book.log) == book.log.count("acquired")
    assert not book.log or book.log[-1].startswith("released")
    assert all(source.counts.opened == source.counts.closed for source in sources)


def test_nothing_is_acquired_before_the_first_request() -> None:
    """Each subscription, also a resumed one, acquires its own resource at the first request."""

    async def main() -> None:
        book = Book()
        flow = using(book.plain, lambda _: just(1, 2, 3))
        async with flow.subscribe() as subscription:
            assert book.log == []
            assert await subscription.request(2) == [1, 2]
            position = subscription.position
        assert book.log == ["acquired", "released after CancelledError"]
        book.log.clear()
        async with flow.subscribe(position) as subscription:
            assert await subscription.request(5) == [3]
            assert await subscription.request(5) == []
            assert book.log == ["acquired", "released"]

    virtually(main())


def test_a_retry_behind_it_releases_before_it_acquires_again() -> None:
    """Each attempt of ``retry`` has its own resource, and no item is delivered twice."""
    book = Book(takes=1)
    failures = [ConnectionError(), ConnectionError()]

    def check(x: int) -> int:
        if x == 2 and failures:
            raise failures.pop()
        return x

    flow = using(book.waiting, lambda _: just(1, 2, 3).map(check)).retry(RetryPolicy(initial=0))
    assert virtually(flow.to_list()) == [1, 2, 3]
    assert book.log == ["acquired", "released after ConnectionError"] * 2 + ["acquired", "released"]


def test_what_was_built_is_closed_before_the_release() -> None:
    """The flow is closed before the resource is released: at the end, on an error, and when it is closed early."""
    order: list[str] = []

    async def rows() -> Any:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(1)
            order.append("closed")

    async def main() -> None:
        flow = using(lambda: 1, lambda _: from_async_iterable(rows), lambda _: order.append("released"))
        assert await flow.take(1).to_list() == [1]
        assert await flow.to_list() == [1, 2]
        with pytest.raises(ZeroDivisionError):
            await using(
                lambda: 1,
                lambda _: from_async_iterable(rows).map(lambda x: 1 // (x - 2)),
                lambda _: order.append("released"),
            ).to_list()
        assert order == ["closed", "released"] * 3

    virtually(main())


def test_all_of_it_runs_in_one_task() -> None:
    """A context manager that one task must enter and leave works: a timeout, a task group."""

    @asynccontextmanager
    async def within(seconds: float) -> AsyncIterator[asyncio.TaskGroup]:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            yield group

    async def main() -> None:
        async with no_leaks():
            assert await using(lambda: within(9), lambda _: just(1, 2)).to_list() == [1, 2]
            assert await using(lambda: within(9), lambda _: just(1, 2)).take(1).to_list() == [1]
            async with using(lambda: within(9), lambda _: TestSource([1, Forever()])).subscribe() as running:
                assert await running.request(1) == [1]
                with pytest.raises(TimeoutError):
                    await running.request(1)
                assert asyncio.get_running_loop().time() == 9

    virtually(main())


def test_a_context_manager_may_swallow_the_error() -> None:
    """If the context manager suppresses the error, the flow completes."""
    flow = using(lambda: suppress(Planted), lambda _: just(1).concat(fail(Planted())))
    assert virtually(flow.to_list()) == [1]


# -- errors ------------------------------------------------------------------------------------------


def broken(*_: object) -> Any:
    raise KeyError("mine")


@pytest.mark.parametrize(
    ("acquire", "build", "fails_on_release", "released"),
    [(broken, just, False, 0), (lambda: 1, broken, False, 1), (lambda: 1, just, True, 1)],
    ids=["acquiring", "building", "releasing"],
)
def test_an_error_on_the_way_is_one_of_the_flow(
    acquire: Any, build: Any, *, fails_on_release: bool, released: int
) -> None:
    """An error on the way has a note that names ``using``, and an acquired resource is released."""
    calls: list[int] = []

    def release(resource: int) -> None:
        calls.append(resource)
        if fails_on_release:
            broken()

    async def main() -> None:
        async with using(acquire, build, release).subscribe() as subscription:
            if fails_on_release:
                assert await subscription.request(2) == [1]
            for _ in range(2):
                with pytest.raises(KeyError, match="mine") as caught:
                    await subscription.request(1)
            assert f"using at {__file__}" in caught.value.__notes__[0]
            assert len(caught.value.__notes__) == 1

    virtually(main())
    assert len(calls) == released


def test_a_failing_release_never_masks() -> None:
    """An error of ``release`` becomes a note on the error in flight; without one it is raised."""
    with pytest.raises(Planted) as caught:
        virtually(using(lambda: 1, lambda _: fail(Planted()), broken).to_list())
    assert any("KeyError('mine')" in note for note in caught.value.__notes__)

    async def main() -> None:
        subscription = using(lambda: 1, lambda _: just(1, 2), broken).subscribe()
        assert await subscription.request(1) == [1]
        with pytest.raises(KeyError, match="mine"):
            await subscription.aclose()
        source = TestSource([1, Forever()], on_close=[Raise()])
        subscription = using(lambda: 1, lambda _: source, lambda _: None).subscribe()
        assert await subscription.request(1) == [1]
        with pytest.raises(Planted):
            await subscription.aclose()

    virtually(main())


def test_what_is_refused() -> None:
    """``using`` refuses: no function, no context manager without ``release``, no flow, a checkpoint inside."""
    with pytest.raises(GraphError, match="using takes a function"):
        using(3, just)  # type: ignore[call-overload]
    with pytest.raises(
        TypeError, match=r"acquired an object of type int, which is not a context manager: pass release="
    ):
        virtually(using(lambda: 3, just).to_list())  # type: ignore[call-overload]
    with pytest.raises(GraphError, match="what the function of using returns must be a Flow"):
        virtually(using(lambda: 3, lambda _: [1], print).to_list())  # type: ignore[arg-type,return-value]
    with pytest.raises(GraphError, match="holds a checkpoint"):
        virtually(
            using(lambda: 3, lambda _: just(1).checkpoint(MemoryLedger(), key="k"), lambda _: None).to_list()
        )
