"""Leak checks: what a piece of code leaves behind on the event loop, asserted as nothing."""

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

__all__ = ["Leak", "no_leaks"]

_SETTLING_TURNS = 20
_QUIET_TURNS = 2
_DESCRIPTORS = "/dev/fd"


class Leak(AssertionError):
    """Something was left behind: a task, an open async generator, a file, or an unretrieved exception."""


@asynccontextmanager
async def no_leaks(*, collect: bool = True) -> AsyncIterator[list[str]]:
    """Raise ``Leak`` if the block leaves anything behind that was not there before it.

    Checked are tasks, async generators that were started and not finished, whatever the loop's
    exception handler was told (an exception nobody retrieved, a task destroyed while pending), files and
    sockets that are still open (where ``/dev/fd`` shows them), and those that warn when they are
    collected. Yields the list of findings, which is
    filled only at the end. An exception of the block itself is never masked.

    Args:
        collect: Whether to collect garbage, without which an exception that nobody retrieved and a file
            that nobody closed may not be noticed; it is most of what this check costs.
    """
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    generators, files = _open_generators(loop), _open_files()
    told: list[str] = []
    previous = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: told.append(_describe_context(context)))
    findings: list[str] = []
    if collect:
        gc.freeze()  # what was there before cannot be this block's garbage, and need not be walked again
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            yield findings
            await _let_settle(loop)
            if collect:
                gc.collect()  # unretrieved exceptions and open files speak only when they are collected
            await _let_settle(loop)
    finally:
        if collect:
            gc.unfreeze()
        loop.set_exception_handler(previous)
    findings += [f"task {task.get_name()}: {task.get_coro()!r}" for task in asyncio.all_tasks() - before]
    left_open = [generator for key, generator in _open_generators(loop).items() if key not in generators]
    findings += [f"open async generator: {generator!r}" for generator in left_open]
    findings += [f"open file: {name}" for name in _lead_to(_open_files() - files)]
    findings += [f"told to the loop's exception handler: {context}" for context in told]
    findings += [
        f"{w.category.__name__}: {w.message}" for w in caught if issubclass(w.category, ResourceWarning)
    ]
    if findings:
        raise Leak("left behind:\n  " + "\n  ".join(findings))


async def _let_settle(loop: asyncio.AbstractEventLoop) -> None:
    """Give callbacks that the last steps scheduled their turns, until turns bring no more."""
    ready = getattr(loop, "_ready", None)  # asyncio's callbacks for the next turn
    quiet = 0
    for _ in range(_SETTLING_TURNS):
        await asyncio.sleep(0)
        quiet = quiet + 1 if ready is not None and not ready else 0
        if quiet == _QUIET_TURNS:  # the second runs timers that were due in the first
            return


def _open_generators(loop: asyncio.AbstractEventLoop) -> dict[int, Any]:
    """Return the async generators that were started on ``loop`` and are neither finished nor closed."""
    started = list(getattr(loop, "_asyncgens", ()))  # the loop keeps them for shutdown_asyncgens
    return {id(generator): generator for generator in started if generator.ag_frame is not None}


def _open_files() -> set[int]:
    """Return the descriptors that this process has open."""
    found = set()
    with suppress(OSError):
        for number in map(int, os.listdir(_DESCRIPTORS)):  # noqa: PTH208  called often, and a Path costs more
            with suppress(OSError):  # the listing's own is closed again
                os.fstat(number)
                found.add(number)
    return found


def _lead_to(descriptors: set[int]) -> list[str]:
    """Return what descriptors lead to, as far as the system tells."""
    found = []
    for number in sorted(descriptors):
        with suppress(OSError):
            found.append(str(Path(_DESCRIPTORS, str(number)).readlink()))
    return found


def _describe_context(context: dict[str, Any]) -> str:
    exception = context.get("exception")
    return str(context.get("message", "")) + (f" ({exception!r})" if exception is not None else "")
