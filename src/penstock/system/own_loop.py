"""An event loop for synchronous code: in a script, in the interpreter, and in a notebook."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self, TypeVar

from penstock.notebook.interrupts import interruptible, pass_on, say_where
from penstock.system.threads import starting_a_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

R = TypeVar("R")

LOOK = 0.2
"""Seconds between two looks at whether the caller was cancelled."""


class OwnLoop:
    """Runs coroutines in an event loop of its own, one after the other, and returns their results.

    The loop runs in the calling thread. If that thread has a running loop already, as in a notebook, it runs
    in a thread of its own, and the caller waits. Ctrl-C cancels the coroutine, waits for its end, and raises
    ``KeyboardInterrupt``. Between two calls the loop stands still. ``loop_factory`` may make another kind of
    loop.
    """

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._thread: ThreadPoolExecutor | None = None
        self._began = False
        self._task: asyncio.Task[Any] | None = None
        self._interrupted = False

    def __enter__(self) -> Self:
        if loop_runs_here():
            self._thread = ThreadPoolExecutor(1, "penstock sync")
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is None or not self._began:
            self._runner.close()
            return
        with self._thread as thread:
            thread.submit(self._runner.close).result()

    def run(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Await ``work()`` in the loop and return its result, or raise its error.

        Raises:
            PenstockError: the loop needs a thread, and none can be started.
        """
        if self._thread is None:
            return self._runner.run(self._noted(work))
        with interruptible():
            return self._run_in_thread(work)

    def _run_in_thread(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        context, thread = copy_context(), self._thread
        assert thread is not None  # noqa: S101  for type checkers
        if not self._began:
            with starting_a_thread():  # first: an interrupt while it starts would let a second one start
                thread.submit(_nothing).result()
            self._began = True
        self._interrupted = False
        future: Future[R] | None = None
        try:
            future = thread.submit(lambda: self._runner.run(self._noted(work), context=context))
            return _result(future)
        except (KeyboardInterrupt, asyncio.CancelledError) as interrupt:
            say_where(interrupt, lambda: "Interrupted: what this cell ran is closed.")
            if future is None or not future.done():
                self._cancel(thread)
                if future is not None and (error := future.exception()) is not None:
                    pass_on(error, interrupt)
            raise

    def _cancel(self, thread: ThreadPoolExecutor) -> None:
        """Cancel what runs in the thread, or was just given to it, and wait for its end."""
        self._interrupted = True
        if (task := self._task) is not None and not task.done():
            self._runner.get_loop().call_soon_threadsafe(task.cancel)
        thread.submit(_nothing).result()  # there is one thread, so what it runs has ended then

    async def _noted(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        self._task = asyncio.current_task()
        if self._interrupted:
            raise asyncio.CancelledError
        return await work()


def _nothing() -> None:
    """Do nothing, in the thread."""


def _result(future: Future[R]) -> R:
    """Wait for a future of another thread, while the running task of this thread is not cancelled.

    ``asyncio.run`` turns Ctrl-C into a cancellation, which this thread sees only if it looks.
    """
    task = asyncio.current_task()
    while True:
        wait([future], timeout=LOOK)
        if future.done():
            return future.result()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError


def loop_runs_here() -> bool:
    """Return whether an event loop runs in the calling thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def run_in_own_loop(
    work: Callable[[], Coroutine[Any, Any, R]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> R:
    """Await ``work()`` in an event loop of its own; see ``OwnLoop``."""
    with OwnLoop(loop_factory) as loop:
        return loop.run(work)


def iterate_in_own_loop(begin: Callable[[], AsyncGenerator[R, None]]) -> Iterator[R]:
    """Yield what the async generator ``begin()`` yields; see ``OwnLoop``.

    The generator is closed when the iterator is closed, collected, or left by an error.
    """
    with OwnLoop() as loop:
        generator = begin()
        try:
            while True:
                try:
                    item = loop.run(generator.__anext__)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            loop.run(generator.aclose)
