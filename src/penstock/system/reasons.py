"""Explain errors of the operating system: what went wrong, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from penstock.system.folders import FolderNotMade

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "your disk quota is used up; free some space and run again",
    errno.EFBIG: "the file would exceed the file-size limit; raise it (ulimit -f) and run again",
    errno.EROFS: "the file system is read-only; choose a place that can be written",
    errno.EACCES: "permission denied; change its permissions, or choose another place",
    errno.EPERM: "the system does not permit it; change its permissions, or choose another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOTDIR: "a part of its path is a file, not a folder; correct the path",
    errno.ENOENT: "a file or folder of its path does not exist; check the path",
    errno.EINVAL: "it is not a regular file, so it could not be rolled back; name a regular file",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.ELOOP: "its symbolic links lead in a circle; name the file itself",
    errno.EMFILE: "this process has too many files open; raise the limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open; try again later",
    errno.EIO: "the disk reports an input/output error; check it, then run again",
    errno.ENOLCK: "its file system has no locks; put it on a local disk",
    errno.EOPNOTSUPP: "its file system does not support this; put it on a local disk",
}


def reason(error: OSError) -> str:
    """Return the cause of ``error`` and what to do, as the end of a sentence, without a full stop."""
    if isinstance(error, FolderNotMade):
        why = (error.strerror or "unknown reason").lower()
        return f"its folder {error.filename} cannot be made ({why}); make it, or choose another place"
    if error.errno == errno.ENOENT and error.filename:
        path = Path(os.fsdecode(error.filename))
        if path.is_symlink():
            return "it is a link to a file that is gone; correct it"
        if path.parent.is_dir():
            return "it does not exist; check its name"
        return "its folder does not exist; create it, or correct the path"
    if error.errno in _REASONS:
        return _REASONS[error.errno]
    return (error.strerror or str(error) or type(error).__name__).lower()


def reason_in(message: str) -> str | None:
    """Return the reason if another library's ``message`` quotes an error of the system, else ``None``."""
    for code, words in _REASONS.items():
        if os.strerror(code).lower() in message.lower():
            return words
    return None
