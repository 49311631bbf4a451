"""``no_leaks`` checks that a block leaves nothing behind on the event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SETTLING_TURNS = 20
_QUIET_TURNS = 2
_DESCRIPTORS = "/dev/fd"


class Leak(AssertionError):
    """A block left a task, an open async generator, a file or an unretrieved exception behind."""


@asynccontextmanager
async def no_leaks(*, collect: bool = True) -> AsyncIterator[None]:
    """Raise ``Leak`` if the block leaves anything behind that was not there before it.

    Finds tasks, async generators that were started and not finished, reports to the loop's exception
    handler (an unretrieved exception, a task destroyed while pending), files and sockets that are still
    open (where ``/dev/fd`` lists them), and those that were collected while open. An exception of the block
    is never masked.

    Args:
        collect: Whether to collect garbage. Most of the cost of this check; without it unretrieved
            exceptions and open files may go unnoticed.
    """
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    generators, files = _open_generators(loop), _open_files()
    reports: list[str] = []
    previous = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: reports.append(_describe_context(context)))
    if collect:
        gc.freeze()  # older objects are not this block's garbage: skip them
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            yield
            await _let_settle(loop)
            if collect:
                gc.collect()  # only then unretrieved exceptions and open files are reported
            await _let_settle(loop)
    finally:
        if collect:
            gc.unfreeze()
        loop.set_exception_handler(previous)
    findings = [f"task {task.get_name()}: {task.get_coro()!r}" for task in asyncio.all_tasks() - before]
    left_open = [generator for key, generator in _open_generators(loop).items() if key not in generators]
    findings += [f"open async generator: {generator!r}" for generator in left_open]
    findings += [f"open file: {name}" for name in _targets(_open_files() - files)]
    findings += [f"reported to the loop's exception handler: {context}" for context in reports]
    findings += [
        f"{w.category.__name__}: {w.message}" for w in caught if issubclass(w.category, ResourceWarning)
    ]
    if findings:
        raise Leak("left behind:\n  " + "\n  ".join(findings))


async def _let_settle(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop run the callbacks of the last steps, until two turns bring no more."""
    ready = getattr(loop, "_ready", None)  # asyncio's callbacks for the next turn
    quiet = 0
    for _ in range(_SETTLING_TURNS):
        await asyncio.sleep(0)
        quiet = quiet + 1 if ready is not None and not ready else 0
        if quiet == _QUIET_TURNS:  # the second turn runs timers that became due in the first
            return


def _open_generators(loop: asyncio.AbstractEventLoop) -> dict[int, Any]:
    """Return the async generators that were started on ``loop`` and are not finished, by their ids."""
    started = list(getattr(loop, "_asyncgens", ()))  # the loop keeps them for shutdown_asyncgens
    return {id(generator): generator for generator in started if generator.ag_frame is not None}


def _open_files() -> set[int]:
    """Return the open file descriptors of this process."""
    try:
        found = set(map(int, os.listdir(_DESCRIPTORS)))  # noqa: PTH208  called often, and a Path costs more
        free = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return set()
    os.close(free)
    found.discard(free)  # the listing had it: a new descriptor is always the lowest free one
    return found


def _targets(descriptors: set[int]) -> list[str]:
    """Return the files and sockets of descriptors, as far as the system tells."""
    found = []
    for number in sorted(descriptors):
        with suppress(OSError):
            found.append(str(Path(_DESCRIPTORS, str(number)).readlink()))
    return found


def _describe_context(context: dict[str, Any]) -> str:
    exception = context.get("exception")
    return str(context.get("message", "")) + (f" ({exception!r})" if exception is not None else "")
