"""Release what runs hold that nobody can end any more, so that the next run of this process can begin.

The loop of a run may be closed in mid-run, and a generator of events may be dropped. What such a run holds is
released when its objects are collected. A run that finds a lock taken by its own process asks for that.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from penstock.system.worker import working

if TYPE_CHECKING:
    from penstock.system.lock import Holder, Lock

CLOSING_SECONDS = 1.0
"""How long a run waits for another one of this process, which may be about to close."""
_LOOK_SECONDS = 0.01


def release_abandoned() -> None:
    """Release what is held by runs that were dropped, or whose event loop is closed.

    A dropped run closes in its event loop, so this may take effect later. Blocks: call it in a thread.
    """
    gc.collect()
    for worker in list(working):
        worker.release_if_abandoned()


def acquire_lock(lock: Lock) -> Holder | None:
    """Take ``lock`` and return ``None``, or return its other holder.

    If the holder is this process, first release what its runs have abandoned, and wait for a second: the
    holder may be closing. Blocks: call it in a thread.
    """
    holder = lock.acquire()
    if holder is None or not holder.is_this_process:
        return holder
    release_abandoned()
    until = time.monotonic() + CLOSING_SECONDS
    while (holder := lock.acquire()) is not None and holder.is_this_process and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return holder
