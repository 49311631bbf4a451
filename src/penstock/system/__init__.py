"""Files that must survive: the one seam through which everything durable is written.

Sinks and ledgers stand on this and nothing here knows of them. ``DiskStorage`` is the real disk; a test
may give a sink another ``Storage`` that forgets whatever was not fsynced.
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
