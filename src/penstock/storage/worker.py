"""A thread of its own, for what would otherwise block the loop."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """Runs calls one after another on one thread; starts it at the first call.

    A cancelled ``run`` withdraws only the waiting: the call itself is made, in its turn, and every
    later ``run`` and ``aclose`` comes after it. If it then fails, the next ``run`` raises its error.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None
        self._unreported: Exception | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Make ``call`` on the thread and return what it returns."""
        if (error := self._unreported) is not None:
            self._unreported = None
            raise error
        if self._executor is None:
            # After an ``aclose`` that was cancelled, the last thread may still be at its last call.
            self._executor = ThreadPoolExecutor(1, self._name, _wait_for, (self._last,))
        return await self._outcome(self._executor.submit(call))

    async def aclose(self, last: Callable[[], None]) -> None:
        """Make ``last`` the last call, wait for it, and end the thread; a later ``run`` starts another.

        Nothing happens if no thread was started since the last time. A cancelled ``aclose`` goes on behind.
        """
        if self._executor is not None:
            executor, self._executor = self._executor, None
            self._last = executor.submit(last)
            executor.shutdown(wait=False)  # what was submitted still runs
        if self._last is not None:
            await self._outcome(self._last)
        self._unreported = None

    async def _outcome(self, future: Future[T]) -> T:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()

        def done(_: Future[T]) -> None:
            # Asyncio's own wrap_future would cancel a call that still waits for its turn.
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(self._settle, waiter, future)

        future.add_done_callback(done)
        return await waiter

    def _settle(self, waiter: asyncio.Future[T], future: Future[T]) -> None:
        error = future.exception()
        if waiter.cancelled():
            if isinstance(error, Exception):
                self._unreported = error
        elif error is not None:
            waiter.set_exception(error)
        else:
            waiter.set_result(future.result())


def _wait_for(previous: Future[None] | None) -> None:
    if previous is not None:
        wait([previous])
