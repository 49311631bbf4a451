"""`Reading`: one file read page by page, in a thread or in another process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from penstock.adapters.xml_files.records import FileRecords, Format
from penstock.document import RawRecord
from penstock.system.threads import in_thread

if TYPE_CHECKING:
    from penstock.adapters.xml_files.archives import OpenTars
    from penstock.adapters.xml_files.inventory import InputFile
    from penstock.errors import SourceError

PAGE_BYTES = 8 * 1024 * 1024
"""A page ends early when its records have more bytes than this."""

_SLICE = 0.02  # seconds; a cancelled run waits this long for a thread at most


class Reading(ABC):
    """One file being read: call `begin` once, then `ready` and `take` in turn, until ``finished``.

    Attributes:
        start: The index of the first record to read.
        index: The index of the next record to take.
        seen: Records found in the file so far; at least those that were taken.
        consumed: Bytes read from disk so far.
        finished: Whether every record was taken and the file ended without an error.
    """

    file: InputFile
    start: int
    index: int
    seen: int
    consumed: int
    finished: bool

    @abstractmethod
    async def begin(self) -> None:
        """Start reading, without waiting for the disk."""

    @abstractmethod
    async def ready(self) -> None:
        """Wait until a page can be taken and it is known whether the file continues after it.

        Raises:
            SourceError: the file cannot be read further, and every record before was taken.
        """

    @abstractmethod
    def take(self) -> list[RawRecord]:
        """Return the page that is ready."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the file. Idempotent."""


class LocalReading(Reading):
    """A file read by a thread of this process.

    Args:
        file: The file.
        format: Its format.
        start: The index of the first record to read.
        first: Records in the first page, at most.
        count: Records in each later page, at most.
        tars: Tar archives that stay open between their files.
    """

    def __init__(
        self,
        file: InputFile,
        format: Format,  # noqa: A002 - the right word
        start: int,
        first: int,
        count: int,
        tars: OpenTars | None = None,
    ) -> None:
        self.file = file
        self.start = self.index = start
        self.seen = self.consumed = 0
        self.finished = False
        self._records = FileRecords(file, format, start, tars)
        self._size = first
        self._count = count

    async def begin(self) -> None:
        """Do nothing: the file is opened by the first `ready`."""

    async def ready(self) -> None:
        """Read until one record more than a page is available, or the file ends."""
        while not await in_thread(self._records.gather, self._size, PAGE_BYTES, _SLICE):
            pass
        self._look()

    def take(self) -> list[RawRecord]:
        """Return the next page."""
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
    """A file that could not be opened: the error is raised when the file's turn comes, not before."""

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
        """Return nothing."""
        return []

    async def aclose(self) -> None:
        """Do nothing."""


class SkippedReading(Reading):
    """The rest of a file that cannot be read further: one bad record, in place of the first that is missing.

    Args:
        before: The file as it was read until then.
        error: Why it cannot be read further.
    """

    finished = False

    def __init__(self, before: Reading, error: SourceError) -> None:
        self.file = before.file
        self.start = before.start
        self.index = before.index
        self.seen = before.index + 1
        self.consumed = before.consumed
        self._error = error

    @property
    def again(self) -> int | None:
        """The record at which the next run tries the file again; ``None`` if only a changed file can help.

        An error of the system may pass: of a disk, a network, missing permissions.
        """
        passing = isinstance(self._error.__cause__, OSError) and not self.file.stream
        return self.seen - 1 if passing else None

    async def begin(self) -> None:
        """Do nothing."""

    async def ready(self) -> None:
        """Do nothing."""

    def take(self) -> list[RawRecord]:
        """Return the bad record."""
        context = {"fault": f"{self._error}; the file was skipped from here on (on_bad_file='skip')"}
        record = RawRecord(f"{self.file.name}#{self.index}", b"", context)
        self.index += 1
        self.finished = True
        return [record]

    async def aclose(self) -> None:
        """Do nothing."""
