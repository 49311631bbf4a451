"""What SIGINT (Ctrl-C) and SIGTERM do.

The first signal asks the run to drain, for which it has some time. The second cancels the run and ends the
process after two seconds, in which it can close its files. The third ends the process at once. A hard end is
safe: committed documents stay, and the next run continues from there.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from penstock.cli.exits import INTERRUPTED
from penstock.system.threads import starting_a_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Self

CLOSING: Final = 2.0
"""Seconds between the second signal and the end of the process."""

_STOPPED = (
    b"penstock: stopped at once; what was committed is kept; repeat the command, without --restart, to "
    b"continue\n"
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECOND = 2


class Interrupts:
    """Handles the signals inside a ``with`` block; ``count`` is how many came.

    Args:
        first: Called at the first signal, in another thread: it may only schedule something.
        second: Called at the second signal, likewise.
        patience: Seconds between the first signal and the end of the process; ``None`` means no end.

    The interpreter writes the number of each signal into a pipe, in any thread, and a thread of ours reads
    it. A Python signal handler would wait for the main thread, which may be stuck in a write.
    """

    def __init__(
        self, first: Callable[[], object], second: Callable[[], object], *, patience: float | None = None
    ) -> None:
        self.count = 0
        self._patience = patience
        self._first = first
        self._second = second
        self._write = -1
        self._previous: list[signal._HANDLER] = []
        self._previous_pipe = -1

    def __enter__(self) -> Self:
        read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        watcher = threading.Thread(target=self._watch, args=(read,), name="penstock-signals", daemon=True)
        try:
            with starting_a_thread():
                watcher.start()
        except BaseException:
            os.close(read)
            os.close(self._write)
            raise
        self._previous_pipe = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._previous = [signal.signal(number, _do_nothing) for number in _SIGNALS]
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in zip(_SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_pipe)
        os.close(self._write)  # the thread reads the end of the pipe, closes the other side and ends

    def _watch(self, pipe: int) -> None:
        """Handle signals until the pipe ends."""
        closing, patience = _timer(CLOSING), _timer(self._patience or 0.0)
        while number := os.read(pipe, 1):
            if number[0] not in _SIGNALS:
                continue
            self.count += 1
            if self.count == 1:
                if self._patience is not None:
                    _start(patience)
                self._first()
            elif self.count == _SECOND:
                _start(closing)
                self._second()
            else:
                end_now()
        closing.cancel()
        patience.cancel()
        os.close(pipe)


def _timer(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, end_now)
    timer.daemon = True
    return timer


def _start(timer: threading.Timer) -> None:
    """Start the timer; without a thread for it, only a further signal ends the process."""
    with suppress(RuntimeError):
        timer.start()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Replace the default handler; the thread handles the signal."""


def end_now() -> None:
    """End this process and its workers at once. Restores the cursor of the terminal."""
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        for worker in active_children():
            worker.kill()
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\r\x1b[K\x1b[?25h")  # wipe the bar, show the cursor again
    os.write(2, _STOPPED)
    os._exit(INTERRUPTED)
