"""Text for a terminal: that of `penstock.text`, and commands that can be pasted into a shell."""

from __future__ import annotations

import os
import shlex
import shutil
import textwrap
from typing import TYPE_CHECKING

from penstock.text import clean, clean_lines, count, duration, percent, plural, put, shorten, silence, size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

__all__ = [
    "clean",
    "clean_lines",
    "count",
    "duration",
    "folded",
    "percent",
    "plural",
    "put",
    "shell_command",
    "shell_word",
    "shorten",
    "silence",
    "size",
]


def folded(stream: TextIO, lines: Iterable[str], *, hang: int) -> list[str]:
    """Break lines of words where the terminal ends, between words. For other streams they stay whole.

    Commands are not for it: a line that was broken here cannot be copied as one.

    Args:
        stream: Where the lines go.
        lines: Clean lines.
        hang: How much further than its first line the others of a line are indented.
    """
    if not stream.isatty():
        return [*lines]
    width = max(20, shutil.get_terminal_size().columns)
    found: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + hang)
        found += textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return found


def shell_word(word: str) -> str:
    """Quote ``word`` for a shell, in printable characters only.

    A word with unprintable characters takes the ``$'…'`` form (bash, zsh, ksh, POSIX 2024).
    """
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_ansi_c, word)) + "'"


def _ansi_c(char: str) -> str:
    if char in "\\'":
        return "\\" + char
    if char.isprintable():
        return char
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(char))


def shell_command(words: list[str]) -> str:
    """Join ``words`` into one command line, quoted for a shell."""
    return " ".join(map(shell_word, words))
