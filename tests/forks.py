"""Run scripts of tests in processes that need not import the library: they are forked from one that has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .cli.conftest import PATIENCE, Penstock, environment


def start(*command: str | Path, text: bool = False) -> Any:
    """Start a script, or ``-c`` and code, with a pipe for each standard stream; return it as ``Popen`` does."""
    words = [os.fspath(word) for word in command]
    running = Penstock.server().start(words, Path.cwd(), environment(), stdin=True)
    return running.in_text() if text else running


def finish(*command: str | Path, folder: str = "") -> Any:
    """Run a script, or ``-c`` and code, to its end in ``folder``; return what ``subprocess.run`` does."""
    words = [os.fspath(word) for word in command]
    return Penstock.server().run(words, Path(folder).absolute(), environment(), PATIENCE)
