"""The records of one XML file from any index on: reads, decompresses, decodes and splits the file."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol

from penstock.adapters.xml_files.archives import OpenTars
from penstock.adapters.xml_files.encoding import Utf8Stream
from penstock.adapters.xml_files.entities import entities_of
from penstock.adapters.xml_files.opening import open_input
from penstock.adapters.xml_files.raw import NotReady
from penstock.adapters.xml_files.reader import ByteReader, Unpacking
from penstock.adapters.xml_files.splitter import MAX_RECORD_BYTES, Piece, RecordSplitter
from penstock.document import RawRecord
from penstock.errors import DocumentError, SourceError

if TYPE_CHECKING:
    from penstock.adapters.xml_files.inventory import InputFile


_PARTS_AT_ONCE = 256


def _itself(piece: Piece) -> Iterable[Piece]:
    return (piece,)


class TextSplitter(Protocol):
    """Splits text into records."""

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete."""
        ...

    def close(self) -> list[Piece]:
        """End the text and return the last record."""
        ...


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A format of text.

    Args:
        begins: Whether a file that begins with these bytes has this format; ``None`` if more are needed.
        splitter: Returns a splitter, given the largest size of a record.
    """

    begins: Callable[[bytes], bool | None]
    splitter: Callable[[int], TextSplitter]


@dataclass(frozen=True, slots=True)
class Format:
    """The format of a kind of XML file.

    Args:
        roots: For each root element that is accepted, the names of its records.
        expand: Splits an element that stands for several records; called with each one.
        nested: Whether records may contain elements of their own name.
        max_record_bytes: A larger record becomes a faulty one.
        limits: Other limits, for records of these names.
        unpacking: How much a compressed file may unpack to.
        text: Another format of the same records, which is no XML.
    """

    roots: Mapping[str, Sequence[str]]
    expand: Callable[[Piece], Iterable[Piece]] = _itself
    nested: bool = False
    max_record_bytes: int = MAX_RECORD_BYTES
    limits: Mapping[str, int] = field(default_factory=dict)
    unpacking: Unpacking = Unpacking()  # noqa: RUF009 - frozen
    text: TextFormat | None = None


class FileRecords:
    """The records of one file, which the first `gather` opens.

    Synchronous; `gather` may run in a thread, one call at a time.

    Args:
        file: The file.
        format: Its format.
        start: Records to skip at the beginning; they are split, but not parsed.
        tars: Tar archives that stay open for other files; ``close`` does not close them.
    """

    def __init__(
        self,
        file: InputFile,
        format: Format,  # noqa: A002 - its name
        start: int = 0,
        tars: OpenTars | None = None,
    ) -> None:
        self.file = file
        self.index = start
        """The index of the next record to take."""
        self.seen = 0
        """Records found in the file so far, skipped ones included."""
        self._start = start
        self._format = format
        self._tars = OpenTars() if tars is None else tars
        self._own_tars = tars is None
        self._reader: ByteReader | None = None
        self._encoding = Utf8Stream(file.place)
        self._splitter: RecordSplitter | TextSplitter | None = None
        self._begin = b""  # kept back until the format is known
        self._parts: Iterator[tuple[Piece, Piece]] = iter(())
        """Found, and not looked at yet, each with the piece that it is part of; a list is split late."""
        self._records: deque[RawRecord] = deque()
        self._bytes = 0
        self._read_all = False
        self._ended = False
        self._error: SourceError | None = None

    @property
    def consumed(self) -> int:
        """Bytes read from disk so far."""
        return self._reader.consumed if self._reader else 0

    @property
    def finished(self) -> bool:
        """Whether every record was taken and the file ended without an error."""
        return self._ended and self._error is None and not self._records

    def gather(self, count: int, size: int, seconds: float) -> bool:
        """Read until more than ``count`` records, or more than ``size`` bytes of them, are available.

        One record more than a page shows that the file continues after it. Stops after about ``seconds``;
        returns whether it read enough, or to the end of the file.

        Raises:
            SourceError: the file cannot be read further, and every record before was taken.
        """
        until = time.monotonic() + seconds
        while not self._ended and len(self._records) <= count and self._bytes <= size:
            if time.monotonic() > until:
                return False
            if not self._accept():
                if self._read_all:
                    self._ended = True
                else:
                    self._read()
        if self._error is not None and not self._records:
            raise self._error
        return True

    def take(self, count: int, size: int) -> list[RawRecord]:
        """Return at most ``count`` available records and ``size`` bytes of them; one record may be larger."""
        records = self._records
        taken: list[RawRecord] = []
        total = 0
        while records and len(taken) < count and (not taken or total + len(records[0].data) <= size):
            record = records.popleft()
            total += len(record.data)
            taken.append(record)
        self._bytes -= total
        self.index += len(taken)
        return taken

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._reader is not None:
            self._reader.close()
        if self._own_tars:
            self._tars.close()

    def _read(self) -> None:
        try:
            if self._reader is None:
                self._reader = open_input(self.file, self._format.unpacking, self._tars)
            data = self._reader.read()
            if data:
                self._parts = self._split(self._encoding.feed(data))
            else:
                self._parts = self._split(self._encoding.close(), last=True)
                self._read_all = True
                last = self._splitter.close() if self._splitter else None
                self._parts = chain(self._parts, self._expanded(last or ()))
        except NotReady:
            return
        except SourceError as error:
            self._read_all = True
            self._error = error

    def _split(self, data: bytes, *, last: bool = False) -> Iterator[tuple[Piece, Piece]]:
        if self._splitter is None:
            data = self._begin = self._begin + data
            text, layout = self._format.text, self._format
            is_text = text.begins(data) if text is not None else False
            if is_text is None and not last:
                return iter(())
            if is_text and text is not None:
                self._splitter = text.splitter(layout.max_record_bytes)
            else:
                self._splitter = RecordSplitter(
                    layout.roots,
                    where=self.file.place,
                    nested=layout.nested,
                    max_record_bytes=layout.max_record_bytes,
                    limits=layout.limits,
                )
            self._begin = b""
        return self._expanded(self._splitter.feed(data))

    def _expanded(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Piece]]:
        for piece in pieces:
            for part in self._format.expand(piece):
                yield part, piece

    def _accept(self) -> bool:
        """Take some of the parts that were found; return whether there were any."""
        found = False
        for part, piece in islice(self._parts, _PARTS_AT_ONCE):
            found = True
            index = self.seen
            self.seen += 1
            if index >= self._start:
                record = self._record(part, index, piece)
                self._records.append(record)
                self._bytes += len(record.data)
        return found

    def _record(self, part: Piece, index: int, piece: Piece) -> RawRecord:
        key = f"{self.file.name}#{index}"
        context: dict[str, Any] = {}
        data, fault = part.data, part.fault
        if piece.subset and not fault:
            try:
                data = entities_of(piece.subset).declared(data)
            except DocumentError as error:
                fault = str(error)
        if piece.namespaces:
            context["namespaces"] = piece.namespaces
        if fault:
            context["fault"] = fault
        return RawRecord(key, data, context)
