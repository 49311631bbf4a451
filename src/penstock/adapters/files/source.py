"""A `Source` of the records of XML files: pages, positions, and files that come and change between runs."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Page, Source
from penstock.adapters.files.inventory import InputFile, find_files, fingerprint
from penstock.adapters.files.records import FileRecords, Format
from penstock.adapters.files.threads import in_thread
from penstock.errors import PositionError, SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penstock.document import RawRecord

__all__ = ["XmlFilesSource"]

_PAGE_BYTES = 8 * 1024 * 1024
_SLICE = 0.02  # seconds: how long a cancelled run may have to wait for a thread


class XmlFilesSource(Source):
    """Reads the records of XML files, gzipped or not, one file after the other.

    Nothing is opened before the first page is asked for, files are read while there is demand only, and
    off the event loop; never is more held than a page and what was read with it.

    A position is ``{"files": {name: {"fingerprint": …, "index": …, "done": …}}}``: ``index`` counts the
    records of that file that came, ``done`` says that there are no more. So files that appear later are
    simply new, whatever their names; files that were begun are finished first; a file that changed under
    its name is reported instead of being read again or left out.

    Args:
        paths: Files and globs (``*``, ``?``, ``[…]``, ``**``, ``~``), at least one.
        page_size: Records per page, at most.
        max_record_bytes: A larger record becomes a `DocumentError` instead of being held in memory.

    Raises:
        TypeError: a path is not a string or path.
        ValueError: there is no path, or a number is less than 1.
    """

    def __init__(
        self, *paths: str | os.PathLike[str], page_size: int = 256, max_record_bytes: int | None = None
    ) -> None:
        if not paths:
            message = f"{type(self).__name__} needs at least one file or glob, for example 'data/*.xml.gz'"
            raise ValueError(message)
        self._paths = [_path(path) for path in paths]
        self._page_size = _positive("page_size", page_size)
        self._max_record_bytes = max_record_bytes and _positive("max_record_bytes", max_record_bytes)
        self._parameters = {"paths": list(self._paths)}

    @property
    def parameters(self) -> dict[str, Any]:
        """The paths and globs as they were given."""
        return self._parameters

    @property
    @abstractmethod
    def format(self) -> Format:
        """What the files look like."""

    @staticmethod
    def settled(position: JSON) -> int:
        """Return how many records stand before ``position``, in all files that it knows."""
        return sum(state["index"] for state in _states(position).values())

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records, from the beginning (``None``) or from a position of an earlier page.

        Raises:
            SourceError: a path is missing or a glob matches nothing; a file is not of this format, is
                damaged, ends early, or has changed since ``position``. What came before is delivered first.
            PositionError: ``position`` is not one of this source.
        """
        walk = _Walk(_states(position))
        await walk.begin(self._paths)
        for file in walk.remaining():
            reading = FileRecords(file, self.format, await walk.open(file))
            try:
                while not reading.finished:
                    while not await in_thread(reading.gather, self._page_size, _PAGE_BYTES, _SLICE):
                        pass
                    items = reading.take(self._page_size, _PAGE_BYTES)
                    walk.advance(reading)
                    if items:
                        yield walk.page(items, reading)
            finally:
                reading.close()
        if walk.unsaid:  # the last file had nothing (more): say that it is done
            yield walk.page([], None)


class _Walk:
    """The way through the files: which are done, where in the open one we stand, how much there is."""

    def __init__(self, states: dict[str, Any]) -> None:
        self._states = states
        self._files: list[InputFile] = []
        self._sizes: dict[str, int] = {}
        self.unsaid = False
        """Whether the position has moved on since the last page."""

    async def begin(self, paths: list[str]) -> None:
        """Find the files and check those that we know."""
        self._files = await in_thread(find_files, paths)
        for file in self._files:
            if file.name in self._states:
                await self._check(file)
            self._sizes[file.name] = await in_thread(_size, file.path)

    async def _check(self, file: InputFile) -> None:
        known, found = self._states[file.name]["fingerprint"], await in_thread(fingerprint, file.path)
        if known != found:
            message = (
                f"{file.path} has changed since an earlier run read it as {file.name!r} "
                f"(fingerprint {known} then, {found} now): give it another name to read it as a new file, "
                "or start over"
            )
            raise SourceError(message)

    def remaining(self) -> list[InputFile]:
        """Return the files that are not done, those already begun first."""
        waiting = [file for file in self._files if not self._states.get(file.name, _NEW)["done"]]
        return sorted(waiting, key=lambda file: file.name not in self._states)

    async def open(self, file: InputFile) -> int:
        """Return the index to begin at."""
        if file.name not in self._states:
            self._put(file.name, await in_thread(fingerprint, file.path), 0, done=False)
        index: int = self._states[file.name]["index"]
        return index

    def advance(self, reading: FileRecords) -> None:
        """Note how far ``reading`` has come."""
        name = reading.file.name
        self._put(name, self._states[name]["fingerprint"], reading.index, done=reading.finished)

    def _put(self, name: str, fingerprint: str, index: int, *, done: bool) -> None:
        # Always a new dictionary: a position that went out is never changed.
        state = {"fingerprint": fingerprint, "index": index, "done": done}
        self._states = {**self._states, name: state}
        self.unsaid = True

    def page(self, items: list[RawRecord], reading: FileRecords | None) -> Page[RawRecord]:
        """Make the page that ends where we stand."""
        self.unsaid = False
        return Page(items, {"files": self._states}, self._estimate(reading))

    def _estimate(self, reading: FileRecords | None) -> int | None:
        """Guess how many records all files hold, from the bytes that those seen so far took."""
        records = read = 0
        for name, size in self._sizes.items():
            state = self._states.get(name, _NEW)
            if reading is not None and name == reading.file.name and not state["done"]:
                records += reading.seen
                read += reading.consumed
            elif state["done"]:
                records += state["index"]
                read += size
        total = sum(self._sizes.values())
        return round(records * total / read) if read else None


_NEW: dict[str, Any] = {"done": False, "index": 0}


def _states(position: JSON) -> dict[str, Any]:
    """Take a position apart."""
    if position is None:
        return {}
    try:
        states: dict[str, Any] = position["files"]
        for state in states.values():
            state["fingerprint"], state["index"] + 0, state["done"]
    except (TypeError, KeyError, AttributeError):
        message = f"not a position of a source of files: {position!r:.200}"
        raise PositionError(message) from None
    return states


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise SourceError(message) from error


def _path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        message = f"a path must be a str or a pathlib.Path, not {type(path).__name__}"
        raise TypeError(message)
    return text


def _positive(name: str, number: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        message = f"{name} must be a whole number, not {number!r}"
        raise TypeError(message)
    if number < 1:
        message = f"{name} must be at least 1, not {number}"
        raise ValueError(message)
    return number
