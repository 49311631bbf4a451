"""The messages between this process and the processes that parse files for it, in MessagePack.

A frame is the length of a message in eight bytes, big-endian, and then the message. The parent sends `Open`
for a file and one `More` for each page that the worker may send. The worker answers each `More` with a
`Parsed` page, or with `Failed` if the file cannot be read further. When the parent ends, for any reason,
the pipe closes, and the worker ends as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from expression import Error

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
    "pack",
]


@dataclass(slots=True)
class ParsedRecord(RawRecord):
    """A record that another process has parsed: ``parsed`` is its packed document, or ``error`` says why not.

    ``doc_id`` is empty if the record could not be identified. Key, data and context are those of any other
    record, so it can be stored and parsed again anywhere.
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
        if self.parsed:
            return ok(Document(**_documents.decode(self.parsed)))
        return Error(DocumentError(self.error))


class Open(msgspec.Struct, tag=True, array_like=True):
    """Read this file from record ``start`` on; the first page may have another size than the others."""

    name: str
    path: str
    member: tuple[str, int, str, int] | None
    start: int
    first: int
    count: int


class More(msgspec.Struct, tag=True, array_like=True):
    """Send one more page."""


class Parsed(msgspec.Struct, tag=True, array_like=True):
    """A page of records, and the state of the file after it; see `Reading`."""

    rows: list[ParsedRecord]
    seen: int
    consumed: int
    finished: bool


class Failed(msgspec.Struct, tag=True, array_like=True):
    """The file cannot be read further.

    ``crash`` is a traceback if the cause is a bug in the program, ``number`` that of an error of the system.
    """

    message: str
    crash: str = ""
    number: int = 0


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


def pack(document: Document) -> bytes:
    """Return the bytes of a document, for `ParsedRecord.parsed`."""
    return _encoder.encode(vars(document))
