"""Finds the files of a source: resolves patterns, then sorts, names and fingerprints the files."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from penstock.adapters.xml_files.reader import open_file
from penstock.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EDGE = 64 * 1024
_SAMPLE = 4 * 1024
_SAMPLES = 14


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read. ``name`` is unique in its source and the same from every working directory."""

    name: str
    path: str


def find_files(patterns: Iterable[str]) -> list[InputFile]:
    """Resolve paths and globs (``*``, ``?``, ``[…]``, ``**``, ``~``) to files, each once, sorted by name.

    A file's name is its own, without folders. If two files share a name, as many folders as necessary are put
    in front (``baseline/a.xml``, ``updates/a.xml``). So names do not depend on the working directory, nor on
    where the tree is, and a numbered series stays in order even if it is spread over two folders.

    Raises:
        SourceError: a pattern matches nothing, or a file does not exist.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            found.setdefault(os.path.realpath(path), os.path.abspath(path))  # noqa: PTH100 - without ".."
    paths = list(found.values())
    files = [InputFile(as_text(name), path) for name, path in zip(_names(paths), paths, strict=True)]
    return sorted(files, key=lambda file: (PurePath(file.name).name, file.name))


def _matches(pattern: str) -> list[str]:
    path = str(Path(pattern).expanduser())
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
    return matches


def as_text(name: str) -> str:
    """Return ``name`` with undecodable bytes as escapes, so that JSON can contain it."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _names(paths: Sequence[str]) -> list[str]:
    """Return the shortest unique ending of each path."""
    parts = [PurePath(path).parts for path in paths]
    names = [""] * len(paths)
    waiting = list(range(len(paths)))
    depth = 1
    while waiting:
        holders: dict[tuple[str, ...], list[int]] = {}
        for index in waiting:
            holders.setdefault(parts[index][-depth:], []).append(index)
        waiting = []
        for ending, indices in holders.items():
            if len(indices) == 1:
                names[indices[0]] = "/".join(ending)
            else:
                waiting += indices
        depth += 1
    return names


def fingerprint(path: str) -> str:
    """Return the file's size and a hash of parts of it, which change when the file is replaced.

    The hash covers the first and last 64 KiB and 14 blocks of 4 KiB spread evenly between them. This takes
    a few milliseconds for any size. The time of modification does not count, because copying changes it. A
    gzip file ends with a checksum of its content, so every change is noticed. In a plain file, an edit is
    missed if it keeps the size and falls between the blocks.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.blake2b(digest_size=12)
            for offset, length in _blocks(size):
                file.seek(offset)
                digest.update(file.read(length))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise SourceError(message) from error
    return f"{size}-{digest.hexdigest()}"


def _blocks(size: int) -> list[tuple[int, int]]:
    between = size - 2 * _EDGE
    if between <= _SAMPLES * _SAMPLE:
        return [(0, size)]
    step = (between - _SAMPLE) // (_SAMPLES - 1)
    samples = [(_EDGE + step * number, _SAMPLE) for number in range(_SAMPLES)]
    return [(0, _EDGE), *samples, (size - _EDGE, _EDGE)]
