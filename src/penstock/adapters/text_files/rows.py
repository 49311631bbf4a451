"""Tables in text (CSV, TSV) as a `Source`: the first row of a file names the columns."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.adapters.text_files.lines import LineSplitter
from penstock.adapters.text_files.source import TextFilesSource
from penstock.errors import DocumentError, SourceError

if TYPE_CHECKING:
    import os

    from penstock.adapters.xml_files.records import TextSplitter
    from penstock.adapters.xml_files.splitter import Piece
    from penstock.document import RawRecord


class RowsSource(TextFilesSource):
    """Rows of tables. The bytes of a record are the row that names the columns, and then the row itself.

    Empty fields are left out of the metadata; all other values are text. RFC 4180 describes the format.

    Args:
        paths: Files and globs, at least one.
        delimiter: The character between fields; by default a tab in files whose first line has one, otherwise
            a comma.
        quote: The character around fields that contain others; ``""`` if quotes are ordinary characters. By
            default ``"``, but none in files with tabs.
        options: Those of `TextFilesSource`.
    """

    name: ClassVar[str] = "csv"
    members: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")

    def __init__(
        self,
        *paths: str | os.PathLike[str],
        delimiter: str | None = None,
        quote: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*paths, **options)
        for name, value in (("delimiter", delimiter), ("quote", quote)):
            if value and (len(value) != 1 or not value.isascii() or value in "\r\n"):
                raise ValueError(f"{name} must be one ASCII character, not {value!r}")
        if delimiter == "":
            raise ValueError("delimiter must be one ASCII character, not ''")
        self._delimiter, self._quote = delimiter, quote
        if delimiter is not None or quote is not None:
            self._context["dialect"] = [delimiter, quote]

    def splitter(self, max_record_bytes: int) -> TextSplitter:
        """Return a splitter of rows."""
        return RowSplitter(max_record_bytes, self._delimiter, self._quote)

    def read(self, raw: RawRecord) -> dict[str, Any]:
        """Return the fields that are not empty, by the names of their columns."""
        try:
            text = raw.data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DocumentError(
                f"record {raw.key} is not UTF-8: {error.reason} at byte {error.start}"
            ) from None
        given = raw.context.get("dialect") or (self._delimiter, self._quote)
        names, *rows = _rows(text, *_dialect(raw.data, *given))
        if len(rows) != 1:
            raise DocumentError(f"record {raw.key} is not one row, but {len(rows)}: a quote may be missing")
        (row,) = rows
        if len(row) != len(names):
            raise DocumentError(f"record {raw.key} has {len(row)} fields, and the first row has {len(names)}")
        return {name: value for name, value in zip(names, row, strict=True) if value != ""}


class RowSplitter:
    """Splits a table into rows, each behind the row that names the columns.

    Args:
        max_record_bytes: A larger row is not kept in memory; it becomes a faulty one.
        delimiter: The character between fields, if it is known.
        quote: The quote character, if it is known; ``""`` if there is none.
    """

    def __init__(self, max_record_bytes: int, delimiter: str | None, quote: str | None) -> None:
        self._max = max_record_bytes
        self._given = delimiter, quote
        self._begin = b""
        self._lines: LineSplitter | None = None
        self._head: bytes | None = None

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete."""
        if self._lines is None:
            self._begin += data
            if b"\n" not in self._begin.lstrip() and len(self._begin) <= self._max:
                return []
            data = self._start()
        assert self._lines is not None  # noqa: S101  _start has made it
        return self._behind_the_head(self._lines.feed(data))

    def close(self) -> list[Piece]:
        """End the text and return the last record."""
        first = [] if self._lines is not None else self.feed(b"\n")
        return first + self._behind_the_head(self._lines.close() if self._lines else [])

    def _start(self) -> bytes:
        data, self._begin = self._begin.lstrip(b"\r\n"), b""
        _, quote = _dialect(data, *self._given)
        self._lines = LineSplitter(self._max, quote.encode())
        return data

    def _behind_the_head(self, pieces: list[Piece]) -> list[Piece]:
        if self._head is None and pieces:
            first = pieces.pop(0)
            self._head = _checked(first, *self._given)
        head = self._head or b""
        return [piece._replace(data=b"%b\n%b" % (head, piece.data)) for piece in pieces]


def _checked(first: Piece, delimiter: str | None, quote: str | None) -> bytes:
    """Return the row that names the columns; raise ``SourceError`` if it cannot."""
    if first.fault:
        raise SourceError(f"its first row should name the columns, but cannot be read: {first.fault}")
    try:
        (names,) = _rows(first.data.decode("utf-8"), *_dialect(first.data, delimiter, quote))
    except (UnicodeDecodeError, ValueError, DocumentError) as error:
        raise SourceError(f"its first row should name the columns, but cannot be read: {error}") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        what = f"two columns are named {twice[0]!r}" if twice and twice[0] else "a column has no name"
        raise SourceError(f"its first row should name the columns, but {what}")
    return first.data


def _dialect(data: bytes, delimiter: str | None, quote: str | None) -> tuple[str, str]:
    line = data.partition(b"\n")[0]
    delimiter = delimiter or ("\t" if b"\t" in line else ",")
    return delimiter, ("" if delimiter == "\t" else '"') if quote is None else quote


def _rows(text: str, delimiter: str, quote: str) -> list[list[str]]:
    usual = csv.field_size_limit()  # of this process; the splitter has limited the record already
    try:
        if len(text) > usual:
            csv.field_size_limit(len(text))
        lines = _lines(text)
        if quote:
            return [*csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)]
        return [*csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)]
    except csv.Error as error:
        raise DocumentError(f"the row cannot be read: {error}") from None
    finally:
        csv.field_size_limit(usual)


def _lines(text: str) -> list[str]:
    """Split at line feeds alone: ``str.splitlines`` knows nine other ends, which may stand in a field."""
    return [line + "\n" for line in text.split("\n")]
