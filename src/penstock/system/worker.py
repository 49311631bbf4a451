"""Run blocking calls on one thread, in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import warnings
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from penstock.system.threads import starting_a_thread
from penstock.system.yielding import yielding_to_threads

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

began: ContextVar[str] = ContextVar("began", default="")
"""Where the run began that opens a sink or a ledger now: ``file:line``."""

working: WeakSet[Worker] = WeakSet()
"""The workers of this process that were used."""

_executors: set[ThreadPoolExecutor] = set()
"""Of all threads at work. An executor that is garbage still takes calls, but its thread has ended.

So a worker that is collected in mid-run could not release what its calls hold."""

_RELEASE_SECONDS = 5.0
"""A release waits for the call under way."""


class Worker:
    """Runs calls one after another on one thread, which the first call starts.

    If ``run`` is cancelled, its call still runs in its turn, before the calls of later ``run`` and
    ``aclose``. If that call fails, the next ``run`` raises its error instead of making its own call.

    Args:
        name: Of the thread.
        release: Releases what the calls hold, on the thread, if the event loop was closed before ``aclose``.
    """

    def __init__(self, name: str, release: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._release = release
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began = ""
        self._executor: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None
        self._abandoned: list[Future[Any]] = []

    async def run(self, call: Callable[[], T]) -> T:
        """Make ``call`` on the thread and return its result."""
        if self._executor is None:
            # After a cancelled ``aclose`` the previous thread may still run its last call: wait for it.
            self._executor = ThreadPoolExecutor(1, self._name, _wait_for, (self._last,))
            _executors.add(self._executor)
            self._loop, self._began = asyncio.get_running_loop(), began.get()
            working.add(self)
        abandoned, self._abandoned = self._abandoned, []
        executor = self._executor
        with starting_a_thread():
            try:
                future = executor.submit(_after, abandoned, call)
            except RuntimeError:  # no thread: nothing runs, and a later call tries to start one again
                self._end(executor, cancel_futures=True)
                raise
        return await self._outcome(future)

    async def aclose(self, last: Callable[[], None]) -> None:
        """Make the call ``last``, wait for it, and end the thread; a later ``run`` starts another thread.

        Does nothing if no thread runs. If this is cancelled, closing goes on in the background.
        """
        self._abandoned = []
        if self._executor is not None:
            executor = self._executor
            self._last = executor.submit(last)
            self._end(executor)
        if self._last is None:
            return
        if asyncio._get_running_loop() is None:  # noqa: SLF001  a coroutine that was dropped closes itself
            wait([self._last], timeout=_RELEASE_SECONDS)
        else:
            await self._outcome(self._last)

    def release_if_abandoned(self) -> None:
        """Release what the calls hold if the event loop is closed, so that nobody can await ``aclose``."""
        if self._executor is None or self._loop is None or not self._loop.is_closed():
            return
        executor = self._executor
        self._last = executor.submit(self._release)
        self._end(executor)
        self._warn("was left unfinished when its event loop was closed")
        wait([self._last], timeout=_RELEASE_SECONDS)

    def _end(self, executor: ThreadPoolExecutor, *, cancel_futures: bool = False) -> None:
        """Let the thread end after the calls that it was given."""
        self._executor = None
        _executors.discard(executor)
        executor.shutdown(wait=False, cancel_futures=cancel_futures)

    def __del__(self) -> None:
        executor = getattr(self, "_executor", None)
        if executor is not None and not sys.is_finalizing():
            self._end(executor)
            self._warn("was dropped before its end")

    def _warn(self, what: str) -> None:
        if self._began:
            msg = f"the run that began at {self._began} {what}; what it held is released"
            warnings.warn(msg, ResourceWarning, stacklevel=3, source=self)

    async def _outcome(self, future: Future[T]) -> T:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def done(_: Future[T]) -> None:
            # Not asyncio.wrap_future: it would cancel a call that still waits for its turn.
            with contextlib.suppress(RuntimeError):  # the loop may be closed already
                loop.call_soon_threadsafe(_wake, waiter)

        future.add_done_callback(done)
        try:
            with yielding_to_threads():
                await waiter
        except asyncio.CancelledError:
            self._abandoned.append(future)
            raise
        return future.result()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _after(abandoned: list[Future[Any]], call: Callable[[], T]) -> T:
    for future in abandoned:  # earlier calls on this thread, so they are done
        future.result()
    return call()


def _wait_for(previous: Future[None] | None) -> None:
    if previous is not None:
        wait([previous])
