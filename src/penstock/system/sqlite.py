"""Why SQLite refused, and what to do about it, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = ["primary_code", "sqlite_reason"]

_PRIMARY = 0xFF  # the low byte of SQLite's extended result codes


def primary_code(error: sqlite3.Error) -> int | None:
    """Return the primary result code; ``None`` where Python's own layer raised the error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def sqlite_reason(path: Path, error: sqlite3.Error) -> str:
    """Return why ``error`` happened to the file ``path``, as the second half of a sentence."""
    import sqlite3  # here: whoever only asks for the version, or for help, need not wait for it

    refused = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
    primary = primary_code(error)
    if primary == sqlite3.SQLITE_FULL:
        return "the disk is full; free some space and run again"
    if primary in refused:
        return f"{error}; see that the file and its folder exist and can be written"
    told = f"{error}, {getattr(error, 'sqlite_errorname', 'unnamed')}"
    return _input_output(path, told) if primary == sqlite3.SQLITE_IOERR else told


def _input_output(path: Path, told: str) -> str:
    """Explain an input/output error: SQLite says no more of a file-size limit, and of some full disks."""
    if (limit := _file_size_limit()) is not None:
        return f"{told}: this process may write files of {limit} bytes at most; raise the limit (ulimit -f)"
    import shutil

    free = shutil.disk_usage(path.parent).free
    return f"{told}: check the disk, of which {free >> 20} MB are free, then run again"


def _file_size_limit() -> int | None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit
