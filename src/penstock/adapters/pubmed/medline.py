"""MEDLINE text (``.txt``, ``.nbib``): splits a file into its records, and writes a record as PubMed XML.

A record is a list of fields: a tag of two to four characters, filled up with blanks, then ``- `` and the
value; further lines of a value begin with blanks (https://www.nlm.nih.gov/bsd/mms/medlineelements.html).
Records are separated by empty lines. A record is converted to XML and read by the parser of XML, so both
formats give the same document, as far as the text has the data. A field without a counterpart in the XML
becomes an element of its own name; so it ends in ``metadata["extra"]``, as an unknown element does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.adapters.pubmed.medline_xml import MedlineRecord
from penstock.adapters.xml_files.splitter import HEAD_BYTES, Piece
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "MEDLINE"
"""The name of the pieces."""

_FIELD = re.compile(r"([A-Z][A-Z0-9]{1,3}) {0,2}- ?(.*)")
_FIRST = re.compile(rb"[A-Z][A-Z0-9]{1,3} {0,2}- ")
_LONGEST_TAG = len("PMID- ")
# A record begins at its PMID, or at any field behind an empty line.
_BORDER = re.compile(rb"\n(?=PMID- )|\n[ \t\r]*\n\s*(?=[A-Z][A-Z0-9]{1,3} {0,2}- )")
_OWN_PMID = re.compile(rb"(?:\A|\n)PMID- *(\w+)[ \r]*(?:\n|\Z)")
_TAIL = 4096


def begins_medline(head: bytes) -> bool | None:
    """Return whether a file that begins with ``head`` is MEDLINE text; ``None`` if more of it is needed."""
    text = head.lstrip()
    if len(text) < _LONGEST_TAG and b"\n" not in text and not text.startswith(b"<"):
        return None
    return _FIRST.match(text) is not None


def is_medline(data: bytes) -> bool:
    """Return whether a record is MEDLINE text."""
    return _FIRST.match(data) is not None


def medline_pmid(data: bytes) -> bytes:
    """Return the PMID of a record as an element, which is empty if there is none."""
    match = _OWN_PMID.search(data)
    return b'<PMID Version="1">%s</PMID>' % (match[1] if match else b"")


class MedlineSplitter:
    """Splits one stream, as `RecordSplitter` does for XML.

    Args:
        max_record_bytes: A larger record is not kept in memory; it becomes a faulty one.
    """

    def __init__(self, max_record_bytes: int) -> None:
        self._max = max_record_bytes
        self._buffer = bytearray()
        self._base = 0
        self._searched = 0
        self._dropped = 0  # bytes of a record that is too large
        self._head = b""

    def feed(self, data: bytes) -> list[Piece]:
        """Take the next bytes and return the records that they complete."""
        self._buffer += data
        found: list[Piece] = []
        while (border := _BORDER.search(self._buffer, self._searched)) is not None:
            found += self._cut(border.start(), border.end())
        tail = bytes(self._buffer[-_TAIL:])  # a border may begin in the white space before its last line
        line = tail.rfind(b"\n")
        unsearched = len(tail) if line < 0 else len(tail) - len(tail[:line].rstrip())
        self._searched = max(0, len(self._buffer) - unsearched)
        if self._dropped + len(self._buffer) > self._max:
            self._drop()
        return found

    def close(self) -> list[Piece]:
        """End the stream and return the last record."""
        return self._cut(len(self._buffer), len(self._buffer))

    def _cut(self, end: int, following: int) -> list[Piece]:
        data, offset = bytes(self._buffer[:end]), self._base - self._dropped
        del self._buffer[:following]
        self._base += following
        self._searched = 0
        size, self._dropped = self._dropped + len(data), 0
        if size > self._max:
            head, self._head = self._head or data[: min(HEAD_BYTES, self._max)], b""
            return [Piece(NAME, head, offset, f"it has {size} bytes, {_LIMIT.format(self._max)}")]
        record = data.strip()
        return [Piece(NAME, record, offset)] if record else []

    def _drop(self) -> None:
        """Forget what was searched of a record that is too large, except for its beginning."""
        if not self._head:
            self._head = bytes(self._buffer[: min(HEAD_BYTES, self._max)])
        del self._buffer[: self._searched]
        self._base += self._searched
        self._dropped += self._searched
        self._searched = 0


_LIMIT = "more than the {} that max_record_bytes allows"


def medline_xml(data: bytes, key: str = "") -> bytes:
    """Return a record as the XML of a ``PubmedArticle``.

    Raises:
        DocumentError: it is not UTF-8, or has no field.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"record {key} is not UTF-8: {error.reason} at byte {error.start}; fetch it again"
        raise DocumentError(message) from error
    record = MedlineRecord()
    for tag, value in _fields(text):
        record.take(tag, value)
    return record.xml()


def _fields(text: str) -> Iterator[tuple[str, str]]:
    tag, lines = "", list[str]()
    for line in text.split("\n"):
        match = _FIELD.match(line)
        if match is None:
            lines.append(line.strip())
            continue
        if tag:
            yield tag, " ".join(filter(None, lines))
        tag, lines = match[1], [match[2].strip()]
    if tag:
        yield tag, " ".join(filter(None, lines))
