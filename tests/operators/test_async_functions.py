"""Functions that must not be async: every operator, source, terminal and policy that takes one refuses those that are.

A declared async function is refused when the graph is built. A function whose first result is awaitable is
refused by the run, which closes the coroutine: pytest turns a warning of Python's into an error.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest
from expression import Error, Ok, Some

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError, NotAwaited
from penstock.flow import Flow
from penstock.runtime.arguments import AWAITING, ITERATING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Use = Callable[[Callable[..., Any]], object]


async def later(*_: object) -> bool:
    """Be an async function of any arguments."""
    return True


async def several(*_: object) -> AsyncIterator[int]:
    """Be an async generator function of any arguments."""
    yield 1


class Later:
    """An object whose ``__call__`` is async."""

    async def __call__(self, *_: object) -> bool:
        """Be async."""
        return True


ASYNC = {
    "function": later,
    "partial": functools.partial(later, 1),
    "object": Later(),
    "partial of an object": functools.partial(Later(), 1),
    "generator": several,
}


def lazily(*_: object) -> object:
    """Return a coroutine, though this is no async function."""
    return later()


def unfinished() -> Flow[int]:
    """Return a flow that fails behind its first item."""
    return ps.concat(ps.just(1), ps.fail(ConnectionError("planted")))


TWO = ps.from_iterable([1, 2])

USES: dict[str, Use] = {
    "map": TWO.map,
    "starmap": lambda f: TWO.map(lambda x: (x,)).starmap(f),
    "filter": TWO.filter,
    "choose": TWO.choose,
    "tap": TWO.tap,
    "scan": lambda f: TWO.scan(f, 0),
    "scan without a seed": TWO.scan,
    "stateful": lambda f: TWO.stateful(0, f),
    "stateful finish": lambda f: TWO.stateful(0, lambda s, x: (s, [x]), f),
    "distinct": lambda f: TWO.distinct(f, capacity=3),
    "distinct_until_changed": TWO.distinct_until_changed,
    "collect": TWO.collect,
    "collect make": lambda f: TWO.collect(f, print),
    "collect add": lambda f: TWO.collect(list, f),
    "flat_map": TWO.flat_map,
    "split": TWO.split,
    "chunk_by": TWO.chunk_by,
    "batch by": lambda f: TWO.batch(2, by=f),
    "take_while": TWO.take_while,
    "take_while inclusive": lambda f: TWO.take_while(f, inclusive=True),
    "skip_while": TWO.skip_while,
    "merge_sorted": lambda f: TWO.merge_sorted(key=f),
    "sequence_equal": lambda f: TWO.sequence_equal(TWO, f),
    "concat_map": TWO.concat_map,
    "flat_map_merge": TWO.flat_map_merge,
    "switch_map": TWO.switch_map,
    "exhaust_map": TWO.exhaust_map,
    "map_thread": TWO.map_thread,
    "partition": lambda f: TWO.partition(f)[0],
    "partition_by": lambda f: TWO.partition_by(f, 2)[0],
    "group_by": TWO.group_by,
    "recover": lambda f: unfinished().recover(f),
    "map_error": lambda f: unfinished().map_error(f),
    "on_error_resume": lambda f: unfinished().on_error_resume(f),
    "on_error_skip": lambda f: TWO.map(lambda x: 1 // 0).on_error_skip(f),
    "on_error_replace": lambda f: TWO.map(lambda x: 1 // 0).on_error_replace(by=f),
    "finally_do": TWO.finally_do,
    "circuit_breaker": lambda f: unfinished().circuit_breaker(counts=f),
    "repeat": lambda f: TWO.repeat(2, until=f),
    "retry_on": lambda f: unfinished().retry(ps.RetryPolicy(retry_on=f)),
    "retry_when": lambda f: unfinished().retry(ps.RetryPolicy(retry_when=f)),
    "from_iterable": ps.from_iterable,
    "fail": ps.fail,
    "defer": ps.defer,
    "using": lambda f: ps.using(object, f, print),
    "to_dict": TWO.to_dict,
    "to_dict value": lambda f: TWO.to_dict(str, f),
    "any": TWO.any,
    "all": TWO.all,
    "min": TWO.min,
    "max": TWO.max,
    "reduce": lambda f: TWO.reduce(f, 0),
    "for_each": TWO.for_each,
}
"""Each place that takes a plain function, by the operator and, if it takes several, the parameter."""

AWAITED: dict[str, Use] = {
    "from_async_iterable": ps.from_async_iterable,
    "from_pages": ps.from_pages,
    "unfold": lambda f: ps.unfold(1, f),
    "iterate": lambda f: ps.iterate(1, f).take(3),
}
"""Places that take some async functions, but none that hides it."""


def run(made: object) -> None:
    """Run a flow to its end, or await what a terminal returned."""

    async def main() -> None:
        await (made.to_list() if isinstance(made, Flow) else made)  # type: ignore[misc]

    asyncio.run(main())


@pytest.mark.parametrize("name", USES)
def test_async_functions_are_refused(name: str) -> None:
    """The error names the operator, and comes before anything runs, whatever makes the function async."""
    for kind, function in ASYNC.items():
        with pytest.raises(GraphError, match=r"async, and|async generator function, and") as caught:
            run(USES[name](function))
        assert "test_async_functions.py" in str(caught.value), kind
        assert name.split(maxsplit=1)[0].replace("retry_on", "RetryPolicy").replace(
            "retry_when", "RetryPolicy"
        ) in str(caught.value)


@pytest.mark.parametrize("name", [*USES, *AWAITED])
def test_hidden_async_functions_are_refused(name: str) -> None:
    """A function that returns a coroutine fails the run at its first result, and the coroutine is closed."""
    made: list[Any] = []

    def hidden(*_: object) -> object:
        made.append(later())
        return made[-1]

    with pytest.raises(
        NotAwaited, match=r"test_async_functions.py.*returned an awaitable \(coroutine\)"
    ) as caught:
        run({**USES, **AWAITED}[name](hidden))
    assert isinstance(caught.value, TypeError)
    assert {inspect.getcoroutinestate(coroutine) for coroutine in made} == {inspect.CORO_CLOSED}


def test_every_operator_that_takes_a_function_is_tried() -> None:
    """An operator with a parameter for a function stands above, or it awaits."""
    awaits = {"through", "expand"} | {name for name in op.__all__ if name.endswith("_async")}
    elsewhere = {
        "map_process",  # see below
        "where",  # see test_calls.py
        "unwrap",  # see below
        "tap_error",  # see below
    }
    tried = {name.split()[0] for name in USES}
    for name in op.__all__:
        kinds = [str(one.annotation) for one in inspect.signature(getattr(op, name)).parameters.values()]
        if any("Callable" in kind for kind in kinds) and name not in awaits | elsewhere | tried:
            pytest.fail(f"{name} takes a function: add it to USES")


def test_the_advice_exists() -> None:
    """What a message tells to use instead is an operator, a source or a terminal."""
    words = {"an async generator function (one with yield)", "an async def function"}
    for advice in {*AWAITING.values(), *ITERATING.values()} - words:
        name = advice.partition("(")[0]
        assert any(hasattr(place, name) for place in (op, ps, Flow)), advice


def test_one_item_is_enough_to_see_it() -> None:
    """A single item is refused too; two would have failed a comparison anyway."""
    one = ps.just(1)
    for made in (one.merge_sorted(key=lazily), one.min(lazily), one.distinct(lazily, capacity=1)):
        with pytest.raises(NotAwaited):
            run(made)


def test_a_mock_is_async_too() -> None:
    """An ``AsyncMock`` counts as an async function."""
    with pytest.raises(GraphError, match=r"Use map_async\(AsyncMock\)"):
        TWO.map(AsyncMock())


def test_worker_processes_close_coroutines() -> None:
    """``map_process`` refuses an async function, and its worker the coroutine of any other one."""
    with pytest.raises(GraphError, match=r"map_process\(later\).*Use map_async\(later\)"):
        TWO.map_process(later)
    with pytest.raises(TypeError, match="map_process does not await"):
        run(TWO.map_process(lazily, 0))


def test_a_filter_that_is_skipped_is_refused() -> None:
    """``on_error_skip`` does not hide the mistake, which would lose every item."""
    lost: list[object] = []
    with pytest.raises(NotAwaited):
        run(TWO.filter(lazily).on_error_skip(lambda error, item: lost.append(item)))
    assert lost == []


def test_values_that_can_be_awaited_are_no_mistake() -> None:
    """``Option`` and ``Result`` of expression have ``__await__``, but are ordinary items."""
    assert asyncio.run(TWO.map(Ok).unwrap().to_list()) == [1, 2]
    assert asyncio.run(TWO.map(Some).count()) == 2


def test_unwrap_refuses_an_async_function_of_errors() -> None:
    """``unwrap(errors=function)`` calls the function and does not await."""
    wrong: Flow[Any] = ps.just(Error("no"))
    with pytest.raises(GraphError, match=r"unwrap\(errors=later"):
        wrong.unwrap(errors=later)
    with pytest.raises(NotAwaited, match="unwrap at"):
        run(wrong.unwrap(errors=lazily))


def test_tap_error_keeps_the_error_of_upstream() -> None:
    """A function of ``tap_error`` that returns a coroutine becomes a note on the error that it was called with."""
    with pytest.raises(GraphError, match=r"tap_error\(later"):
        unfinished().tap_error(later)
    with pytest.raises(ConnectionError) as caught:
        run(unfinished().tap_error(lazily))
    assert any("tap_error" in note and "NotAwaited" in note for note in caught.value.__notes__)


def test_a_future_is_refused_and_left_alone() -> None:
    """A future where nobody awaits it is refused as well; it is not cancelled."""

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(NotAwaited):
            await TWO.filter(lambda _: future).to_list()
        assert not future.cancelled()

    asyncio.run(main())


def test_flat_map_says_what_takes_flows() -> None:
    """A function of ``flat_map`` that returns a flow, or no iterable at all, is pointed to the right operator."""
    for result, advice in (
        (ps.just(1), "concat_map .* flat_map_merge"),
        (several(), "from_async_iterable"),
        (3, "map"),
    ):
        with pytest.raises(TypeError, match=rf"flat_map at .*test_async_functions.py.*{advice}"):
            run(TWO.flat_map(lambda _, result=result: result))  # type: ignore[arg-type, return-value, misc]
