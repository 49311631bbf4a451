"""The way through many files: which are done, which are open, whose turn is next, how much there is.

Up to *width* files are open at a time and take turns, a page each. The order is a function of the position,
so that a run that was interrupted within a page finds that very page again: a position names the file that
the next page comes from, and the size that pages had.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Page
from penstock.adapters.xml_files.inventory import InputFile, find_files, fingerprint
from penstock.adapters.xml_files.reading import FailedReading, Reading
from penstock.errors import PositionError, SourceChanged, SourceError
from penstock.system.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from penstock.document import RawRecord

__all__ = ["Walk", "states_of"]

_NEW: dict[str, Any] = {"done": False, "index": 0}


class Walk:
    """One pass through the files, from ``position`` on.

    Args:
        position: Where to begin, or ``None``.
        page_size: Records per page.
        width: How many files are open at a time.
        read: Makes the reading of a file, from a record on and with a size for its first page.
    """

    def __init__(
        self,
        position: JSON,
        page_size: int,
        width: int,
        read: Callable[[InputFile, int, int], Reading],
    ) -> None:
        self._states = states_of(position)
        self._next: str | None = position["next"] if position else None
        self._first_size = max(page_size, position["page_size"]) if position else page_size
        self._page_size = page_size
        self._width = width
        self._read = read
        self._waiting: deque[InputFile] = deque()
        self._sizes: dict[str, int] = {}
        self._open: deque[Reading] = deque()
        self._unsaid = False  # whether the position has moved on since the last page

    async def pages(self, paths: Sequence[str]) -> AsyncGenerator[Page[RawRecord]]:
        """Yield the pages of the files that ``paths`` name.

        Raises:
            SourceError: a path is missing, or a file is not what it should be, or not what it was.
        """
        await self._begin(paths)
        while self._open:
            reading = self._open[0]
            await reading.ready()
            items = reading.take()
            self._open.popleft()
            await self._put_back(reading)
            await self._refill()
            yield self._page(items)
        if self._unsaid:  # all files were empty sets, or had no more than earlier runs have read
            yield self._page([])

    async def aclose(self) -> None:
        """Let go of every open file."""
        while self._open:
            await self._open.pop().aclose()

    async def _begin(self, paths: Sequence[str]) -> None:
        files = await in_thread(find_files, list(paths))
        for file in files:
            self._sizes[file.name] = await in_thread(_size, file.path)
            if file.name in self._states:
                await self._check(file)
        if self._next is not None and self._next not in self._sizes:
            message = (
                f"{self._next!r} is where the earlier run stopped, and it is not among the files now: "
                "name it, too, or start over"
            )
            raise SourceError(message)
        waiting = [file for file in files if not self._states.get(file.name, _NEW)["done"]]
        # Whose turn it is comes first, then those already begun, then the rest by name.
        waiting.sort(key=lambda file: (file.name != self._next, file.name not in self._states))
        self._waiting.extend(waiting)
        await self._refill()

    async def _check(self, file: InputFile) -> None:
        known, found = self._states[file.name]["fingerprint"], await in_thread(fingerprint, file.path)
        if known != found:
            message = (
                f"{file.path} has changed since an earlier run read it as {file.name!r} "
                f"(fingerprint {known} then, {found} now): read everything again with refresh=True "
                "(--refresh), or give it another name to read it as a new file"
            )
            raise SourceChanged(message)

    async def _put_back(self, reading: Reading) -> None:
        """Note how far a file has come; it waits for its next turn, or is done."""
        name = reading.file.name
        self._put(name, self._states[name]["fingerprint"], reading.index, done=reading.finished)
        if reading.finished:
            await reading.aclose()
        else:
            self._open.append(reading)

    async def _refill(self) -> None:
        """Open files until as many are open as may be, and the next one is known to have a page.

        Only of a file that has given nothing yet that is not known: it may be an empty set.
        """
        while True:
            while self._waiting and len(self._open) < self._width:
                reading = await self._opened(self._waiting.popleft())
                self._open.append(reading)
                await reading.begin()
            if not self._open or self._open[0].index > self._open[0].start:
                return
            with suppress(SourceError):  # raised again when its turn has come
                await self._open[0].ready()
            if not self._open[0].finished:
                return
            await self._put_back(self._open.popleft())

    async def _opened(self, file: InputFile) -> Reading:
        try:
            if file.name not in self._states:
                self._put(file.name, await in_thread(fingerprint, file.path), 0, done=False)
        except SourceError as error:
            return FailedReading(file, error)
        first = self._first_size if file.name == self._next else self._page_size
        return self._read(file, self._states[file.name]["index"], first)

    def _put(self, name: str, fingerprint: str, index: int, *, done: bool) -> None:
        # Always a new dictionary: a position that went out is never changed.
        state = {"fingerprint": fingerprint, "index": index, "done": done}
        self._states = {**self._states, name: state}
        self._unsaid = True

    def _page(self, items: list[RawRecord]) -> Page[RawRecord]:
        self._unsaid = False
        following = self._open[0].file.name if self._open else None
        position = {"files": self._states, "next": following, "page_size": self._page_size}
        return Page(items, position, self._estimate())

    def _estimate(self) -> int | None:
        """Guess how many records all files hold, from the bytes that those seen so far took."""
        records = consumed = 0
        for name, size in self._sizes.items():
            if self._states.get(name, _NEW)["done"]:
                records += self._states[name]["index"]
                consumed += size
        for reading in self._open:
            records += reading.seen
            consumed += reading.consumed
        total = sum(self._sizes.values())
        return round(records * total / consumed) if consumed else None


def states_of(position: JSON) -> dict[str, Any]:
    """Take a position apart: the states of its files, by name.

    Raises:
        PositionError: it is not a position of a source of files.
    """
    if position is None:
        return {}
    states: dict[str, Any] = {}
    try:
        states = position["files"]
        sound = isinstance(position["page_size"], int) and isinstance(position["next"], str | None)
        for state in states.values():
            sound = sound and isinstance(state["index"], int) and {"fingerprint", "done"} < state.keys()
    except (TypeError, KeyError, AttributeError):
        sound = False
    if not sound:
        message = f"not a position of a source of files: {position!r:.200}"
        raise PositionError(message)
    return states


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise SourceError(message) from error
