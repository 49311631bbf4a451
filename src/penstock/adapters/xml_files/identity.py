"""Decides which file of an earlier run a file is: the same one, one that changed, or a new one.

A file is the one that an earlier run read

1. if it is in the same place and has the same content;
2. else if it has the content of a file that is not in its old place: it was moved or renamed. A file of the
   same base name goes before others.

A file that is in the place of another one, with other content, has changed. Every other file is new. Content
is compared by fingerprint. No two files are the same one, so a copy is a file of its own.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from penstock.adapters.xml_files.inventory import named
from penstock.adapters.xml_files.raw import open_file, stream_name
from penstock.errors import SourceChanged, SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.adapters.xml_files.inventory import InputFile

STREAM = "stream"
"""The fingerprint of every stream: it cannot be read twice."""
UNREADABLE = "unreadable"
"""The fingerprint of a file that could not be opened."""

_EDGE = 64 * 1024
_SAMPLE = 4 * 1024
_SAMPLES = 14


def recognised(files: Sequence[InputFile], states: dict[str, Any]) -> list[InputFile]:
    """Return ``files`` under the names that they have in ``states``, and new ones under new names.

    If a file was skipped as a bad one, and has changed since, its state is removed from ``states``. If it was
    skipped because of an error of the system, its state becomes the one before the error.

    Raises:
        SourceChanged: a file has other content than an earlier run read in its place.
        SourceError: a file is a stream that an earlier run did not read to its end.
    """
    for file in files:
        _refuse_half_read(file, states)
    if not states:
        return list(files)
    for name, state in states.items():
        if state.get("again") is not None:
            states[name] = {**state, "index": state["again"], "done": False, "again": None}
    old = _Old(files, states)
    old.take_in_place()
    old.take_moved()
    new = [index for index in range(len(files)) if index not in old.names]
    for index, file in zip(new, named([files[index] for index in new], states), strict=True):
        old.names[index] = file.name
    return [replace(file, name=old.names[index]) for index, file in enumerate(files)]


class _Old:
    """The files of earlier runs that are not recognised yet, and the names of those that are."""

    def __init__(self, files: Sequence[InputFile], states: dict[str, Any]) -> None:
        self.names: dict[int, str] = {}
        self._files = files
        self._states = states
        self._left = dict.fromkeys(name for name in states if states[name]["fingerprint"] != STREAM)
        self._changed: dict[int, str] = {}
        self._prints: dict[int, str] = {}

    def take_in_place(self) -> None:
        places = {self._states[name].get("place", name): name for name in self._left}
        for index, file in enumerate(self._files):
            name = places.get(place_of(file)) or places.get(file.name)
            if name is None or file.stream:
                continue
            if self._print(index) == self._states[name]["fingerprint"]:
                self._take(index, name)
            else:
                self._changed[index] = name

    def take_moved(self) -> None:
        for same_base in (True, False):
            for index, file in enumerate(self._files):
                if index not in self.names and not file.stream:
                    self._take_moved(index, same_base=same_base)
        for index, name in self._changed.items():
            if index in self.names or name not in self._left:
                continue
            if not self._states[name].get("bad"):
                raise self._has_changed(index, name)
            self._take(index, name)
            del self._states[name]

    def _take_moved(self, index: int, *, same_base: bool) -> None:
        base, size = PurePosixPath(self._files[index].place).name, self._size(index)
        for name in self._left:
            fingerprint = self._states[name]["fingerprint"]
            right_base = not same_base or PurePosixPath(name).name == base
            if right_base and fingerprint.startswith(size) and fingerprint == self._print(index):
                self._take(index, name)
                return

    def _size(self, index: int) -> str:
        """Return what the fingerprint begins with; most files need no fingerprint then."""
        try:
            return f"{size_of(self._files[index])}-"
        except SourceError:
            return UNREADABLE

    def _take(self, index: int, name: str) -> None:
        self.names[index] = name
        self._left.pop(name, None)

    def _print(self, index: int) -> str:
        if index not in self._prints:
            try:
                self._prints[index] = fingerprint_of(self._files[index])
            except SourceError:  # raised again when it is this file's turn
                self._prints[index] = UNREADABLE
        return self._prints[index]

    def _has_changed(self, index: int, name: str) -> SourceChanged:
        known, found = self._states[name]["fingerprint"], self._print(index)
        return SourceChanged(
            f"{self._files[index].place} has changed since an earlier run read it as {name!r} "
            f"(fingerprint {known} then, {found} now): read everything again with refresh=True "
            "(--refresh), or rename it to read it as a new file"
        )


def _refuse_half_read(file: InputFile, states: Mapping[str, Any]) -> None:
    if file.stream and any(
        state["fingerprint"] == STREAM and not state["done"] and state.get("place") == place_of(file)
        for state in states.values()
    ):
        message = (
            f"the earlier run was interrupted while it read {stream_name(file.path)}, which cannot be read "
            "again from there: feed it once more with refresh=True (--refresh), which skips documents that "
            "were taken, or save it to a file, which can be resumed"
        )
        raise SourceChanged(message)


def place_of(file: InputFile) -> str:
    """Return a short digest of where the file is."""
    place = os.fsencode(file.place) if file.path != "-" else b"-"
    return hashlib.blake2b(place, digest_size=8).hexdigest()


def size_of(file: InputFile) -> int:
    """Return the bytes of the file; 0 for a stream.

    Raises:
        SourceError: the file cannot be found.
    """
    if file.stream:
        return 0
    if file.member is not None:
        return file.member.size
    try:
        return Path(file.path).stat().st_size
    except OSError as error:
        message = f"{file.path} cannot be read: {error.strerror or error}"
        raise SourceError(message) from error


def fingerprint_of(file: InputFile) -> str:
    """Return the fingerprint of a file; of a file in an archive its size and checksum.

    Raises:
        SourceError: the file cannot be read.
    """
    if file.stream:
        return STREAM
    return fingerprint(file.path) if file.member is None else file.member.mark


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
