"""The command ``penstock``: a module of its own, so that Ctrl-C while Penstock is imported has an answer.

Importing ``penstock`` takes most of the time until a command begins. If the command line asks for processes,
the one that forks them starts before that, and imports what they need meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Sequence
    from typing import BinaryIO

    Started = tuple[str, subprocess.Popen[bytes], socket.socket, BinaryIO]

_BOOT = f"{os.path.dirname(__file__)}/penstock/adapters/parsing/boot.py"  # noqa: PTH120  pathlib takes longer
_USUAL = {"pubmed": ("penstock.adapters.pubmed.source", "penstock.sinks.files.lines")}
"""By the adapter: modules that its workers nearly always need."""


def main() -> int:
    """Run the command line of this process, and return the exit code."""
    try:
        started = start_early(sys.argv[1:])
        from penstock.cli.main import main as run

        if started is not None:
            offer(*started)
    except KeyboardInterrupt:
        sys.stderr.write("penstock: interrupted before it began; nothing was changed\n")
        return 130
    except MemoryError:
        sys.stderr.write("penstock: there is not enough memory to begin; close other programs\n")
        return 2
    return run()


def start_early(words: Sequence[str]) -> Started | None:
    """Start the process that forks workers, if ``words`` ask for some. ``None``: it was not started.

    It ends with this process, at the latest.
    """
    if sys.platform != "linux" or words[:1] != ["ingest"] or not asks_for_processes(words):
        return None
    import socket
    import subprocess

    program = f"import runpy; runpy.run_path({_BOOT!r})['fork']()"
    code = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {program}"
    modules = _USUAL.get(words[1], ())
    try:
        log = os.fdopen(os.memfd_create("log"), "w+b")
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own program
                (sys.executable, "-c", code, json.dumps(sys.path), *modules),
                bufsize=0,
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
    except OSError:
        return None
    return program, process, ours, log


def asks_for_processes(words: Sequence[str]) -> bool:
    """Return whether the command line asks for more than one process."""
    for at, word in enumerate(words):
        name, _, number = word.partition("=")
        if name == "--processes":
            number = number or "".join(words[at + 1 : at + 2])
            return number.isdecimal() and int(number) > 1
    return False


def offer(program: str, process: subprocess.Popen[bytes], control: socket.socket, log: BinaryIO) -> None:
    """Let the first run of this process take the one that forks workers."""
    from penstock.system.forks import Early, offered

    offered[program] = Early(process, control, log)
