"""Text for a terminal: that of `penstock.text`, and commands that can be pasted into a shell."""

from __future__ import annotations

import os
import shlex

from penstock.text import clean, clean_lines, count, duration, percent, plural, put, shorten, silence, size

__all__ = [
    "clean",
    "clean_lines",
    "count",
    "duration",
    "percent",
    "plural",
    "put",
    "shell_command",
    "shell_word",
    "shorten",
    "silence",
    "size",
]


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
