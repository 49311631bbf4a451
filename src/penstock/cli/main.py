"""The command ``penstock``: reads its arguments, runs a command, ends with the right code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from penstock.cli.exits import INTERRUPTED, READER_LEFT, UNUSABLE
from penstock.cli.failures import complain
from penstock.cli.text import clean, put, silence
from penstock.errors import MissingExtra
from penstock.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_STDERR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (those of the process by default) and return the exit code.

    The one place that turns exceptions into sentences.
    """
    _open_what_is_closed()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("PENSTOCK_DEBUG"))
    try:
        return _dispatch(words)
    except KeyboardInterrupt:  # before or after the run, which handles its signals itself
        put(sys.stderr, "penstock: interrupted; what was committed is kept, give the same command again")
        return INTERRUPTED
    except BrokenPipeError:
        silence(sys.stdout)
        return READER_LEFT
    except Exception as error:  # noqa: BLE001  everything ends here as one sentence
        return complain(error, debug=debug)


def _open_what_is_closed() -> None:
    """Put the null device where a standard stream was closed (``>&-``).

    Otherwise the next file to be opened, an output or a ledger, would be the one that words are written to.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(nowhere, True)
    os.close(nowhere)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(_STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _dispatch(words: list[str]) -> int:
    try:
        from cyclopts import CycloptsError

        from penstock.cli.commands import app
    except ImportError as error:
        if error.name is not None and error.name.startswith("penstock"):
            raise
        raise MissingExtra("The command line", "cli") from error

    try:
        command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        put(sys.stderr, f"penstock: {clean(redact(str(error)))} (--help shows what there is)")
        return UNUSABLE
    asked_for_help = any(word in {"--help", "-h"} for word in words)
    if command == app.help_print and not asked_for_help:  # a bare ``penstock ingest`` has done nothing
        from rich.console import Console

        app.help_print(words, console=Console(stderr=True))
        return UNUSABLE
    result = command(*bound.args, **bound.kwargs)
    code = result if isinstance(result, int) else 0
    sys.stdout.flush()
    return code
