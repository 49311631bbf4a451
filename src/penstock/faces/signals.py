"""Ctrl-C, once and twice.

The first SIGINT or SIGTERM asks the run to end well. The second gives it two seconds to close its files
and ends the process; the third ends it at once. Ending it hard is safe: what was committed stays, and the
next run goes on from there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from penstock.faces.exits import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

__all__ = ["Interrupts"]

GRACE: Final = 2.0
"""Seconds between the second signal and the end, whatever the run is doing."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECOND = 2
_THIRD = 3


class Interrupts:
    """Handles the signals between ``with`` and its end; ``count`` says how many came.

    Args:
        first: Called at the first signal, from its handler: it may only schedule something.
        second: Called at the second, likewise.

    A thread waits for the second signal as well, because the event loop may be stuck in somebody's code:
    it ends the process when the grace is over. The handler only writes a byte to it, which is all that is
    safe to do there.
    """

    def __init__(self, first: Callable[[], object], second: Callable[[], object]) -> None:
        self.count = 0
        self._first = first
        self._second = second
        self._read, self._write = -1, -1
        self._previous: list[signal._HANDLER] = []

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        threading.Thread(target=_watch, args=(self._read,), name="penstock-signals", daemon=True).start()
        self._previous = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        os.write(self._write, b"!")
        if self.count == 1:
            self._first()
        elif self.count == _SECOND:
            self._second()

    def __exit__(self, *exc: object) -> None:
        for number, handler in zip(_SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)
        os.close(self._write)  # the thread reads the end of the pipe, closes its side and is gone


def _watch(pipe: int) -> None:
    """Count signals: the second starts the grace, the third ends the process; end with the pipe."""
    grace = threading.Timer(GRACE, end_now)
    grace.daemon = True
    seen = 0
    while os.read(pipe, 1):
        seen += 1
        if seen == _SECOND:
            grace.start()
        elif seen >= _THIRD:
            end_now()
    grace.cancel()
    os.close(pipe)


def end_now() -> None:
    """End this process and its workers without further ado, leaving the terminal usable."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for worker in active_children():
            worker.kill()
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\r\x1b[K\x1b[?25h")  # wipe the bar, show the cursor again
    os.write(
        2, b"penstock: stopped at once; what was committed is kept, the same command goes on from there\n"
    )
    os._exit(INTERRUPTED)
