"""What processes that parse files and the one that asks them say to each other, in MessagePack.

A frame is eight bytes of length, big-endian, and a message. The asking side sends `Open` for a file and one
`More` for each page that it may send ahead; the answering side sends a `Parsed` page for each, and `Failed`
where a file cannot be read on. When the asking side is gone, however it went, its end of the pipe is
closed, and so the answering side ends as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.adapters.xml_files.outcome import ok
from penstock.document import Document, RawRecord
from penstock.errors import DocumentError
from penstock.system.processes import LENGTH
from penstock.system.processes import frame as framed

if TYPE_CHECKING:
    from expression import Result

__all__ = [
    "LENGTH",
    "Answer",
    "Failed",
    "More",
    "Open",
    "Parsed",
    "ParsedRecord",
    "Question",
    "decode_answer",
    "decode_question",
    "encode",
    "frame",
    "freeze",
    "thaw",
]


class Open(msgspec.Struct, tag=True, array_like=True):
    """Read this file from a record on; the first page may have another size than the others."""

    name: str
    path: str
    start: int
    first: int
    count: int


class More(msgspec.Struct, tag=True, array_like=True):
    """One more page, please."""


class Row(msgspec.Struct, array_like=True):
    """A record, and what became of it: ``parsed`` is a document, or ``error`` says why there is none."""

    key: str
    data: bytes
    context: dict[str, Any]
    doc_id: str
    parsed: bytes
    error: str


class Parsed(msgspec.Struct, tag=True, array_like=True):
    """A page of records, and how the file stands behind it."""

    rows: list[Row]
    seen: int
    consumed: int
    finished: bool


class Failed(msgspec.Struct, tag=True, array_like=True):
    """The file cannot be read on. ``crash`` is a traceback, if it is the program that failed."""

    message: str
    crash: str = ""


Question = Open | More
Answer = Parsed | Failed

_encoder = msgspec.msgpack.Encoder()
_questions: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_documents = msgspec.msgpack.Decoder(dict[str, Any])

decode_question = _questions.decode
decode_answer = _answers.decode


def encode(message: Question | Answer) -> bytes:
    """Return the bytes of a message."""
    return _encoder.encode(message)


def frame(message: Question | Answer) -> bytes:
    """Return the bytes of a message, with their length in front."""
    return framed(encode(message))


@dataclass(slots=True)
class ParsedRecord(RawRecord):
    """A record that another process has parsed already; the document waits in its packed form.

    It is a record like any other: what is stored of it (key, data, context) can be parsed again anywhere.
    """

    doc_id: str = ""
    parsed: bytes = b""
    error: str = ""

    def identity(self) -> str:
        """Return the ``doc_id``; raise `DocumentError` if there is none."""
        if self.doc_id:
            return self.doc_id
        raise DocumentError(self.error)

    def document(self) -> Result[Document, DocumentError]:
        """Return the document, or the error."""
        from expression import Error

        if self.parsed:
            return ok(Document(**_documents.decode(self.parsed)))
        return Error(DocumentError(self.error))


def thaw(row: Row) -> ParsedRecord:
    """Make a record of a row."""
    return ParsedRecord(row.key, row.data, row.context, row.doc_id, row.parsed, row.error)


def freeze(raw: RawRecord, doc_id: str, outcome: Result[Document, DocumentError]) -> Row:
    """Make a row of a record and what became of it."""
    if outcome.is_ok():
        return Row(raw.key, raw.data, raw.context, doc_id, _encoder.encode(vars(outcome.ok)), "")
    return Row(raw.key, raw.data, raw.context, doc_id, b"", str(outcome.error))
