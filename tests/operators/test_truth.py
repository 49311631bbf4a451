"""The truth of an object is no question: items, iterators, containers and functions may refuse to have any."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import penstock as ps
import penstock.operators as op
from penstock.ledger import MemoryLedger
from penstock.testing import run as virtually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from penstock.flow import Flow


class Untold:
    """An object that must not be asked whether it is true, how long it is, or what it equals."""

    def asked(self, *_: object) -> NoReturn:
        """Fail the test."""
        pytest.fail("its truth, length or equality was asked for")

    __bool__ = __len__ = __eq__ = __ne__ = asked  # type: ignore[assignment]
    __hash__ = object.__hash__


class Items(Untold):
    """An iterator of such objects."""

    def __init__(self, items: list[Any]) -> None:
        self._items = deque(items)

    def __iter__(self) -> Items:
        return self

    def __next__(self) -> Any:
        if len(self._items) == 0:
            raise StopIteration
        return self._items.popleft()


class AsyncItems(Items):
    """The same, asynchronous."""

    __iter__ = None  # type: ignore[assignment]

    def __aiter__(self) -> AsyncItems:
        return self

    async def __anext__(self) -> Any:
        if len(self._items) == 0:
            raise StopAsyncIteration
        return self._items.popleft()


class Function(Untold):
    """A function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class Container(Untold):
    """A container that ``collect`` can fill."""

    def __init__(self, items: object = ()) -> None:
        self.items = list(items)  # type: ignore[call-overload]

    def add(self, item: object) -> None:
        """Add one item."""
        self.items.append(item)


THREE = [Untold(), Untold(), Untold()]
SAME = Function(lambda *args: args[-1])
TRUE = Function(lambda *_: True)
FALSE = Function(lambda *_: False)
FLOW = Function(lambda *_: ps.just(*THREE))


async def waiting(*args: Any) -> Any:
    """Return the last argument, asynchronously."""
    return args[-1]


async def wanted(*_: Any) -> bool:
    """Return true, asynchronously."""
    return True


async def through(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Pass all items on."""
    async for item in items:
        yield item


def failing(_: object) -> NoReturn:
    """Fail."""
    raise KeyError


def joined(branches: tuple[Flow[Any], ...]) -> Flow[Any]:
    """Return the items of all branches."""
    return ps.merge(branches)


def three() -> Flow[Any]:
    """Return a flow of three such objects, and a function whose truth is none."""
    return ps.from_iterable(Function(lambda: Items(THREE)))


OPERATORS: dict[str, Callable[[Flow[Any]], Any]] = {
    "batch": lambda s: s.batch(2),
    "broadcast": lambda s: joined(s.broadcast(2)),
    "buffer": lambda s: s.buffer(2, "drop_oldest"),
    "cache": lambda s: s.cache(),
    "cast": lambda s: s.cast(Untold),
    "chunk_by": lambda s: s.chunk_by(Function(id)),
    "circuit_breaker": lambda s: s.circuit_breaker(counts=TRUE),
    "collect": lambda s: s.collect(Function(Container), Function(Container.add)),
    "combine_latest": lambda s: s.combine_latest(three()),
    "concat": lambda s: s.concat(Items(THREE), AsyncItems(THREE)),
    "concat_map": lambda s: s.concat_map(FLOW),
    "debounce": lambda s: s.debounce(1),
    "default_if_empty": lambda s: s.take(0).default_if_empty(Untold()),
    "delay": lambda s: s.delay(1),
    "dematerialize": lambda s: s.materialize().dematerialize(),
    "distinct": lambda s: s.distinct(Function(id), capacity=9),
    "distinct_until_changed": lambda s: s.distinct_until_changed(Function(id)),
    "elapsed": lambda s: s.elapsed(),
    "element_at": lambda s: s.element_at(7, Untold()),
    "enumerate": lambda s: s.enumerate(),
    "exhaust_map": lambda s: s.exhaust_map(FLOW),
    "expand": lambda s: s.expand(Function(lambda _: Items(THREE)), max_depth=1),
    "filter": lambda s: s.filter(TRUE),
    "filter_async": lambda s: s.filter_async(wanted),
    "finally_do": lambda s: s.finally_do(Function(lambda _: Untold())),
    "flat_map": lambda s: s.flat_map(Function(lambda _: Items(THREE))),
    "flat_map_merge": lambda s: s.flat_map_merge(FLOW),
    "group_by": lambda s: s.group_by(Function(id)).flat_map_merge(lambda group: group),
    "interleave": lambda s: s.interleave(three()),
    "intersperse": lambda s: s.intersperse(Untold()),
    "keep_alive": lambda s: s.concat(ps.timer(5)).keep_alive(2, Untold()),
    "limit_demand": lambda s: s.limit_demand(2),
    "log": lambda s: s.log(level="CRITICAL"),
    "map": lambda s: s.map(SAME),
    "map_async": lambda s: s.map_async(waiting),
    "map_error": lambda s: s.map_error(SAME),
    "map_thread": lambda s: s.map_thread(SAME),
    "materialize": lambda s: s.materialize(),
    "merge": lambda s: s.merge(three()),
    "merge_sorted": lambda s: s.merge_sorted(three(), key=Function(id)),
    "on_error_resume": lambda s: s.map(SAME).on_error_resume(FLOW),
    "on_error_replace": lambda s: s.map(Function(failing)).on_error_replace(by=Function(lambda *_: Untold())),
    "on_error_skip": lambda s: s.map(Function(failing)).on_error_skip(Function(lambda *_: Untold())),
    "pairwise": lambda s: s.pairwise(),
    "partition": lambda s: joined(s.partition(TRUE)),
    "partition_by": lambda s: joined(s.partition_by(Function(id), 2)),
    "pause_when": lambda s: s.pause_when(ps.just(False)),
    "prefetch": lambda s: s.prefetch(2),
    "publish": lambda s: s.share(),
    "race": lambda s: s.race(three()),
    "recover": lambda s: s.concat(ps.fail(KeyError())).recover(Function(lambda _: Untold())),
    "repeat": lambda s: s.repeat(2, until=TRUE),
    "replay": lambda s: s.replay(2),
    "retry": lambda s: s.retry(ps.RetryPolicy(retry_on=TRUE, retry_when=FALSE)),
    "sample": lambda s: s.sample(1),
    "scan": lambda s: s.scan(SAME, Untold()),
    "scan_async": lambda s: s.scan_async(waiting, Untold()),
    "sequence_equal": lambda s: s.sequence_equal(three(), TRUE),
    "share": lambda s: s.share(),
    "skip": lambda s: s.skip(1),
    "skip_last": lambda s: s.skip_last(1),
    "skip_until": lambda s: s.skip_until(three()),
    "skip_while": lambda s: s.skip_while(FALSE),
    "skip_while_async": lambda s: s.skip_while_async(wanted),
    "sliding": lambda s: s.sliding(2),
    "split": lambda s: s.split(FALSE),
    "start_with": lambda s: s.start_with(Untold()),
    "stateful": lambda s: s.stateful(
        0, Function(lambda n, x: (n, Items([x]))), Function(lambda _: Items(THREE))
    ),
    "switch_if_empty": lambda s: s.take(0).switch_if_empty(Items(THREE)),
    "switch_map": lambda s: s.switch_map(FLOW),
    "take": lambda s: s.take(2),
    "take_last": lambda s: s.take_last(2),
    "take_until": lambda s: s.take_until(ps.timer(1)),
    "take_while": lambda s: s.take_while(TRUE),
    "take_while_async": lambda s: s.take_while_async(wanted),
    "tap": lambda s: s.tap(Function(lambda _: Untold())),
    "tap_async": lambda s: s.tap_async(waiting),
    "tap_error": lambda s: s.tap_error(SAME),
    "throttle": lambda s: s.throttle(1),
    "throttle_first": lambda s: s.throttle_first(1),
    "through": lambda s: s.through(through),
    "timeout": lambda s: s.timeout(9, fallback=Items(THREE)),
    "timestamp": lambda s: s.timestamp(),
    "unbatch": lambda s: s.map(lambda _: Items(THREE)).unbatch(),
    "window": lambda s: s.window(2).concat_map(lambda window: window),
    "with_latest_from": lambda s: s.with_latest_from(three()),
    "zip": lambda s: s.zip(three()),
    "zip_latest": lambda s: s.zip_latest(three(), default=Untold()),
    "zip_longest": lambda s: s.zip_longest(three(), fillvalue=Untold()),
}
"""A flow of untold items through every operator, with untold functions, iterators and defaults."""

ELSEWHERE = {
    "starmap", "choose", "unwrap",  # take items of their own kinds
    "lines", "decode",  # take bytes
    "map_process",  # pickles the items
    "checkpoint",  # has no truth to ask for but that of its ledger
    "batch_progress", "dead_letters", "where",  # take events
}  # fmt: skip
"""Operators that no such item can pass, each for its reason."""

SOURCES: dict[str, Callable[[], Flow[Any]]] = {
    "from_iterable": lambda: ps.from_iterable(Items(THREE)),
    "from_async_iterable": lambda: ps.from_async_iterable(AsyncItems(THREE)),
    "from_callable": lambda: ps.from_callable(Function(Untold)),
    "from_pages": lambda: ps.from_pages(pages),
    "from_pages seekable": lambda: ps.from_pages(seekable, seekable=True),
    "just": lambda: ps.just(*THREE),
    "unfold": lambda: ps.unfold(Untold(), Function(lambda state: (Untold(), state))).take(3),
    "iterate": lambda: ps.iterate(Untold(), SAME).take(3),
    "defer": lambda: ps.defer(FLOW),
    "using": lambda: ps.using(Function(Untold), FLOW, Function(lambda _: Untold())),
    "from_queue": lambda: ps.defer(from_queue),
    "create": lambda: ps.create(Function(created)),
}


class Lengthless(list[Any]):
    """A list that must not be asked for its truth."""

    __bool__ = Untold.asked  # type: ignore[assignment]


async def pages() -> AsyncIterator[list[Any]]:
    """Yield a page."""
    yield Lengthless(THREE)


async def seekable(_: object) -> AsyncIterator[ps.Page[Any]]:
    """Yield a page with a position."""
    yield ps.Page(Lengthless(THREE), 1)


def from_queue() -> Flow[Any]:
    """Return a flow of a queue whose sentinel is untold."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    end = type("End", (Untold,), {})()
    for one in (*THREE, end):
        queue.put_nowait(one)
    return ps.from_queue(queue, sentinel=end)


def created(emitter: Any) -> Function:
    """Emit the items, and return a function that undoes nothing."""
    for one in THREE:
        emitter.emit_nowait(one)
    emitter.complete()
    return Function(lambda: None)


@pytest.mark.parametrize("name", [*OPERATORS, *SOURCES])
def test_nobody_asks_for_the_truth_of_an_object(name: str) -> None:
    """All items pass, in one run to the end and in one of single requests."""

    async def main() -> None:
        flow = SOURCES[name]() if name in SOURCES else OPERATORS[name](three())
        assert await flow.count() >= (name not in {"on_error_skip", "skip_until", "skip_while_async"})
        flow = SOURCES[name]() if name in SOURCES else OPERATORS[name](three())
        async with flow.subscribe() as subscription:
            while len(await subscription.request(1)) > 0:
                pass
            subscription.statistics()
        assert flow.explain()

    virtually(main())


def test_every_operator_is_tried() -> None:
    """An operator stands above, or the reason why no such item can pass it."""
    assert set(op.__all__) == set(OPERATORS) | ELSEWHERE
    tried = {name.split()[0] for name in SOURCES}
    takes = {n for n in ps.__all__ if inspect.isfunction(getattr(ps, n)) and n not in op.__all__}
    without = {"empty", "never", "fail", "range_", "interval", "timer", "from_future", "from_observable"}
    assert takes == tried | without


def test_terminals_do_not_ask_either() -> None:
    """Terminals take untold items, defaults, seeds and functions."""

    async def main() -> None:
        default = Untold()
        assert await ps.empty().first(default) is default
        assert await ps.empty().last(default) is default
        assert await ps.empty().single(default) is default
        assert await ps.empty().reduce(SAME, default) is default
        assert await three().reduce(SAME) is THREE[-1]
        assert await three().any(TRUE)
        assert await three().all(TRUE)
        assert await three().min(Function(id)) in {*map(Same, THREE)}
        assert len(await three().to_dict(Function(id), SAME)) == len(THREE)
        await three().for_each(Function(lambda _: Untold()))
        ledger = type("Ledger", (Untold, MemoryLedger), {})()
        await three().checkpoint(ledger, key="k").run()

    asyncio.run(main())


class Same:
    """Equals one object by identity."""

    def __init__(self, one: object) -> None:
        self._one = one

    def __eq__(self, other: object) -> bool:
        return other is self._one

    def __hash__(self) -> int:
        return hash(self._one)
