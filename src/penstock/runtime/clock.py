"""The clock that a run reads: the machine's, unless the event loop has its own."""

from __future__ import annotations

import asyncio
from time import perf_counter
from time import time as unix_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.abc import Clock


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    time = staticmethod(unix_time)
    monotonic = staticmethod(perf_counter)


SYSTEM_CLOCK = SystemClock()


def clock_of_the_loop() -> Clock:
    """Return ``loop.clock`` of the running loop, or the machine's clock if there is none.

    A loop with virtual time has a clock. The sizes of requests and slices depend on how long they take, so
    with virtual time they are the same in every run.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return SYSTEM_CLOCK
    clock: Clock = getattr(loop, "clock", SYSTEM_CLOCK)
    return clock
