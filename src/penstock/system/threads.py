"""Blocking work beside the event loop, without losing hold of it when it is no longer wanted."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from penstock.errors import PenstockError
from penstock.system.yielding import yielding_to_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def starting_a_thread() -> Iterator[None]:
    """Turn the error of a system that starts no further thread into one that says what to do.

    Raises:
        PenstockError: no thread can be started.
    """
    try:
        yield
    except RuntimeError as error:
        if "start new thread" not in str(error):  # the words of Python
            raise
        raise PenstockError(
            "no thread can be started: this process has reached its limit of threads or memory; raise it "
            "(ulimit -u, ulimit -v), or close other programs, and run again"
        ) from error


async def to_the_end(future: asyncio.Future[R]) -> R:
    """Wait for ``future`` even if cancelled meanwhile: then it ends first, and its result is dropped."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is None:
        return future.result()
    if not future.cancelled():
        future.exception()  # seen, and of no interest any more
    raise cancelled


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function`` in a thread of the loop's executor and return what it returns.

    A call that runs cannot be stopped. So a cancelled ``in_thread`` waits for it to end before it raises
    ``CancelledError``: whoever is cancelled may then close what the call was using. Keep calls short.
    """
    loop = asyncio.get_running_loop()
    with yielding_to_threads():
        with starting_a_thread():
            future = loop.run_in_executor(None, lambda: function(*args, **kwargs))
        return await to_the_end(future)
