"""Keep a busy event loop from starving the threads that work for it.

A thread gets the interpreter lock (GIL) when its holder releases it, or has kept it for a switch interval of
5 ms. A loop that is busy in short steps releases the GIL between steps, while it polls. That is too short for
a waiting thread to wake up, and each release restarts the 5 ms. One system call in a thread then takes
seconds, even on an idle machine: connecting to a database timed out, and 3,000 documents were not in SQLite
after 300 s. So while a thread works for the loop, the loop sleeps for a moment in every switch interval.
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

_MOMENT = 5e-5  # seconds; systems make it 100 to 150 µs, in which a waiting thread wakes up


class _Pauses:
    """Pauses one loop for a moment in every switch interval while ``threads`` work for it."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self.threads = 0

    def start(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()  # not stored: it must be free to be collected
            self._timer = loop.call_later(sys.getswitchinterval(), self._pause)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause(self) -> None:
        self._timer = None
        time.sleep(_MOMENT)
        self.start()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pauses] = WeakKeyDictionary()


@contextmanager
def yielding_to_threads() -> Iterator[None]:
    """Give a thread that works for the running loop its turns, however busy the loop is.

    While this is entered, a busy loop loses about 3 % of its time. Loops with virtual time
    (``penstock.testing``) are not paused, because their time does not pass by waiting.
    """
    loop = asyncio.get_running_loop()
    if hasattr(loop, "clock"):
        yield
        return
    pauses = _of_loop.get(loop)
    if pauses is None:
        pauses = _of_loop[loop] = _Pauses()
    pauses.threads += 1
    pauses.start()
    try:
        yield
    finally:
        pauses.threads -= 1
        if not pauses.threads:
            pauses.stop()
