"""The fault kit: kill, cut, fail, fill, damage, cancel, and see whether anything was lost.

Penstock's own tests use it, and it works on sinks, ledgers, storages and commands of anyone:

* ``kill_and_compare`` kills a command at random instants and starts it again until it has come to its end.
* ``FragileDisk`` is a disk with a power switch: what was not fsynced may be lost, zeroed or out of order.
* ``FaultyStorage``, ``FaultySink`` and ``FaultyLedger`` fail, or die, at the call that ``Faults`` names.
* ``damage_and_read`` flips bits in files and cuts them off.
* ``limited`` and ``SmallDisk`` make a file-size limit and a disk that is soon full.
* ``CuttingProxy`` stands before a database and cuts its connections.
* ``cancel_everywhere`` cancels a coroutine at each place where it waits.
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
