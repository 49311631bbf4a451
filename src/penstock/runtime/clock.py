"""Which clock a run reads: the machine's, unless its event loop brings one of its own."""

from __future__ import annotations

import asyncio
from time import perf_counter
from time import time as unix_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.abc import Clock


__all__ = ["SYSTEM_CLOCK", "SystemClock", "clock_of_the_loop"]


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    time = staticmethod(unix_time)
    monotonic = staticmethod(perf_counter)


SYSTEM_CLOCK = SystemClock()


def clock_of_the_loop() -> Clock:
    """Return the clock that the running loop brings as ``loop.clock``, or the machine's.

    A loop with virtual time brings one, so that there also the size of requests and slices, which is
    chosen by the time they take, is the same in every run.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return SYSTEM_CLOCK
    clock: Clock = getattr(loop, "clock", SYSTEM_CLOCK)
    return clock
