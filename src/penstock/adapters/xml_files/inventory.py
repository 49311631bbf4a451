"""Finds the files of a source: resolves paths and patterns, in the order in which the files are read."""

from __future__ import annotations

import glob
import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from penstock.adapters.xml_files.archives import is_archive, members_of
from penstock.errors import SourceError
from penstock.system.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from penstock.adapters.xml_files.archives import Member
    from penstock.adapters.xml_files.reader import Unpacking

STDIN = "-"
"""The path that means standard input."""

_ENDINGS = re.compile(r"(?:\.[A-Za-z]+)+\Z")
_NUMBERS = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read. ``name`` is unique in its source and the same from every working directory.

    ``member`` is the file in the archive at ``path``. ``stream`` says that it can be read only once: it is
    standard input, or a named pipe.
    """

    name: str
    path: str
    member: Member | None = None
    stream: bool = False

    @property
    def place(self) -> str:
        """Where it is, for people: its path, and behind it the path in the archive."""
        return self.path if self.member is None else f"{self.path}/{self.member.name}"


def find_files(patterns: Iterable[str], unpacking: Unpacking | None = None) -> list[InputFile]:
    """Resolve paths and globs (``*``, ``?``, ``[…]``, ``**``, ``~``) to files, each once.

    Paths keep the order in which they are given. The files of one glob, and those of one archive, are sorted
    by name, and numbers in names are compared as numbers. A file that is given twice keeps its first place; a
    hard link and a symbolic link are the file that they lead to.

    A file's name is its own, without folders. If two files share a name, as many folders as necessary are put
    in front (``baseline/a.xml``, ``updates/a.xml``). So names do not depend on the working directory, nor on
    where the tree is.

    Raises:
        SourceError: a pattern matches nothing, a file does not exist, or ``~name`` names no user.
    """
    found: dict[object, InputFile] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            found.setdefault(_identity(path), _input(path))
    files = [one for file in found.values() for one in _unpacked(file, unpacking)]
    return named(files, ())


def check_paths(patterns: Iterable[str]) -> None:
    """Raise `SourceError` if a pattern matches nothing, or a file does not exist."""
    for pattern in patterns:
        _matches(pattern)


def numbered(path: str) -> tuple[object, ...]:
    """Return the key by which the files of a glob are sorted: first the name of the file, then its folders.

    Numbers are compared as numbers: ``upd9.xml`` comes before ``upd10.xml``, and ``upd.xml`` before both.
    """
    pure = PurePath(path)
    return (_natural(_ENDINGS.sub("", pure.name)), _natural(pure.name), _natural(path), path)


def _natural(text: str) -> tuple[tuple[str, int, str], ...]:
    parts = _NUMBERS.split(text)  # text and numbers by turns
    digits = [number.lstrip("0") for number in parts[1::2]] + [""]
    return tuple((words, len(number), number) for words, number in zip(parts[::2], digits, strict=True))


def _matches(pattern: str) -> list[str]:
    if pattern == STDIN:
        return [STDIN]
    path = user_path(pattern, SourceError)
    if os.path.lexists(path):
        return [path]
    if not glob.has_magic(path):
        message = f"{pattern} does not exist (looked in {Path(path).parent.resolve()})"
        raise SourceError(message)
    found = glob.glob(path, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    matches = [match for match in found if not Path(match).is_dir()]
    if not matches:
        message = f"{pattern} matches no file (looked from {Path.cwd()})"
        raise SourceError(message)
    return sorted(matches, key=numbered)


def _identity(path: str) -> object:
    """Return what all names of one file share: its device and number, if the file system has such numbers."""
    try:
        status = None if path == STDIN else Path(path).stat()
    except OSError:  # a broken link: reading it says so
        status = None
    if status is None or not status.st_ino:
        return os.path.realpath(path) if path != STDIN else STDIN
    return (status.st_dev, status.st_ino)


def _input(path: str) -> InputFile:
    if path == STDIN:
        return InputFile("stdin", STDIN, stream=True)
    absolute = os.path.abspath(path)  # noqa: PTH100 - without ".."
    try:
        stream = stat.S_ISFIFO(Path(path).stat().st_mode)
    except OSError:
        stream = False
    return InputFile("", absolute, stream=stream)


def _unpacked(file: InputFile, unpacking: Unpacking | None) -> list[InputFile]:
    """Return the members of an archive; any other file, and an archive that cannot be read, as it is."""
    if file.stream or not is_archive(file.path):
        return [file]
    try:
        members = members_of(file.path, unpacking)
    except SourceError:  # raised again when it is this file's turn
        return [file]
    files = [replace(file, member=member) for member in members]
    return sorted(files, key=lambda one: numbered(one.place))


def as_text(name: str) -> str:
    """Return ``name`` with undecodable bytes as escapes, so that JSON can contain it."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def named(files: Sequence[InputFile], taken: Collection[str]) -> list[InputFile]:
    """Name each file by the shortest ending of its place that no other file has and that is not ``taken``."""
    parts = [PurePath(file.place).parts for file in files]
    names = [""] * len(files)
    waiting = list(range(len(files)))
    depth = 0
    while waiting:
        depth += 1
        holders: dict[str, list[int]] = {}
        for index in waiting:
            holders.setdefault(_ending(files[index], parts[index], depth), []).append(index)
        waiting = []
        for ending, indices in holders.items():
            if len(indices) == 1 and ending not in taken:
                names[indices[0]] = ending
            else:
                waiting += indices
    return [replace(file, name=name) for file, name in zip(files, names, strict=True)]


def _ending(file: InputFile, parts: Sequence[str], depth: int) -> str:
    if file.stream:  # each stream is a file of its own, whatever its name
        return f"{'stdin' if file.path == STDIN else as_text(parts[-1])}:{depth}"
    ending = as_text("/".join(parts[-depth:]))
    return ending if depth <= len(parts) else f"{ending} ({depth - len(parts) + 1})"
