"""``on_error_skip``: failing items are dropped in place and reported, and nothing else changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock import DeadLetters, RetryPolicy, Skipped, fail, from_iterable, just
from penstock.errors import BranchStuck, GraphError, NotResumable
from penstock.testing import Planted, Raise, TestSource, no_leaks
from penstock.testing import run as virtually

Model = Callable[[Iterator[Any], list[Any]], Iterator[Any]]

# -- against a model: each operator as a generator that drops the items on which its function fails ---


def picky(k: int) -> Callable[[int], int]:
    def function(x: int) -> int:
        if x % 5 == k:
            raise ValueError(x)
        return x + 1

    return function


def each(function: Callable[[Any], Any], use: Callable[[Any, Any], list[Any]]) -> Model:
    """Return the model of an operator that calls ``function(item)`` and turns the result into items."""

    def model(items: Iterator[Any], told: list[Any]) -> Iterator[Any]:
        for item in items:
            try:
                result = function(item)
            except ValueError:
                told.append(item)
                continue
            yield from use(item, result)

    return model


def expanding(k: int) -> Callable[[int], Iterator[int]]:
    def function(x: int) -> Iterator[int]:
        yield x
        if x % 5 == k:
            raise ValueError(x)
        yield x + 2

    return function


def expanded(k: int) -> Model:
    def model(items: Iterator[Any], told: list[Any]) -> Iterator[Any]:
        for item in items:
            try:
                yield from expanding(k)(item)
            except ValueError:
                told.append(item)

    return model


def taking(count: int) -> Model:
    def model(items: Iterator[Any], _: list[Any]) -> Iterator[Any]:
        for taken, item in enumerate(items, 1):
            yield item
            if taken == count:
                return

    return model


def summing(items: Iterator[Any], _: list[Any]) -> Iterator[Any]:
    acc = 0
    for item in items:
        acc += item
        yield acc


def batching(items: Iterator[Any], _: list[Any]) -> Iterator[Any]:
    held: list[Any] = []
    for item in items:
        held.append(item)
        if len(held) == 2:
            yield sum(held)
            held = []
    if held:
        yield sum(held)


ks = st.integers(0, 4)
STEPS = st.one_of(
    ks.map(lambda k: (f"map{k}", op.map(picky(k)), each(picky(k), lambda _, y: [y]))),
    ks.map(lambda k: (f"filter{k}", op.filter(picky(k)), each(picky(k), lambda x, y: [x] if y else []))),
    ks.map(lambda k: (f"tap{k}", op.tap(picky(k)), each(picky(k), lambda x, _: [x]))),
    ks.map(lambda k: (f"flat_map{k}", op.flat_map(expanding(k)), expanded(k))),
    st.integers(1, 6).map(lambda n: (f"take{n}", op.take(n), taking(n))),
    st.just(("scan", op.scan(lambda acc, x: acc + x, 0), summing)),
    st.just(("batch", lambda flow: flow | op.batch(2) | op.map(sum), batching)),
    st.integers(1, 3).map(lambda n: (f"buffer{n}", op.buffer(n), lambda items, _: items)),
)


@given(
    st.lists(STEPS, min_size=1, max_size=5),
    st.lists(st.integers(0, 9), max_size=10),
    st.lists(st.sampled_from([1, 2, 3, 100]), min_size=1, max_size=4),
)
def test_a_chain_drops_what_its_functions_fail_on(
    steps: list[tuple[str, Any, Model]], numbers: list[int], schedule: list[int]
) -> None:
    """For any schedule, items and failures are those of the model; a run that is resumed anywhere has the same items."""
    told: list[int] = []
    wanted_told: list[int] = []
    flow: Any = from_iterable(numbers)
    wanted = iter(numbers)
    for _, apply, model in [("map", op.map(picky(7)), each(picky(7), lambda _, y: [y])), *steps]:
        flow = flow | apply
        wanted = model(wanted, wanted_told)
    flow = flow | op.on_error_skip(lambda _, item: told.append(item))
    model_items = list(wanted)

    async def whole() -> list[Any]:
        out: list[Any] = []
        async with flow.subscribe() as subscription:
            for n in schedule * 100:
                items = await subscription.request(n)
                out += items
                if not items:
                    return out
        raise AssertionError

    assert virtually(whole()) == model_items
    prefetches = any(name.startswith(("buffer", "take")) for name, _, _ in steps)
    if not prefetches:
        assert sorted(told) == sorted(wanted_told)

    async def in_pieces() -> list[Any]:
        out: list[Any] = []
        position = None
        for n in schedule * 100:
            async with flow.subscribe(position) as subscription:
                items = await subscription.request(n)
                position = json.loads(json.dumps(subscription.position))
            out += items
            if not items:
                return out
        raise AssertionError

    assert virtually(in_pieces()) == model_items


# -- what is reported --------------------------------------------------------------------------------


def test_the_function_gets_the_error_and_what_the_failing_function_was_given() -> None:
    """The item is the argument of the failing function, not the item of the source; the note names the operator."""
    told: list[tuple[Exception, Any]] = []
    flow = (
        just(1, 2, 3)
        .map(lambda x: x * 10)
        .filter(lambda x: 1 // (x - 20) or True)
        .map(str)
        .on_error_skip(lambda error, item: told.append((error, item)))
    )
    assert virtually(flow.to_list()) == ["10", "30"]
    [(error, item)] = told
    assert item == 20
    assert isinstance(error, ZeroDivisionError)
    assert f"filter at {__file__}" in error.__notes__[0]


def test_a_flat_map_that_fails_in_the_middle() -> None:
    """Items that were produced before the error stay; the failure reports the input, not the part that failed."""
    told: list[Any] = []
    flow = (
        just(3, 4)
        .flat_map(lambda x: (12 // (k - 2) for k in range(x)))
        .on_error_skip(lambda _, x: told.append(x))
    )
    assert virtually(flow.to_list()) == [-6, -12, -6, -12]
    assert told == [3, 4]


def test_a_stray_stop_iteration_is_told_of_as_a_runtime_error() -> None:
    """A stray ``StopIteration`` never ends a run silently."""
    told: list[str] = []

    def stray(x: int) -> int:
        if x == 1:
            raise StopIteration
        return x

    flow = just(0, 1, 2).map(stray).on_error_skip(lambda error, _: told.append(type(error).__name__))
    assert virtually(flow.to_list()) == [0, 2]
    assert told == ["RuntimeError"]


# -- errors that end the run -------------------------------------------------------------------------


def test_a_limit() -> None:
    """The first failure beyond the limit ends the run; the position stands before the failing item."""
    told: list[int] = []

    async def main() -> None:
        flow = from_iterable(range(9)).map(picky(1)).on_error_skip(lambda _, x: told.append(x), limit=1)
        async with flow.subscribe() as subscription:
            assert await subscription.request(9) == [1, 3, 4, 5, 6]
            with pytest.raises(ValueError, match="6") as caught:
                await subscription.request(9)
            assert "had skipped 1 items, its limit" in caught.value.__notes__[1]
            assert told == [1]
            position = subscription.position
        async with flow.subscribe(position) as subscription:  # another run: another limit
            assert await subscription.request(9) == [8, 9]
            assert told == [1, 6]

    virtually(main())
    with pytest.raises(ValueError, match="1"):
        virtually(just(1).map(picky(1)).on_error_skip(lambda *_: None, limit=0).to_list())


def test_an_error_of_the_function_ends_the_run() -> None:
    """An error of the function replaces the first error; raising the first error lets it through."""

    def pass_on(error: Exception, item: int) -> None:
        if item == 6:
            raise error
        if item == 3:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        virtually(just(1, 3).map(picky(3)).on_error_skip(pass_on).to_list())
    assert f"on_error_skip at {__file__}" in caught.value.__notes__[0]
    assert isinstance(caught.value.__context__, ValueError)
    with pytest.raises(ValueError, match="6") as other:
        virtually(just(1, 6).map(picky(1)).filter(bool).on_error_skip(pass_on).to_list())
    assert len(other.value.__notes__) == 1


def test_earlier_items_are_delivered_first() -> None:
    """Items that were produced before a refused failure are delivered first (law 4)."""

    async def main() -> None:
        async with just(0, 1, 2).map(picky(1)).on_error_skip(lambda *_: None, limit=0).subscribe() as run:
            assert await run.request(9) == [1]
            for _ in range(2):
                with pytest.raises(ValueError, match="1"):
                    await run.request(9)

    virtually(main())


def test_a_source_that_fails_is_not_skipped() -> None:
    """An error of the source ends the run: a failed source cannot continue."""
    told: list[Any] = []
    flow = TestSource([1, Raise(), 2]).map(str).on_error_skip(lambda *failure: told.append(failure))
    with pytest.raises(Planted):
        virtually(flow.to_list())
    assert told == []


def test_it_reaches_up_to_the_next_operator_that_handles_errors() -> None:
    """An error above a retry is retried, not skipped."""
    told: list[Any] = []
    tries: list[int] = []

    def shaky(x: int) -> int:
        tries.append(x)
        if x == 2 and tries.count(2) < 3:
            raise ConnectionError
        return x

    flow = (
        just(1, 2, 6)
        .map(shaky)
        .retry(RetryPolicy(initial=0))
        .map(picky(1))
        .on_error_skip(lambda _, item: told.append(item))
    )
    assert virtually(flow.to_list()) == [3]
    assert told == [1, 6]
    assert tries == [1, 2, 2, 2, 6]


def test_it_is_refused_where_nothing_can_be_skipped() -> None:
    """It is refused without a function upstream, or if another operator handles the errors of that function."""
    for flow in (
        just(1),
        just(1).take(3).buffer(2),
        just(1).map(str).retry(),
        just(1).map(str).recover(repr),
    ):
        with pytest.raises(GraphError, match="nothing to skip"):
            flow.on_error_skip(print)
    with pytest.raises(GraphError, match="takes a function"):
        just(1).map(str).on_error_skip(3)  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="limit"):
        just(1).map(str).on_error_skip(print, limit=-1)
    with pytest.raises(GraphError, match="capacity"):
        DeadLetters(0)


# -- concurrent calls --------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 9), max_size=12),
    st.integers(1, 4),
    st.booleans(),
    st.lists(st.sampled_from([1, 2, 100]), min_size=1, max_size=4),
)
def test_map_async_drops_what_its_function_fails_on(
    numbers: list[int],
    concurrency: int,
    ordered: bool,
    schedule: list[int],
) -> None:
    """In any order, whole or resumed, the items are those of the successful calls: none is lost or repeated."""
    told: list[int] = []

    async def call(pair: tuple[int, int]) -> tuple[int, int]:
        await asyncio.sleep(pair[1] % 3)
        return pair[0], picky(2)(pair[1])

    flow = (
        from_iterable(numbers)
        .enumerate()
        .map_async(call, concurrency, ordered=ordered)
        .on_error_skip(lambda _, pair: told.append(pair[1]))
    )
    wanted = [(i, x + 1) for i, x in enumerate(numbers) if x % 5 != 2]

    async def main(*, in_pieces: bool) -> list[Any]:
        out: list[Any] = []
        async with no_leaks():
            position = None
            subscription = flow.subscribe()
            for n in schedule * 100:
                items = await subscription.request(n)
                out += items
                if not items:
                    break
                if in_pieces:
                    position = json.loads(json.dumps(subscription.position))
                    await subscription.aclose()
                    subscription = flow.subscribe(position)
            await subscription.aclose()
        return out

    for in_pieces in (False, True):
        told.clear()
        came = virtually(main(in_pieces=in_pieces))
        assert (came if ordered else sorted(came)) == wanted
        if not in_pieces:
            assert sorted(told) == sorted(x for x in numbers if x % 5 == 2)


def test_unread_letters_make_the_calls_wait() -> None:
    """At most as many failures exceed the capacity as there are concurrent calls."""

    async def main() -> None:
        letters = DeadLetters(3, patience=None)
        source = TestSource(range(99))

        async def fails(x: int) -> int:
            raise ValueError(x)

        flow = source.map_async(fails, 2, window=4).on_error_skip(letters)
        async with no_leaks(), flow.subscribe() as subscription:
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(100)
            assert len(letters.node.letters.failures) <= 3 + 2
            assert source.counts.handed < 20
            read = asyncio.ensure_future(letters.to_list())
            assert await request == []
            assert sorted(one.item for one in await read) == list(range(99))

    virtually(main())


# -- the flow of dead letters ------------------------------------------------------------------------


def test_dead_letters_are_a_flow() -> None:
    """The flow of dead letters delivers every failure and completes when the run has ended."""

    async def main() -> tuple[list[int], list[Skipped]]:
        async with no_leaks():
            letters = DeadLetters()
            good = from_iterable(range(7)).map(picky(2)).on_error_skip(letters)
            return await asyncio.gather(good.to_list(), letters.to_list())

    items, failures = virtually(main())
    assert items == [1, 2, 4, 5, 6, 7]
    assert [(one.item, repr(one.error)) for one in failures] == [(2, "ValueError(2)")]


def test_unread_letters_make_the_run_wait() -> None:
    """With ``capacity`` unread failures the run requests nothing until one is read, also after a cancelled request."""

    async def main() -> None:
        letters = DeadLetters(2)
        source = TestSource(range(10))
        flow = source.map(lambda x: x // 0 if x else x).on_error_skip(letters)
        async with no_leaks(), flow.subscribe() as subscription, letters.subscribe() as reader:
            assert await subscription.request(1) == [0]
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(5)
            handed = source.counts.handed
            request.cancel()
            await asyncio.wait([request])
            request = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(5)
            assert not request.done()
            assert source.counts.handed == handed
            got: list[Skipped] = []
            while not request.done():
                got += await reader.request(3)
                await asyncio.sleep(1)
            assert await request == []
            while items := await reader.request(3):
                got += items
            assert [one.item for one in got] == list(range(1, 10))

    virtually(main())


def test_letters_of_several_runs_end_with_the_last_of_them() -> None:
    """The flow completes when every writing run has completed, failed or been closed."""

    async def main() -> None:
        letters = DeadLetters()
        reading = asyncio.ensure_future(letters.map(lambda one: one.item).to_list())
        await asyncio.sleep(1)
        first = just(1, 2).map(picky(1)).on_error_skip(letters).subscribe()
        second = just(6).map(picky(1)).concat(fail(Planted())).on_error_skip(letters).subscribe()
        assert await first.request(1) == [3]
        with pytest.raises(Planted):
            await second.request(1)
        await asyncio.sleep(1)
        assert not reading.done()
        await first.aclose()
        assert await reading == [1, 6]
        await second.aclose()

    virtually(main())


def test_letters_have_no_position() -> None:
    """A failure that was read is gone, so the flow has no position."""
    with pytest.raises(NotResumable, match="dead_letters"):
        DeadLetters().retry()


def test_dead_letters_that_nobody_reads_end_the_run_after_patience(caplog: pytest.LogCaptureFixture) -> None:
    """The run does not wait for ever in silence; a reader that is only slow is waited for, with a warning."""

    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return picky(2)(x)

    async def main(flow: Any, *, read: bool, patience: float | None = 5) -> Any:
        letters = DeadLetters(2, patience=patience)
        good = flow | op.on_error_skip(letters)
        if read:
            async with letters.subscribe() as reading:
                task = asyncio.ensure_future(good.to_list())
                failures = []
                while items := await reading.request(1):
                    failures += items
                    await asyncio.sleep(100)
                return [*failures, *await task]
        async with no_leaks(), asyncio.timeout(50):
            return await good.to_list()

    for flow in (
        from_iterable(range(40)).map(picky(2)),
        from_iterable(range(40)).map_async(later, 2),
        from_iterable(range(40)).tap_async(later),
        from_iterable(range(40)).split(picky(2)),
    ):
        with pytest.raises(
            BranchStuck, match=r"are full \(2 failures\), and nobody has begun to read them for 5 s"
        ):
            virtually(main(flow, read=False))
        with pytest.raises(TimeoutError):
            virtually(main(flow, read=False, patience=None))
        assert not caplog.text
        assert len(virtually(main(flow, read=True))) > 8
        assert "have held the run back for 5 s" in caplog.text
        caplog.clear()
