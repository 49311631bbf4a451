"""From an exception to one clear sentence and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Final

from penstock.cli.exits import DOCUMENTS_FAILED, UNUSABLE
from penstock.cli.job import UsageProblem
from penstock.cli.text import clean, clean_lines, put
from penstock.errors import DocumentError, PenstockError
from penstock.redact import redact

__all__ = ["HINT", "complain", "explain_failure"]

HINT: Final = "penstock-hint: "
"""A note of an exception that begins so is for the person at the command line."""

_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "look at its permissions",
    errno.EPERM: "look at its permissions",
    errno.ENOENT: "look at its name",
    errno.EISDIR: "name a file",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.EFBIG: "allow larger files (ulimit -f) or choose another file system",
}


def complain(error: BaseException, *, debug: bool) -> int:
    """Say on stderr what went wrong, with the traceback for ``debug``, and return the exit code."""
    if debug:
        put(sys.stderr, *clean_lines(redact("".join(traceback.format_exception(error)))))
    sentence, code = explain_failure(error)
    lines = [sentence, *hints(error)]
    put(sys.stderr, *(f"penstock: {line}" for line in lines))
    return code


def hints(error: BaseException) -> list[str]:
    """Return the notes of ``error`` that are hints, without their mark."""
    return [note.removeprefix(HINT) for note in getattr(error, "__notes__", ()) if note.startswith(HINT)]


def explain_failure(error: BaseException) -> tuple[str, int]:
    """Return what to tell people about ``error`` (clean, without the ``penstock:``), and the exit code.

    Secrets are taken out of it. A ``DocumentError`` only gets here under ``--fail-fast``, and so means that
    a document failed.
    """
    code = DOCUMENTS_FAILED if isinstance(error, DocumentError) else UNUSABLE
    return clean(redact(_in_words(error))), code


def _in_words(error: BaseException) -> str:
    if isinstance(error, DocumentError):
        return f"a document failed, and --fail-fast was asked for: {error}"
    if isinstance(error, (PenstockError, UsageProblem)):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _of_the_system(error)
    if isinstance(error, MemoryError):
        return "out of memory; nothing that was committed is lost"
    kind = type(error).__name__
    return f"this should not have happened ({kind}: {error}); --debug shows where, please report it"


def _of_the_system(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    what = (error.strerror or str(error)).lower()
    advice = _ADVICE.get(error.errno or 0, "put that right")
    return f"{where}{what}; {advice} and give the same command again, nothing that was committed is lost"
