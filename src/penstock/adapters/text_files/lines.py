"""Splits text into records that end with a line: JSON Lines, and rows whose quotes may hold line ends."""

from __future__ import annotations

from penstock.adapters.xml_files.splitter import HEAD_BYTES, Piece

NAME = "line"
"""The name of the pieces."""


class LineSplitter:
    """Each line is a record; blank lines are none.

    Args:
        max_record_bytes: A larger record is not kept in memory; it becomes a faulty one.
        quote: Between two of these bytes, a line end belongs to the record. Empty if there are no quotes.
    """

    def __init__(self, max_record_bytes: int, quote: bytes = b"") -> None:
        self._max = max_record_bytes
        self._quote = quote
        self._begun: list[bytes] = []
        """The pieces of a record whose end was not found yet."""
        self._size = 0
        self._open = False  # within quotes
        self._offset = 0

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete."""
        found: list[Piece] = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._keep(line)
            if self._open:
                self._keep(b"\n")
            else:
                self._end(found, 1)
        self._keep(rest)
        return found

    def close(self) -> list[Piece]:
        """End the text and return the last record."""
        found: list[Piece] = []
        fault = "its quotes are not closed before the end of the file" if self._open else ""
        self._end(found, 0, fault)
        return found

    def _keep(self, data: bytes) -> None:
        if self._quote and data.count(self._quote) % 2:
            self._open = not self._open
        self._size += len(data)
        self._begun.append(data)
        if self._size > self._max:  # too large: keep its beginning
            self._begun = [b"".join(self._begun)[: min(HEAD_BYTES, self._max)]]

    def _end(self, found: list[Piece], line_end: int, fault: str = "") -> None:
        begun, size, offset = self._begun, self._size, self._offset
        self._begun, self._size, self._open = [], 0, False
        self._offset = offset + size + line_end
        if size > self._max:
            fault = f"it has {size} bytes, more than the {self._max} that max_record_bytes allows"
        record = (begun[0] if len(begun) == 1 else b"".join(begun)).rstrip(b"\r")
        if record.strip():
            found.append(Piece(NAME, record, offset, fault))
