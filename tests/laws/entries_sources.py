"""Every source."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import aioreactive as rx

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

from .entry import (
    Entry,
)

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


ENTRIES = [
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
