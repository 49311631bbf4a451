"""The testkit: virtual time, seeded schedules, scripted sources, marbles, probes, leak checks and laws.

Penstock's own tests use it, and it works on any flow, operator, adapter, sink and ledger.
"""

from __future__ import annotations

from penstock.testing import faults, laws, ledger_laws, sink_laws
from penstock.testing.exploring import Explored, RaceFound, explore, replay
from penstock.testing.laws.mistakes import SubjectError
from penstock.testing.laws.subject import LawViolation, Subject
from penstock.testing.leaks import Leak, no_leaks
from penstock.testing.ledgers import RecordingLedger
from penstock.testing.marble import MarbleMismatch, expect, marbles
from penstock.testing.probe import Probe, ProbeFailure
from penstock.testing.script import Burst, Cling, End, Forever, Planted, Poison, Raise, Sleep, Until, Wait
from penstock.testing.seeded import Endless, SeededLoop
from penstock.testing.sources import SourceCounts, TestSource
from penstock.testing.time import Deadlock, VirtualClock, VirtualTimeLoop, run

__all__ = [
    "Burst",
    "Cling",
    "Deadlock",
    "End",
    "Endless",
    "Explored",
    "Forever",
    "LawViolation",
    "Leak",
    "MarbleMismatch",
    "Planted",
    "Poison",
    "Probe",
    "ProbeFailure",
    "RaceFound",
    "Raise",
    "RecordingLedger",
    "SeededLoop",
    "Sleep",
    "SourceCounts",
    "Subject",
    "SubjectError",
    "TestSource",
    "Until",
    "VirtualClock",
    "VirtualTimeLoop",
    "Wait",
    "expect",
    "explore",
    "faults",
    "laws",
    "ledger_laws",
    "marbles",
    "no_leaks",
    "replay",
    "run",
    "sink_laws",
]
