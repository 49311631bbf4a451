"""The command ``penstock``: parses its arguments, runs a command, returns its exit code."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from penstock.cli.exits import INTERRUPTED, READER_LEFT, UNUSABLE
from penstock.cli.text import clean, put, silence
from penstock.errors import MissingExtra
from penstock.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import CycloptsError

_STDERR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (those of the process by default) and return the exit code.

    All exceptions become messages here.
    """
    _reopen_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("PENSTOCK_DEBUG"))
    try:
        return _dispatch(words)
    except KeyboardInterrupt:  # before or after the run, which handles its signals itself
        put(
            sys.stderr,
            "penstock: interrupted; what was committed is kept; repeat the command, without --restart, to "
            "continue",
        )
        return INTERRUPTED
    except BrokenPipeError:
        silence(sys.stdout)
        return READER_LEFT
    except Exception as error:  # noqa: BLE001  every error ends here
        from penstock.cli.failures import complain

        return complain(error, debug=debug)


def _reopen_closed_streams() -> None:
    """Open the null device for every standard stream that is closed (``>&-``).

    Otherwise the next file, an output or a ledger, would get the number of the stream and receive messages.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(null, True)
    os.close(null)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(_STDERR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _dispatch(words: list[str]) -> int:
    try:
        from cyclopts import CycloptsError

        from penstock.cli.commands import app, parse
    except ImportError as error:
        if error.name is not None and error.name.startswith("penstock"):
            raise
        raise MissingExtra("The command line", "cli") from error

    try:
        command, bound = parse(words)
    except CycloptsError as error:
        put(sys.stderr, f"penstock: {clean(redact(_wrong_usage(error)))} (--help shows the options)")
        return UNUSABLE
    asked_for_help = any(word in {"--help", "-h"} for word in words)
    if command == app.help_print and not asked_for_help:  # ``penstock ingest`` alone does nothing
        from rich.console import Console

        app.help_print(words, console=Console(stderr=True))
        return UNUSABLE
    if not asked_for_help and command != app.version_print:  # importing it takes longer than printing help
        import penstock.cli.failures  # noqa: F401  now: when no file can be opened, nothing can be imported
    result = command(*bound.args, **bound.kwargs)
    code = result if isinstance(result, int) else 0
    sys.stdout.flush()
    return code


def _wrong_usage(error: CycloptsError) -> str:
    """Return what is wrong with the command line. Values of settings are left out: they may be secrets."""
    from pydantic import ValidationError

    from penstock.pipeline_file.sentences import LIMITS

    if not isinstance(error.__cause__, ValidationError):
        missing = _MISSING.fullmatch(str(error).strip())
        return f"{missing[2]} is missing behind 'penstock {missing[1]}'" if missing else str(error)
    sentences = []
    for problem in error.__cause__.errors(include_input=False, include_url=False):
        option = "".join(f"--{name}" for name in problem["loc"][:1]).replace("_", "-")
        rule = LIMITS.get(problem["type"])
        limits = problem.get("ctx", {})
        sentences.append(f"{option} {rule.format(**limits)}" if rule else f"{option}: {problem['msg']}")
    return "; ".join(sentences)


_MISSING = re.compile(r'Command "([^"]*)" parameter "?([A-Z_]+)"? requires an argument\.', re.DOTALL)
