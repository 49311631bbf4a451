"""Ctrl-C, once and twice.

The first SIGINT or SIGTERM asks the run to end well, for which it has some time. The second gives it two
seconds to close its files and ends the process; the third ends it at once. Ending it hard is safe: what was
committed stays, and the next run goes on from there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

from penstock.cli.exits import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

__all__ = ["Interrupts"]

GRACE: Final = 2.0
"""Seconds between the second signal and the end, whatever the run is doing."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECOND = 2


class Interrupts:
    """Handles the signals between ``with`` and its end; ``count`` says how many came.

    Args:
        first: Called at the first signal, from a thread: it may only schedule something.
        second: Called at the second, likewise.
        patience: Seconds between the first signal and the end, whatever the run is doing; ``None`` is
            without an end.

    The interpreter writes the number of each signal into a pipe in whichever thread the kernel chose, and
    a thread of ours reads it there. A handler would have to wait for the main thread, which is not even
    interrupted if it is stuck in a write and the signal went to another thread.
    """

    def __init__(
        self, first: Callable[[], object], second: Callable[[], object], *, patience: float | None = None
    ) -> None:
        self.count = 0
        self._patience = patience
        self._first = first
        self._second = second
        self._read, self._write = -1, -1
        self._previous: list[signal._HANDLER] = []
        self._previous_pipe = -1

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        threading.Thread(target=self._watch, args=(self._read,), name="penstock-signals", daemon=True).start()
        self._previous_pipe = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._previous = [signal.signal(number, _handled_elsewhere) for number in _SIGNALS]
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in zip(_SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_pipe)
        os.close(self._write)  # the thread reads the end of the pipe, closes its side and is gone

    def _watch(self, pipe: int) -> None:
        """Act on signals until the pipe ends."""
        grace, patience = _timer(GRACE), _timer(self._patience or 0.0)
        while number := os.read(pipe, 1):
            if number[0] not in _SIGNALS:
                continue
            self.count += 1
            if self.count == 1:
                if self._patience is not None:
                    patience.start()
                self._first()
            elif self.count == _SECOND:
                grace.start()
                self._second()
            else:
                end_now()
        grace.cancel()
        patience.cancel()
        os.close(pipe)


def _timer(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, end_now)
    timer.daemon = True
    return timer


def _handled_elsewhere(_number: int, _frame: FrameType | None) -> None:
    """Keep the interpreter's own reaction away."""


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
