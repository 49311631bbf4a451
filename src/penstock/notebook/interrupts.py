"""What a notebook shows when its kernel was interrupted: a sentence, not a traceback through the library."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_HOOK = "_render_traceback_"
"""IPython calls this method of an exception, if there is one, for the lines that it shows."""


def say_where(error: BaseException, words: Callable[[], str]) -> None:
    """Let IPython show ``words()``, asked when it shows the error, for this interrupt; elsewhere do nothing.

    The error itself, its type and its traceback stay as they are. The last call for an error decides.
    """
    if "IPython" in sys.modules:
        setattr(error, _HOOK, lambda: [words()])


def pass_on(inner: BaseException, outer: BaseException) -> None:
    """Let IPython show for ``outer`` what it would show for ``inner``, which ``outer`` replaces."""
    if (hook := getattr(inner, _HOOK, None)) is not None:
        setattr(outer, _HOOK, hook)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt of a Jupyter kernel reach code that blocks the loop of the kernel.

    In a cell with ``await``, ipykernel makes a callback of the interrupt, and that loop calls it too late.
    """
    previous = signal.getsignal(signal.SIGINT)
    usual = previous is signal.default_int_handler or not callable(previous)
    if usual or "ipykernel" not in sys.modules or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
