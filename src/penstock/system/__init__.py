"""What the machine does for us: durable files, locks, threads, and reasons for refusals.

Sinks and ledgers use this package; it knows nothing about them. ``DiskStorage`` is the real disk; a test may
give a sink another ``Storage``, which loses everything that was not fsynced.
"""

from __future__ import annotations

from penstock.system.abandoned import acquire_lock, release_abandoned
from penstock.system.closing import Ended, close_all
from penstock.system.files import DiskStorage, Storage, StoredFile
from penstock.system.lock import FileLock, Holder, Lock, holder_of, lock_path
from penstock.system.postgres import end_with_client, limit_lock_waits, lock_holder, postgres_parameters
from penstock.system.presence import Harm, Sight, Watch, copy, harm, whereabouts
from penstock.system.reasons import reason, reason_in
from penstock.system.sqlite import primary_code, save, sqlite_reason
from penstock.system.worker import Worker, began

__all__ = [
    "DiskStorage",
    "Ended",
    "FileLock",
    "Harm",
    "Holder",
    "Lock",
    "Sight",
    "Storage",
    "StoredFile",
    "Watch",
    "Worker",
    "acquire_lock",
    "began",
    "close_all",
    "copy",
    "end_with_client",
    "harm",
    "holder_of",
    "limit_lock_waits",
    "lock_holder",
    "lock_path",
    "postgres_parameters",
    "primary_code",
    "reason",
    "reason_in",
    "release_abandoned",
    "save",
    "sqlite_reason",
    "whereabouts",
]
