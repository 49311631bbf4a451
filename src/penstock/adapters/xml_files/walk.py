"""The walk through many files: which are done, which are open, and which one is next.

One file is open at a time. The order depends only on the position. A position names the file of the next page
and the size of pages, so a run that was interrupted within a page gets the same page again.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Page
from penstock.adapters.xml_files.identity import UNREADABLE, fingerprint_of, place_of, recognised, size_of
from penstock.adapters.xml_files.inventory import InputFile, find_files
from penstock.adapters.xml_files.reading import FailedReading, Reading, SkippedReading
from penstock.errors import PositionError, SourceError
from penstock.system.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from penstock.adapters.xml_files.reader import Unpacking
    from penstock.document import RawRecord

_NEW: dict[str, Any] = {"done": False, "index": 0}


class Walk:
    """One pass through the files from ``position`` on.

    Args:
        position: Where to begin; ``None`` is the beginning.
        page_size: Records per page, at most.
        read: Returns the `Reading` of a file, given the first record and the size of the first page.
        unpacking: How much an archive may unpack to.
        skip_bad: Whether a file that cannot be read (further) becomes one bad record instead of an error.
    """

    def __init__(
        self,
        position: JSON,
        page_size: int,
        read: Callable[[InputFile, int, int], Reading],
        unpacking: Unpacking,
        *,
        skip_bad: bool = False,
    ) -> None:
        self._unpacking = unpacking
        self._skip_bad = skip_bad
        self._states = states_of(position)
        self._next: str | None = position["next"] if position else None
        self._first_size = max(page_size, position["page_size"]) if position else page_size
        self._page_size = page_size
        self._read = read
        self._waiting: deque[InputFile] = deque()
        self._sizes: dict[str, int] = {}
        self._open: deque[Reading] = deque()
        self._unreported = False  # whether the position has changed since the last page

    async def pages(self, paths: Sequence[str]) -> AsyncGenerator[Page[RawRecord]]:
        """Yield the pages of the files that ``paths`` name.

        Raises:
            SourceError: a path does not exist, or a file is damaged, of another format, or has changed.
        """
        await self._begin(paths)
        while self._open:
            reading = await self._ready()
            items = reading.take()
            self._open.popleft()
            await self._requeue(reading)
            await self._refill()
            yield self._page(items)
        if self._unreported:  # the last files had no records, or no more than earlier runs have read
            yield self._page([])

    async def _ready(self) -> Reading:
        """Return the first open file when it has a page; in place of a bad file one bad record."""
        reading = self._open[0]
        try:
            await reading.ready()
        except SourceError as error:
            if not self._skip_bad:
                raise
            await reading.aclose()
            if reading.file.name not in self._states:
                self._put(reading.file, UNREADABLE, 0, done=False)
            reading = self._open[0] = SkippedReading(reading, error)
        return reading

    async def aclose(self) -> None:
        """Close every open file."""
        while self._open:
            await self._open.pop().aclose()

    async def _begin(self, paths: Sequence[str]) -> None:
        self._files = await in_thread(self._found, list(paths))
        names = {file.name for file in self._files}
        if self._next is not None and self._next not in names:
            message = (
                f"the earlier run stopped in {self._next!r}, which is not among the files now: "
                "add it to the files, or read everything again with refresh=True (--refresh)"
            )
            raise SourceError(message)
        waiting = [file for file in self._files if not self._states.get(file.name, _NEW)["done"]]
        # First the file of the next page, then the files already begun, then the new ones in their order.
        waiting.sort(key=lambda file: (file.name != self._next, file.name not in self._states))
        self._waiting.extend(waiting)
        await self._refill()

    def _found(self, paths: list[str]) -> list[InputFile]:
        self._states = dict(self._states)
        files = recognised(find_files(paths, self._unpacking), self._states)
        self._sizes = {file.name: _size(file) for file in files}
        return files

    async def _requeue(self, reading: Reading) -> None:
        """Record the progress of a file, then close it if it is finished, or queue it for its next turn."""
        self._put(
            reading.file,
            self._states[reading.file.name]["fingerprint"],
            reading.index,
            done=reading.finished,
            **({"bad": True, "again": reading.again} if isinstance(reading, SkippedReading) else {}),
        )
        if reading.finished:
            await reading.aclose()
        else:
            self._open.append(reading)

    async def _refill(self) -> None:
        """Open the next file if none is open, and make sure that it has a page.

        A file that has not delivered a page yet may be an empty set, so it is waited for.
        """
        while True:
            if self._waiting and not self._open:
                reading = await self._open_file(self._waiting.popleft())
                self._open.append(reading)
                await reading.begin()
            if not self._open or self._open[0].index > self._open[0].start:
                return
            with suppress(SourceError):  # raised again when it is this file's turn
                await self._open[0].ready()
            if not self._open[0].finished:
                return
            await self._requeue(self._open.popleft())

    async def _open_file(self, file: InputFile) -> Reading:
        try:
            if file.name not in self._states:
                self._put(file, await in_thread(fingerprint_of, file), 0, done=False)
        except SourceError as error:
            return FailedReading(file, error)
        first = self._first_size if file.name == self._next else self._page_size
        return self._read(file, self._states[file.name]["index"], first)

    def _put(self, file: InputFile, fingerprint: str, index: int, *, done: bool, **more: Any) -> None:
        # Always a new dictionary, so that a position never changes after it was sent.
        state = {"fingerprint": fingerprint, "place": place_of(file), "index": index, "done": done, **more}
        self._states = {**self._states, file.name: state}
        self._unreported = True

    def _page(self, items: list[RawRecord]) -> Page[RawRecord]:
        self._unreported = False
        following = self._open[0].file.name if self._open else None
        position = {"files": self._states, "next": following, "page_size": self._page_size}
        return Page(items, position, self._estimate())

    def _estimate(self) -> int | None:
        """Estimate the records of all files from the bytes that the records so far took."""
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
    """Return the states of the files in a position, by name.

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


def _size(file: InputFile) -> int:
    try:
        return size_of(file)
    except SourceError:  # raised again when it is this file's turn
        return 0
