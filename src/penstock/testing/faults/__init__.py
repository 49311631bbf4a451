"""The fault kit: tests whether a crash, a failing call or a full disk loses anything.

Penstock's own tests use it. It works on any sink, ledger, storage and command:

* ``kill_and_compare`` kills a command at random instants, and starts it again until it ends by itself.
* ``FragileDisk`` is a disk whose power can be cut: data that was not fsynced may be lost or damaged.
* ``FaultyStorage``, ``FaultySink`` and ``FaultyLedger`` fail, or die, at the call that ``Faults`` names.
* ``damage_and_read`` flips bits in files, and truncates them.
* ``limited`` limits the size of files, and ``SmallDisk`` is a small file system.
* ``CuttingProxy`` passes connections on to a database, and cuts them.
* ``cancel_everywhere`` cancels a coroutine at each ``await``.
"""

from __future__ import annotations

from penstock.testing.faults.cancelling import cancel_everywhere
from penstock.testing.faults.damage import Damages, DamageUnnoticed, damage_and_read, damaged
from penstock.testing.faults.disk import FragileDisk
from penstock.testing.faults.failing import FaultyLedger, FaultySink, FaultyStorage
from penstock.testing.faults.full import SmallDisk, limited
from penstock.testing.faults.killing import Different, Ended, Kills, kill_and_compare, kill_at
from penstock.testing.faults.plan import Faults, Killed
from penstock.testing.faults.proxy import CuttingProxy

__all__ = [
    "CuttingProxy",
    "DamageUnnoticed",
    "Damages",
    "Different",
    "Ended",
    "Faults",
    "FaultyLedger",
    "FaultySink",
    "FaultyStorage",
    "FragileDisk",
    "Killed",
    "Kills",
    "SmallDisk",
    "cancel_everywhere",
    "damage_and_read",
    "damaged",
    "kill_and_compare",
    "kill_at",
    "limited",
]
