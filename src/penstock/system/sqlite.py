"""Explain errors of SQLite: what went wrong, and what to do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_PRIMARY = 0xFF  # the low byte of SQLite's extended result codes


def primary_code(error: sqlite3.Error) -> int | None:
    """Return the primary result code; ``None`` if Python's ``sqlite3`` module itself raised the error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def sqlite_reason(path: Path, error: sqlite3.Error) -> str:
    """Return the cause of ``error`` for the file ``path``, as the end of a sentence."""
    import sqlite3  # imported late, so that ``penstock --help`` starts faster

    refused = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
    primary = primary_code(error)
    if primary == sqlite3.SQLITE_FULL:
        return "the disk is full; free some space and run again"
    if primary in refused:
        return f"{error}; check that the file and its folder exist and can be written"
    message = f"{error}, {getattr(error, 'sqlite_errorname', 'unnamed')}"
    return _input_output(path, message) if primary == sqlite3.SQLITE_IOERR else message


def save(db: sqlite3.Connection, path: Path) -> None:
    """Write what ``db`` holds into the new database ``path``, durably, or not at all."""
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect(path)) as kept:
            db.backup(kept)
    except sqlite3.Error:
        path.unlink(missing_ok=True)
        raise


def _input_output(path: Path, message: str) -> str:
    """Explain an input/output error, which SQLite also raises at a file-size limit and on some full disks."""
    if (limit := _file_size_limit()) is not None:
        return (
            f"{message}: this process may write files of {limit} bytes at most; raise the limit (ulimit -f)"
        )
    import shutil

    free = shutil.disk_usage(path.parent).free
    return f"{message}: check the disk ({free >> 20} MB are free), then run again"


def _file_size_limit() -> int | None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit
