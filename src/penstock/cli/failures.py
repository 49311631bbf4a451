"""From an exception to one sentence and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Final

from penstock.cli.exits import DOCUMENTS_FAILED, UNUSABLE
from penstock.cli.job import UsageProblem
from penstock.cli.text import clean, clean_lines, plural, put
from penstock.errors import DocumentError, PenstockError
from penstock.ingest.restart import NOT_BEGUN
from penstock.pipeline_file import PipelineFileError
from penstock.redact import redact

HINT: Final = "penstock-hint: "
"""A note of an exception that begins with this is printed after the error."""

_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EROFS: "choose another place",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.ENOENT: "check its name",
    errno.EISDIR: "name a file",
    errno.EEXIST: "choose another name",
    errno.ENOTDIR: "choose another folder",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.EFBIG: "allow larger files (ulimit -f) or choose another file system",
}


def complain(error: BaseException, *, debug: bool) -> int:
    """Print the error on stderr, after its traceback if ``debug``, and return the exit code."""
    if debug:
        put(sys.stderr, *clean_lines(redact("".join(traceback.format_exception(error)))))
    if isinstance(error, PipelineFileError):  # a line for each mistake, as compilers print them
        put(sys.stderr, *(clean(redact(str(mistake))) for mistake in error.mistakes))
        number = len(error.mistakes)
        put(sys.stderr, f"penstock: {plural(number, 'mistake')}; nothing was run")
        return UNUSABLE
    sentence, code = explain_failure(error)
    notes = getattr(error, "__notes__", ())
    hints = [note.removeprefix(HINT) for note in notes if note.startswith(HINT)]
    hints += [note.removeprefix("penstock: ") for note in notes if note == NOT_BEGUN]
    put(sys.stderr, *(f"penstock: {line}" for line in (sentence, *hints)))
    return code


def explain_failure(error: BaseException) -> tuple[str, int]:
    """Return the error as a sentence without secrets and control characters, and the exit code.

    A ``DocumentError`` gets here only with ``--fail-fast``: it means that a document failed.
    """
    code = DOCUMENTS_FAILED if isinstance(error, DocumentError) else UNUSABLE
    return clean(redact(_sentence(error))), code


def _sentence(error: BaseException) -> str:
    if isinstance(error, DocumentError):
        return f"a document failed, and --fail-fast was given: {error}"
    if isinstance(error, (PenstockError, UsageProblem)):
        text = str(error)
        return f"--where {text.removeprefix('where=')}" if text.startswith("where=") else text
    if isinstance(error, OSError) and error.errno is not None:
        return _system_error(error)
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "no thread can be started: raise the limit of threads or memory (ulimit -u, ulimit -v)"
    if isinstance(error, MemoryError):
        return "out of memory; nothing that was committed is lost"
    kind = type(error).__name__
    return f"unexpected error ({kind}: {error}); please report it with the traceback that --debug shows"


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename is not None else ""
    what = (error.strerror or str(error)).lower()
    advice = _ADVICE.get(error.errno or 0, "remove the cause")
    return f"{where}{what}; {advice} and repeat the command, nothing that was committed is lost"
