"""Real time."""

from __future__ import annotations

from time import perf_counter
from time import time as unix_time

__all__ = ["SYSTEM_CLOCK", "SystemClock"]


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    time = staticmethod(unix_time)
    monotonic = staticmethod(perf_counter)


SYSTEM_CLOCK = SystemClock()
