"""Peak memory of a process whose memory is known."""

from __future__ import annotations

import subprocess
import sys

from penstock.cli.resources import peak_memory

GROW = """
from penstock.cli.resources import peak_memory
before = peak_memory().own
block = bytearray(100_000_000)
block[::4096] = b"x" * len(block[::4096])
del block
print(before, peak_memory().own)
"""


def test_the_peak_remembers_what_is_gone() -> None:
    """100 MB that were used and freed are in the peak; a process starts with far less than 1 GB."""
    done = subprocess.run(
        [sys.executable, "-c", GROW], capture_output=True, text=True, check=True, timeout=60
    )
    before, after = map(int, done.stdout.split())
    assert 1_000_000 < before < 1_000_000_000
    assert 95_000_000 < after - before < 130_000_000


def test_the_largest_child_is_known() -> None:
    """The peak of a child process that has ended is counted."""
    subprocess.run([sys.executable, "-c", GROW], capture_output=True, check=True, timeout=60)
    worker = peak_memory().worker
    assert worker is not None
    assert worker > 100_000_000


SPARED = """
import gc
from penstock.cli.resources import spare_the_collector
spare_the_collector()
print(gc.isenabled(), gc.get_freeze_count() > 1000, gc.get_threshold()[0] > 700)
"""


def test_the_collector_is_spared_and_stays_on() -> None:
    """Imported modules are not collected and collections are rare, but cycles are still found."""
    done = subprocess.run([sys.executable, "-c", SPARED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3
