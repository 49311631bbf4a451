"""The lines of the keys of a TOML text, which ``tomllib`` does not keep.

The text must be valid TOML: ``tomllib`` has read it before. So this looks only at what moves a key: headers,
dots, brackets, commas and quotes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of tables, and indexes of arrays."""

_TOKEN = re.compile(
    r"(?P<blank>[ \t\r]+|#[^\n]*)|(?P<end>\n)|(?P<mark>[\[\]{}=,.])"
    r'|(?P<quoted>"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})'
    r'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\')'
    r"|(?P<bare>[^\s\[\]{}=,.#\"']+)",
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line, from 1, of every key and array item of a valid TOML text.

    A table that only dotted keys or headers of its children name has the line of the first of these.
    """
    return _Scan(text).lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a path, or that of the nearest table around it; ``None`` for the whole file."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


class _Scan:
    """One walk over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens = _tokens(text)
        self._at = 0
        self._last: dict[Path, int] = {}  # the index of the last table in each array of tables
        table: Path = ()
        while self._skip(newlines=True):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        self._at += 1
        of_array = self._peek() == "["
        self._at += of_array
        *parents, (name, line) = self._key()
        path: Path = ()
        for parent, at in parents:
            path = self._entered((*path, parent), at)
        path = (*path, name)
        self._note(path, line)
        if of_array:
            self._last[path] = self._last.get(path, -1) + 1
            path = (*path, self._last[path])
            self._note(path, line)
        self._at += 1 + of_array
        return path

    def _entered(self, path: Path, line: int) -> Path:
        self._note(path, line)
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: Path) -> None:
        path = table
        for name, line in self._key():
            path = (*path, name)
            self._note(path, line)
        self._at += 1  # =
        self._value(path)

    def _key(self) -> list[tuple[str, int]]:
        """Read a dotted key, and stop behind it."""
        parts: list[tuple[str, int]] = []
        while self._skip() and self._peek() not in ("=", "]"):
            token = self._tokens[self._at]
            if token.text != ".":
                name = next(iter(tomllib.loads(f"{token.text}=0"))) if token.kind == "quoted" else token.text
                parts.append((name, token.line))
            self._at += 1
        return parts

    def _value(self, path: Path) -> None:
        self._skip()
        opening = self._peek()
        if opening not in ("[", "{"):
            while self._at < len(self._tokens) and self._tokens[self._at].kind != "end":
                if self._peek() in (",", "]", "}"):
                    return
                self._at += 1
            return
        self._at += 1
        index = 0
        while self._skip(newlines=True) and self._peek() not in ("]", "}"):
            if self._peek() == ",":
                self._at += 1
            elif opening == "[":
                self._note((*path, index), self._tokens[self._at].line)
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
        self._at += 1

    def _note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _skip(self, *, newlines: bool = False) -> bool:
        """Go to the next token that counts; return whether there is one."""
        passed = ("blank", "end") if newlines else ("blank",)
        while self._at < len(self._tokens) and self._tokens[self._at].kind in passed:
            self._at += 1
        return self._at < len(self._tokens)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    line = 1
    for found in _TOKEN.finditer(text):
        tokens.append(_Token(found.lastgroup or "", found[0], line))
        line += found[0].count("\n")
    return tokens
