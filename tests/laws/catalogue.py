"""Every source and operator, as subjects of the laws: a factory, its inputs, and a model of it."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aioreactive as rx
from expression import Nothing, Some

import penstock.operators as op
from penstock.core.policy import RetryPolicy
from penstock.operators.sources import (
    defer,
    empty,
    from_async_iterable,
    from_iterable,
    from_observable,
    from_pages,
    just,
    never,
)
from penstock.testing import RecordingLedger, laws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from penstock.abc import Ledger
    from penstock.testing.sources import TestSource

INPUT = tuple(range(7))


@dataclass(frozen=True)
class Entry:
    """One flow to be checked; ``operator`` is what a note about a failing function must name."""

    name: str
    factory: Callable[..., Any]
    inputs: tuple[tuple[Any, ...], ...] = (INPUT,)
    model: Callable[..., Iterable[Any]] | None = None
    operator: str | None = None
    known: dict[str, Any] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    bound: Callable[[int], float] | None = None

    @property
    def subject(self) -> laws.Subject:
        """The subject that the laws take."""
        return laws.Subject(self.factory, self.inputs, self.model, **self.known)


def checkpointed(flow: Any, ledger: Ledger) -> Any:
    """Put a checkpoint behind a flow."""
    return flow | op.checkpoint(ledger, key="laws")


# -- user functions, none of which has a state or touches an item in another way than arithmetic -----


def add(x: int) -> int:
    return x + 100


def third(x: int) -> bool:
    return x % 3 != 0


def small(x: int) -> bool:
    return x < 4


def spread(x: int) -> list[tuple[int, int]]:
    return [(x, k) for k in range(x % 4)]


def lazily(x: int) -> Iterator[int]:
    for k in range(x % 3):
        yield x * 10 + k


def some(x: int) -> Any:
    return Some(x * 2) if x % 2 else Nothing


def total(acc: int, x: int) -> int:
    return acc + x


def touch(x: int) -> None:
    _ = x + 1


async def at_once(x: int) -> int:
    return x + 100


async def a_turn(x: int) -> int:
    await asyncio.sleep(0)
    return x + 100


async def a_while(x: int) -> int:
    await asyncio.sleep((x * 5) % 4)
    return x + 100


# -- models where itertools has none ----------------------------------------------------------------


def batched(size: int) -> Callable[[Iterator[Any]], Iterator[list[Any]]]:
    def model(items: Iterator[Any]) -> Iterator[list[Any]]:
        held: list[Any] = []
        for item in items:
            held.append(item)
            if len(held) == size:
                yield held
                held = []
        if held:
            yield held

    return model


def scanned(items: Iterator[int]) -> Iterator[int]:
    acc = 0
    for item in items:
        acc = total(acc, item)
        yield acc


def tapped(items: Iterator[int]) -> Iterator[int]:
    for item in items:
        touch(item)
        yield item


def changed(items: Iterator[int]) -> Iterator[int]:
    last: list[int] = []
    for item in items:
        key = item // 3
        if last != [key]:
            last = [key]
            yield item


def chosen(items: Iterator[int]) -> Iterator[int]:
    return (x * 2 for x in items if x % 2)


def taken(count: int) -> Callable[[Iterator[Any]], Iterator[Any]]:
    return lambda items: itertools.islice(items, count)


# -- sources ----------------------------------------------------------------------------------------


def played(source: TestSource) -> Any:
    return source


def observed(source: TestSource) -> Any:
    """Play as an aioreactive observable that awaits each ``asend``."""

    class Played(rx.AsyncObservable[Any]):
        async def subscribe_async(self, send: Any = None, throw: Any = None, close: Any = None) -> Any:
            async def drive() -> None:
                try:
                    async with aclosing(source.play()) as items:
                        async for item in items:
                            await send.asend(item)
                except Exception as error:  # noqa: BLE001  an observable hands its errors on
                    await send.athrow(error)
                else:
                    await send.aclose()

            task = asyncio.create_task(drive())

            async def dispose() -> None:
                task.cancel()
                await asyncio.wait([task])

            return (
                rx.AsyncDisposable.create(dispose) if hasattr(rx, "AsyncDisposable") else _Disposable(dispose)
            )

    return from_observable(Played())


class _Disposable:
    def __init__(self, dispose: Callable[[], Any]) -> None:
        self.dispose_async = dispose


def pages_of(source: TestSource) -> Any:
    async def pages() -> Any:
        async with aclosing(source.play_pages()) as played:
            async for page in played:
                yield page.items

    return from_pages(pages, page_size=3)


SOURCES = [
    Entry("from_iterable(range)", lambda: from_iterable(range(9)), (), lambda: range(9), bound=float),
    Entry("from_iterable(generator)", lambda s: from_iterable(s.iterate), model=iter, bound=float),
    Entry("from_async_iterable", lambda s: from_async_iterable(s.play), model=iter, bound=float),
    Entry("from_pages", pages_of, model=iter, bound=lambda n: n + 2),
    Entry(
        "from_pages(seekable)",
        lambda s: from_pages(s.play_pages, seekable=True, page_size=4),
        model=iter,
        known={"page": (4, 1, 2)},
        bound=lambda n: n + 3,
    ),
    Entry("from_observable", observed, model=iter, known={"patience": 1e5}),
    Entry("empty", empty, (), list, bound=float),
    Entry("just", lambda: just(3, 1, 2), (), lambda: [3, 1, 2], bound=float),
    Entry("never", never, (), bound=float),
    Entry("defer", lambda s: defer(lambda: s), model=iter),
]


# -- operators --------------------------------------------------------------------------------------


def flaky(source: TestSource) -> Any:
    """Fail once on every third item, then never again on that one."""
    seen: set[int] = set()

    def step(x: int) -> int:
        if x % 3 == 1 and x not in seen:
            seen.add(x)
            raise ConnectionError("lost")
        return x + 100

    return source | op.map(step) | op.retry(RetryPolicy(attempts=2, initial=1, jitter=False))


def elements() -> list[Entry]:
    """Return the fused operators."""
    return [
        Entry("map", lambda s: s | op.map(add), model=lambda i: map(add, i), operator="map"),
        Entry("filter", lambda s: s | op.filter(third), model=lambda i: filter(third, i), operator="filter"),
        Entry("choose", lambda s: s | op.choose(some), model=chosen, operator="choose"),
        Entry("tap", lambda s: s | op.tap(touch), model=tapped, operator="tap"),
        Entry(
            "starmap",
            lambda s: s | op.map(lambda x: (x, 1)) | op.starmap(total),
            model=lambda i: (x + 1 for x in i),
            operator="starmap",
        ),
        Entry("enumerate", lambda s: s | op.enumerate(5), model=lambda i: enumerate(i, 5)),
        Entry("scan", lambda s: s | op.scan(total, 0), model=scanned, operator="scan"),
        Entry(
            "distinct_until_changed",
            lambda s: s | op.distinct_until_changed(lambda x: x // 3),
            model=changed,
            operator="distinct_until_changed",
        ),
        *(
            Entry(f"take({k})", lambda s, k=k: s | op.take(k), model=taken(k), bound=lambda n, k=k: min(n, k))
            for k in (0, 1, 3, 100)
        ),
        Entry("skip(0)", lambda s: s | op.skip(0), model=iter),
        Entry("skip(3)", lambda s: s | op.skip(3), model=lambda i: itertools.islice(i, 3, None)),
        Entry(
            "take_while",
            lambda s: s | op.take_while(small),
            model=lambda i: itertools.takewhile(small, i),
            known={"closes_early": True},
            operator="take_while",
        ),
        Entry(
            "skip_while",
            lambda s: s | op.skip_while(small),
            model=lambda i: itertools.dropwhile(small, i),
            operator="skip_while",
        ),
        Entry(
            "flat_map",
            lambda s: s | op.flat_map(spread),
            model=lambda i: itertools.chain.from_iterable(map(spread, i)),
            operator="flat_map",
            bound=lambda n: 2 * n,
        ),
        Entry(
            "flat_map(lazy)",
            lambda s: s | op.flat_map(lazily),
            model=lambda i: itertools.chain.from_iterable(map(lazily, i)),
            operator="flat_map",
            bound=lambda n: 2 * n,
        ),
        *(
            Entry(
                f"batch({k})",
                lambda s, k=k: s | op.batch(k),
                model=batched(k),
                known={"folds": True},
                bound=lambda n, k=k: n * k + k - 1,
            )
            for k in (1, 3, 100)
        ),
    ]


def boundaries() -> list[Entry]:
    """Return the operators that hold items, or wait, or have several inputs."""
    return [
        *(
            Entry(f"buffer({k})", lambda s, k=k: s | op.buffer(k), model=iter, bound=lambda n, k=k: n + k)
            for k in (1, 4)
        ),
        *_map_async_entries(),
        *_joined_entries(),
        Entry("retry", lambda s: s | op.retry(), model=iter, bound=float),
        Entry(
            "retry(flaky)",
            flaky,
            model=lambda i: map(add, i),
            known={"closes_early": True},
            skip=("errors_speak", "demand", "fair"),  # each attempt walks past the items before it again
        ),
        Entry(
            "checkpoint",
            lambda s: s | op.checkpoint(RecordingLedger(), key="laws"),
            model=iter,
            # its second run starts where the ledger says, and a second checkpoint is refused
            skip=("cold", "settled_by_demand"),
        ),
        Entry(
            "checkpoint|map|flat_map",
            lambda s: s | op.checkpoint(RecordingLedger(), key="laws") | op.map(add) | op.flat_map(spread),
            model=lambda i: itertools.chain.from_iterable(map(spread, map(add, i))),
            skip=("cold", "settled_by_demand"),
        ),
    ]


def _map_async_entries() -> Iterator[Entry]:
    for function in (at_once, a_turn, a_while):
        for concurrency, window in ((1, None), (3, None), (2, 2)):
            for ordered in (True, False):
                yield Entry(
                    f"map_async({function.__name__}, {concurrency}, window={window}, ordered={ordered})",
                    lambda s, f=function, c=concurrency, w=window, o=ordered: (
                        s | op.map_async(f, c, ordered=o, window=w)
                    ),
                    model=lambda i: map(add, i),
                    operator="map_async",
                    known={"instant": function is not a_while},
                    bound=lambda n, c=concurrency, w=window: n + (w or 4 * c),
                )


def _joined_entries() -> Iterator[Entry]:
    three = (tuple(range(4)), tuple(range(10, 13)), tuple(range(20, 22)))
    for count in (1, 2, 3):
        yield Entry(
            f"concat of {count}",
            lambda first, *others: first | op.concat(*others),
            three[:count],
            model=itertools.chain,
            bound=float,
        )
        yield Entry(
            f"merge of {count}",
            lambda first, *others: first | op.merge(*others),
            three[:count],
            model=itertools.chain,
            bound=lambda n, count=count: count * n,
        )


def compositions() -> list[Entry]:
    """Return compositions that have been worth looking at."""
    return [
        Entry(
            "scan|flat_map|filter|batch",
            lambda s: (
                s | op.scan(total, 0) | op.flat_map(spread) | op.filter(lambda p: p[1] != 1) | op.batch(2)
            ),
            model=lambda i: batched(2)(
                p for p in itertools.chain.from_iterable(map(spread, scanned(i))) if p[1] != 1
            ),
            known={"folds": True},
        ),
        Entry(
            "batch|flat_map|buffer",
            lambda s: s | op.batch(2) | op.flat_map(lambda b: [*b, -1]) | op.buffer(3),
            model=lambda i: itertools.chain.from_iterable([*b, -1] for b in batched(2)(i)),
            known={"folds": True},
        ),
        Entry(
            "take behind buffer",
            lambda s: s | op.buffer(3) | op.take(4),
            model=taken(4),
            known={"closes_early": True},
        ),
        Entry(
            "map_async|scan|map_async",
            lambda s: s | op.map_async(a_turn, 2) | op.scan(total, 0) | op.map_async(a_while, 3),
            model=lambda i: map(add, scanned(map(add, i))),
            known={"instant": False},
        ),
        Entry(
            "merge of a buffer and a flat_map",
            lambda a, b: (a | op.buffer(2)) | op.merge(b | op.flat_map(lambda x: [x, -x])),
            ((1, 2, 3), (10, 20)),
            model=lambda a, b: itertools.chain(a, itertools.chain.from_iterable((x, -x) for x in b)),
        ),
        Entry(
            "concat of merges",
            lambda a, b, c: (a | op.merge(b)) | op.concat(c | op.take(1)),
            ((1, 2), (10, 20), (30, 40)),
            model=lambda a, b, c: itertools.chain(a, b, itertools.islice(c, 1)),
        ),
        Entry(
            "filter that drops everything",
            lambda s: s | op.filter(lambda x: x < 0),
            model=lambda i: filter(lambda x: x < 0, i),
        ),
    ]


ENTRIES = [*SOURCES, *elements(), *boundaries(), *compositions()]

__all__ = ["ENTRIES", "Entry", "checkpointed"]
