"""Words for people: text that is safe on a terminal, numbers that read well, commands that can be pasted."""

from __future__ import annotations

import errno
import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

__all__ = [
    "clean",
    "clean_lines",
    "count",
    "duration",
    "percent",
    "put",
    "shell_command",
    "shell_word",
    "shorten",
    "silence",
    "size",
]

_MINUTE = 60
_HOUR = 3600
_TEN = 10
_KILO = 1000


def clean(text: str) -> str:
    r"""Return ``text`` on one line, with nothing left in it that a terminal would obey.

    Runs of white space become one blank; control characters, escape sequences, bidirectional overrides,
    lone surrogates and whatever else is not printable are written as ``\x1b`` and the like.
    """
    return _disarmed(" ".join(text.split()))


def clean_lines(text: str) -> list[str]:
    """Return the lines of ``text``, such as a traceback, each as ``clean`` leaves it, but for its blanks."""
    return [_disarmed(line.expandtabs(4)) for line in text.splitlines()]


def _disarmed(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


def put(stream: TextIO, *lines: str) -> None:
    """Write ``lines`` to ``stream``, clean as they must be already, and see that they get there now.

    A reader that went away (``| head``, a closed terminal) is no error of what is being told.
    """
    try:
        stream.write("".join(f"{line}\n" for line in lines))
        stream.flush()
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let everything still to come, and the interpreter's last flush, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def shorten(text: str, width: int) -> str:
    """Return ``clean(text)``, cut to ``width`` characters with an ellipsis where it is longer."""
    line = clean(text)
    return line if len(line) <= width else line[: width - 1] + "…"


def shell_word(word: str) -> str:
    """Quote ``word`` so that a shell reads exactly it, and so that a terminal can show it.

    Names with unprintable characters take the ``$'…'`` form (bash, zsh, ksh, POSIX 2024).
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
    """Join ``words`` into one command line that can be pasted into a shell."""
    return " ".join(map(shell_word, words))


def count(number: float) -> str:
    """Return ``1234567`` as ``1,234,567``; a fraction is rounded, below ten to one digit."""
    if number == int(number) or number >= _TEN:
        return f"{round(number):,}"
    return f"{number:.1f}"


def size(number: int) -> str:
    """Return a number of bytes as ``812 B``, ``3.4 kB``, ``61.2 MB`` (powers of 1000)."""
    if number < _KILO:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB"):
        value /= _KILO
        if value < _KILO:
            return f"{value:.1f} {unit}"
    return f"{value / _KILO:.1f} TB"


def duration(seconds: float) -> str:
    """Return a time as ``0.4 s``, ``12 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    if seconds < _TEN:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def percent(part: int, whole: int) -> int:
    """Return how many per cent ``part`` is of ``whole``; 100 only when nothing is missing."""
    if part >= whole:
        return 100
    return min(99, 100 * part // whole)
