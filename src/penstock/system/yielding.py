"""What keeps a busy loop from starving the threads that work for it.

CPython lets a thread have the interpreter lock (GIL) when the holder releases it, or has not for a whole
switch interval, 5 ms. An event loop that is busy in short steps releases it between any two of them, for the
moment of a poll: too short for a waiting thread to wake up in, and each time its 5 ms begin anew. On a
machine that does nothing else, one system call in a thread then takes seconds; connecting to a database timed
out, and 3,000 documents were not in SQLite after 300 s. So while a thread works for it, the loop lies still
for a moment in every switch interval.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["yielding_to_threads"]

_MOMENT = 5e-5  # seconds; 100 to 150 µs as systems count: a waiting thread wakes up in that


class _Yielding:
    """Lies still for a moment again and again while ``threads`` of one loop are at work."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self.threads = 0

    def go_on(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()  # not kept: it must be free to go
            self._timer = loop.call_later(sys.getswitchinterval(), self._lie_still)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _lie_still(self) -> None:
        self._timer = None
        time.sleep(_MOMENT)
        self.go_on()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Yielding] = WeakKeyDictionary()


@contextmanager
def yielding_to_threads() -> Iterator[None]:
    """Let a thread that works for the running loop have its turns, however busy the loop is.

    Costs a busy loop about 3 % of its time while entered, and an idle one nothing it would miss. A loop that
    has a clock of its own (``penstock.testing``) is left alone: its time does not pass by waiting.
    """
    loop = asyncio.get_running_loop()
    if hasattr(loop, "clock"):
        yield
        return
    yielding = _of_loop.get(loop)
    if yielding is None:
        yielding = _of_loop[loop] = _Yielding()
    yielding.threads += 1
    yielding.go_on()
    try:
        yield
    finally:
        yielding.threads -= 1
        if not yielding.threads:
            yielding.stop()
