"""What the machine does for us: durable files, locks, threads, and reasons for refusals.

Sinks and ledgers use this package; it knows nothing about them. ``DiskStorage`` is the real disk; a test may
give a sink another ``Storage``, which loses everything that was not fsynced.
"""

from __future__ import annotations

from penstock.system.closing import close_all
from penstock.system.files import DiskStorage, Storage, StoredFile
from penstock.system.lock import FileLock, Holder, Lock, holder_of, lock_path
from penstock.system.postgres import end_with_client, postgres_parameters
from penstock.system.reasons import reason, reason_in
from penstock.system.sqlite import primary_code, sqlite_reason
from penstock.system.worker import Worker

__all__ = [
    "DiskStorage",
    "FileLock",
    "Holder",
    "Lock",
    "Storage",
    "StoredFile",
    "Worker",
    "close_all",
    "end_with_client",
    "holder_of",
    "lock_path",
    "postgres_parameters",
    "primary_code",
    "reason",
    "reason_in",
    "sqlite_reason",
]
