"""Peak memory, and the garbage collector's settings for a run."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024
_COLLECT_AFTER = 20_000
"""New objects between two collections: a few megabytes."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The most resident memory at any one time, in bytes; ``None`` where the system does not tell.

    ``worker`` is the peak of the largest child process that has ended.
    """

    own: int | None
    worker: int | None = None


def peak_memory() -> Peak:
    """Return the peak so far of this process and of its children."""
    try:
        import resource
    except ImportError:  # Windows
        return Peak(None)
    unit = 1 if sys.platform == "darwin" else _KIB  # getrusage(2): bytes on macOS, KiB elsewhere
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return Peak(_high_water() or own, worker or None)


def spare_the_collector() -> None:
    """Exclude imported modules from garbage collection, and collect less often.

    For a process that does one run. Documents are trees of dicts and lists without cycles, and hundreds are
    alive at once. With the default settings a sixth of a run's time goes into looking for cycles in them
    and in all modules.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _high_water() -> int | None:
    """Return Linux's VmHWM.

    ``ru_maxrss`` survives ``exec`` on Linux: a small program that a large one started would report the
    memory of the large one.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return None
