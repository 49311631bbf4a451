"""What a source does with each of its files: wait for a page, take it, close. In a thread, or elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from penstock.adapters.xml_files.records import FileRecords, Format
from penstock.system.threads import in_thread

if TYPE_CHECKING:
    from penstock.adapters.xml_files.inventory import InputFile
    from penstock.document import RawRecord
    from penstock.errors import SourceError

__all__ = ["PAGE_BYTES", "FailedReading", "LocalReading", "Reading"]

PAGE_BYTES = 8 * 1024 * 1024
"""A page of records that have more bytes than this ends early."""

_SLICE = 0.02  # seconds: how long a cancelled run may have to wait for a thread


class Reading(ABC):
    """One file on its way: `begin` once, then alternately `ready` and `take`, until `finished`.

    ``index`` is that of the next record that `take` gives, ``start`` where it began; ``seen`` counts the
    records found in the file so far, at least those that were taken, and ``consumed`` its bytes read from
    disk. ``finished`` says that every record has been taken and that the file ended as it should.
    """

    file: InputFile
    start: int
    index: int
    seen: int
    consumed: int
    finished: bool

    @abstractmethod
    async def begin(self) -> None:
        """Start; wait for nothing that takes time."""

    @abstractmethod
    async def ready(self) -> None:
        """Wait until a page can be taken, and whether there is more behind it is known.

        Raises:
            SourceError: the file cannot be read on, and everything before has been taken.
        """

    @abstractmethod
    def take(self) -> list[RawRecord]:
        """Take the page that is ready."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of the file. Idempotent."""


class LocalReading(Reading):
    """A file read by a thread of this process.

    Args:
        file: The file.
        format: What it looks like.
        start: The record to begin at.
        first: The size of the first page.
        count: The size of the others.
    """

    def __init__(
        self,
        file: InputFile,
        format: Format,  # noqa: A002 - the right word
        start: int,
        first: int,
        count: int,
    ) -> None:
        self.file = file
        self.start = self.index = start
        self.seen = self.consumed = 0
        self.finished = False
        self._records = FileRecords(file, format, start)
        self._size = first
        self._count = count

    async def begin(self) -> None:
        """Do nothing: the file is opened when a page is wanted."""

    async def ready(self) -> None:
        """Read on until one record more than a page is at hand, or the file ends."""
        while not await in_thread(self._records.gather, self._size, PAGE_BYTES, _SLICE):
            pass
        self._look()

    def take(self) -> list[RawRecord]:
        """Take a page."""
        taken = self._records.take(self._size, PAGE_BYTES)
        self._size = self._count
        self._look()
        return taken

    def _look(self) -> None:
        self.index, self.finished = self._records.index, self._records.finished
        self.seen, self.consumed = self._records.seen, self._records.consumed

    async def aclose(self) -> None:
        """Close the file."""
        self._records.close()


class FailedReading(Reading):
    """A file that could not even be opened: it says so when its turn has come, not before."""

    start = index = seen = consumed = 0
    finished = False

    def __init__(self, file: InputFile, error: SourceError) -> None:
        self.file = file
        self._error = error

    async def begin(self) -> None:
        """Do nothing."""

    async def ready(self) -> None:
        """Raise the error."""
        raise self._error

    def take(self) -> list[RawRecord]:
        """Give nothing."""
        return []

    async def aclose(self) -> None:
        """Do nothing."""
