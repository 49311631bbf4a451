"""Every source and operator, as subjects of the laws; one module per family."""

from __future__ import annotations

from . import (
    entries_combine,
    entries_compositions,
    entries_concurrency,
    entries_elements,
    entries_failure,
    entries_fanout,
    entries_one_by_one,
    entries_resume,
    entries_shape,
    entries_sources,
    entries_timing,
)
from .entry import Entry

FAMILIES = (
    entries_sources,
    entries_elements,
    entries_shape,
    entries_combine,
    entries_concurrency,
    entries_one_by_one,
    entries_failure,
    entries_fanout,
    entries_resume,
    entries_timing,
    entries_compositions,
)

ENTRIES: list[Entry] = [entry for family in FAMILIES for entry in family.ENTRIES]

__all__ = ["ENTRIES", "Entry"]
