"""``penstock completion``: prints the completion script of a shell."""

from __future__ import annotations

import re
import sys
from typing import Literal

from penstock.cli.adapters import add_ingest_commands
from penstock.cli.commands import app, ingest
from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.options import Debug
from penstock.cli.text import put


def print_completion(
    shell: Literal["bash", "zsh", "fish"],
    /,
    *,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Print the completion script.

    Args:
        shell: The shell that you use.
    """
    add_ingest_commands(ingest, ())
    script = app.generate_completion(prog_name="penstock", shell=shell)
    put(sys.stdout, *_with_files(script, shell).splitlines())
    return ALL_COMPLETED


def _with_files(script: str, shell: str) -> str:
    """Complete files too where a command takes a word: cyclopts does it only for arguments that are paths.

    For zsh the function is also registered, so that the script can be evaluated as well as autoloaded.
    """
    if shell == "bash":
        return script.replace("complete -F ", "complete -o bashdefault -o default -F ")
    if shell == "zsh":
        return f"{_WITHOUT_ACTION.sub(_add_files, script)}\n{_REGISTERED}"
    return script  # fish does


_WITHOUT_ACTION = re.compile(r"^ *'(?:\d+|\*):.*'(?= \\$|$)", re.MULTILINE)
"""An argument of a command in a script of zsh, on a line of its own: its number and its help."""

_REGISTERED = """\
if [ "$funcstack[1]" = _penstock ]; then
  _cyclopts_penstock "$@"
else
  compdef _cyclopts_penstock penstock
fi
"""


def _add_files(found: re.Match[str]) -> str:
    line = found[0]
    has_action = line.replace("\\:", "").count(":") > 1
    return line if has_action else f"{line[:-1]}:_files'"
