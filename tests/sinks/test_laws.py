"""Every sink keeps the laws of ``penstock.testing.sink_laws``."""

from __future__ import annotations

import pytest

from penstock.testing import sink_laws

from ..length import LONG  # noqa: TID252  tests are no installed package


@pytest.mark.parametrize("law", sink_laws.LAWS)
async def test_every_sink_keeps_every_law(kind, law):
    """Each sink keeps each law, on a new output."""
    await sink_laws.LAWS[law](kind)


@pytest.mark.parametrize("seed", range(1, 30 if LONG else 6))
async def test_any_crash_leaves_the_committed_prefix(kind, seed):
    """After a crash at any moment the sink opens at its last record with exactly the documents of that record."""
    await sink_laws.any_crash(kind, seed=seed)
