"""Real time."""

from __future__ import annotations

from time import perf_counter
from time import time as unix_time

__all__ = ["SYSTEM_CLOCK", "SystemClock"]


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    def time(self) -> float:
        """Return Unix time in seconds."""
        return unix_time()

    def monotonic(self) -> float:
        """Return seconds since some fixed moment."""
        return perf_counter()


SYSTEM_CLOCK = SystemClock()
