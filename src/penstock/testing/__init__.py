"""The testkit: virtual time, seeded schedules, scripted sources, leak checks, and the laws as checks.

It is what Penstock's own tests use, and works on flows, operators and adapters of anyone.
"""

from __future__ import annotations

from penstock.testing import laws
from penstock.testing.exploring import Explored, RaceFound, explore, replay
from penstock.testing.laws.subject import LawViolation, Subject
from penstock.testing.leaks import Leak, no_leaks
from penstock.testing.ledgers import RecordingLedger
from penstock.testing.script import Forever, Planted, Poison, Raise, Sleep, Wait
from penstock.testing.seeded import Endless, SeededLoop
from penstock.testing.sources import SourceCounts, TestSource
from penstock.testing.time import Deadlock, VirtualClock, VirtualTimeLoop, run

__all__ = [
    "Deadlock",
    "Endless",
    "Explored",
    "Forever",
    "LawViolation",
    "Leak",
    "Planted",
    "Poison",
    "RaceFound",
    "Raise",
    "RecordingLedger",
    "SeededLoop",
    "Sleep",
    "SourceCounts",
    "Subject",
    "TestSource",
    "VirtualClock",
    "VirtualTimeLoop",
    "Wait",
    "explore",
    "laws",
    "no_leaks",
    "replay",
    "run",
]
