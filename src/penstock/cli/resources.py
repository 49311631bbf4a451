"""What the run cost this machine."""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Peak", "peak_memory", "spare_the_collector"]

_KIB = 1024
_COLLECT_AFTER = 20_000
"""New objects between two looks of the collector; they come to a few megabytes."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that was resident at any one time, in bytes; ``None`` where nobody knows.

    ``worker`` is that of the largest child process that has ended.
    """

    own: int | None
    worker: int | None = None


def peak_memory() -> Peak:
    """Ask the system for the peak so far of this process and of its children."""
    try:
        import resource
    except ImportError:  # Windows
        return Peak(None)
    unit = 1 if sys.platform == "darwin" else _KIB  # getrusage(2): bytes there, KiB elsewhere
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return Peak(_high_water() or own, worker or None)


def spare_the_collector() -> None:
    """Let the garbage collector pass over what was imported, and look at what a run makes less often.

    Documents are trees of dicts and lists that die by themselves, and hundreds are alive at once: with the
    usual settings a sixth of the time of a run goes into looking for cycles among them and all modules. For a
    process that does nothing but one run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)


def _high_water() -> int | None:
    """Return Linux's VmHWM.

    ``ru_maxrss`` survives ``exec`` there: started by a large program, a small one would report the large
    one's memory as its own.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return None
