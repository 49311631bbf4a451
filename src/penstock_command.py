"""The command ``penstock``: a module of its own, so that Ctrl-C while Penstock is imported has an answer.

Importing ``penstock`` takes most of the time until a command begins.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process, and return the exit code."""
    try:
        from penstock.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write("penstock: interrupted before it began; nothing was changed\n")
        return 130
    except MemoryError:
        sys.stderr.write("penstock: there is not enough memory to begin; close other programs\n")
        return 2
    return run()
