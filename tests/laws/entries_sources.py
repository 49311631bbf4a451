"""Every source."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import aioreactive as rx

import penstock.operators as op
from penstock.interop.aioreactive import from_observable
from penstock.interop.create import Emitter, create
from penstock.sources.defer import defer
from penstock.sources.from_async_iterable import from_async_iterable
from penstock.sources.from_callable import from_callable, from_future
from penstock.sources.from_iterable import from_iterable
from penstock.sources.from_pages import from_pages
from penstock.sources.from_queue import from_queue
from penstock.sources.range import range_
from penstock.sources.trivial import empty, fail, just, never
from penstock.sources.unfold import iterate, unfold
from penstock.testing.script import Planted

from .entry import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.testing import TestSource

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
                except Exception as error:  # noqa: BLE001  an observable passes its errors on
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


def created(source: TestSource) -> Any:
    """Play as an async function that emits each item when it is requested."""

    async def subscribe(emitter: Emitter[Any]) -> None:
        async with aclosing(source.play()) as items:
            async for item in items:
                await emitter.emit(item)
        emitter.complete()

    return create(subscribe, capacity=2)


def pages_of(source: TestSource) -> Any:
    async def pages() -> Any:
        async with aclosing(source.play_pages()) as played:
            async for page in played:
                yield page.items

    return from_pages(pages, page_size=3)


# -- generators: they bring their own items -----------------------------------------------------------


def countdown(state: int) -> tuple[int, int] | None:
    return (state * 10, state - 1) if state else None


async def counted_down(state: int) -> tuple[int, int] | None:
    await asyncio.sleep(state % 3)
    return countdown(state)


async def tripled(x: int) -> int:
    await asyncio.sleep(0)
    return 3 * x


async def later(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "one"


def filled(*items: Any, end: Any = None) -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for item in (*items, end):
        queue.put_nowait(item)
    return queue


def computed(source: TestSource) -> Any:
    """Put all items of a source into one item, so that the laws can make it fail and stall."""

    async def everything() -> list[Any]:
        async with aclosing(source.play()) as items:
            return [item async for item in items]

    return from_callable(everything)


ENTRIES = [
    Entry(
        "from_iterable(range)",
        ("from_iterable",),
        lambda: from_iterable(range(9)),
        (),
        lambda: range(9),
        bound=float,
    ),
    Entry(
        "from_iterable(generator)",
        ("from_iterable",),
        lambda s: from_iterable(s.iterate),
        model=iter,
        bound=float,
    ),
    Entry(
        "from_async_iterable",
        ("from_async_iterable",),
        lambda s: from_async_iterable(s.play),
        model=iter,
        bound=float,
    ),
    Entry("from_pages", ("from_pages",), pages_of, model=iter, bound=lambda n: n + 2),
    Entry(
        "from_pages(seekable)",
        ("from_pages",),
        lambda s: from_pages(s.play_pages, seekable=True, page_size=4),
        model=iter,
        known={"page": (4, 1, 2)},
        bound=lambda n: n + 3,
    ),
    Entry("from_observable", ("from_observable",), observed, model=iter, known={"patience": 1e5}),
    Entry("create", ("create",), created, model=iter, bound=lambda n: n + 2),
    Entry("empty", ("empty",), empty, (), list, bound=float),
    Entry(
        "fail behind a source",
        ("fail",),
        lambda s: s | op.concat(fail(lambda: Planted("planted"))),
        # no user function fails here, and the failing request acknowledges the list before it
        skip=("errors_speak", "settled_by_demand"),
    ),
    Entry("just", ("just",), lambda: just(3, 1, 2), (), lambda: [3, 1, 2], bound=float),
    Entry("never", ("never",), never, (), bound=float),
    Entry("defer", ("defer",), lambda s: defer(lambda: s), model=iter),
    Entry("range_", ("range_",), lambda: range_(3, 20, 2), (), lambda: range(3, 20, 2), bound=float),
    *(
        Entry(
            f"unfold({f.__name__})",
            ("unfold",),
            lambda f=f: unfold(5, f),
            (),
            lambda: [50, 40, 30, 20, 10],
            bound=float,
        )
        for f in (countdown, counted_down)
    ),
    *(
        Entry(
            f"iterate({f.__name__})",
            ("iterate",),
            lambda f=f: iterate(1, f) | op.take(5),
            (),
            lambda: [1, 3, 9, 27, 81],
        )
        for f in (lambda x: 3 * x, tripled)
    ),
    Entry(
        "from_callable",
        ("from_callable",),
        lambda: from_callable(lambda: "one"),
        (),
        lambda: ["one"],
        bound=float,
    ),
    Entry(
        "from_callable(async)",
        ("from_callable",),
        lambda: from_callable(lambda: later(2)),
        (),
        lambda: ["one"],
    ),
    Entry(
        "from_callable(of a source)",
        ("from_callable",),
        computed,
        model=lambda i: [list(i)],
        known={"folds": True, "prefetches": True},
        skip=("demand", "fair"),  # a called function runs to its end at its own pace
    ),
    Entry(
        "from_future(task)",
        ("from_future",),
        lambda: from_future(asyncio.get_running_loop().create_task(later(0))),
        (),
        lambda: ["one"],
    ),
    Entry(
        "from_queue",
        ("from_queue",),
        lambda: from_queue(filled(3, 1, 2), sentinel=None),
        (),
        lambda: [3, 1, 2],
        skip=("cold",),
    ),
]
