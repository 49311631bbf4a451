"""Text for people: cleaned strings, formatted numbers, and lines on a stream."""

from __future__ import annotations

import errno
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from penstock.redact import concealed

if TYPE_CHECKING:
    from typing import TextIO

_MINUTE = 60
_HOUR = 3600
_TEN = 10
_KILO = 1000


def clean(text: str) -> str:
    r"""Return ``text`` on one line, without characters that control a terminal.

    Runs of white space become one blank. Unprintable characters (control characters, escape sequences,
    bidirectional overrides, lone surrogates) are written as ``\x1b`` and the like. Values that were
    given to ``conceal`` are hidden.
    """
    return _escaped(" ".join(concealed(text).split()))


def clean_lines(text: str) -> list[str]:
    """Return the lines of ``text``, such as a traceback, cleaned like ``clean``, with their indentation."""
    return [_escaped(line.expandtabs(4)) for line in text.splitlines()]


def _escaped(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


def put(stream: TextIO, *lines: str) -> None:
    """Write ``lines``, which must be clean, to ``stream`` and flush it.

    It is not an error if the reader went away (``| head``, a closed terminal).
    """
    try:
        stream.write("".join(f"{line}\n" for line in lines))
        stream.flush()
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise
        silence(stream)


def silence(stream: TextIO) -> None:
    """Redirect ``stream`` to the null device, for later writes and for the interpreter's last flush."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def shorten(text: str, width: int) -> str:
    """Return ``clean(text)``, cut to ``width`` characters with an ellipsis if it is longer."""
    line = clean(text)
    return line if len(line) <= width else line[: width - 1] + "…"


def count(number: float) -> str:
    """Return ``1234567`` as ``1,234,567``. A fraction is rounded; below ten it keeps one digit."""
    if number == int(number) or number >= _TEN:
        return f"{round(number):,}"
    return f"{number:.1f}"


def plural(number: int, noun: str) -> str:
    """Return ``1 commit`` or ``1,200 commits``."""
    return f"{count(number)} {noun if number == 1 else noun + 's'}"


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


def repr_of(record: Any) -> str:
    """Return the ``repr`` of a dataclass, with functions by their names: no address in memory."""
    shown = [f"{one.name}={_named(getattr(record, one.name))}" for one in fields(record) if one.repr]
    return f"{type(record).__name__}({', '.join(shown)})"


def _named(value: object) -> str:
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, tuple):
        return f"({', '.join(map(_named, value))}{',' if len(value) == 1 else ''})"
    name = getattr(value, "__name__", None) if callable(value) else None
    if name is None and type(value).__repr__ is object.__repr__:
        return type(value).__name__
    return repr(value) if name is None else str(name)


def milliseconds(seconds: float) -> str:
    """Return a measured time as ``0 s``, ``1.23 ms`` or ``4.56 s``."""
    return f"{seconds:.3g} s" if seconds >= 1 or not seconds else f"{seconds * 1000:.3g} ms"


def percent(part: int, whole: int) -> int:
    """Return ``part`` as a whole percentage of ``whole``; 100 only if nothing is missing."""
    if part >= whole:
        return 100
    return min(99, 100 * part // whole)
