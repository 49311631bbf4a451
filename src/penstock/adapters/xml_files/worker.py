"""A process that parses files: answers on standard output what it is asked on standard input."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, BinaryIO

from penstock.adapters.xml_files.frames import (
    LENGTH,
    Failed,
    Open,
    Parsed,
    Row,
    decode_question,
    frame,
    freeze,
)
from penstock.adapters.xml_files.inventory import InputFile
from penstock.adapters.xml_files.reading import PAGE_BYTES
from penstock.adapters.xml_files.records import FileRecords
from penstock.errors import DocumentError, SourceError

if TYPE_CHECKING:
    from penstock.adapters.xml_files.frames import Answer, Question
    from penstock.adapters.xml_files.source import XmlFilesSource
    from penstock.document import RawRecord

__all__ = ["main", "serve"]

_FOREVER = 3600.0


def main() -> None:
    """Serve the source that ``sys.argv[2]`` describes, until standard input ends."""
    module, name, options = json.loads(sys.argv[2])
    kind: type[XmlFilesSource] = getattr(importlib.import_module(module), name)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whoever prints must not break the frames
    try:
        serve(kind("the files that are asked for", **options), sys.stdin.buffer, answers)
    except BrokenPipeError:  # whoever asked is gone
        os._exit(0)


def serve(source: XmlFilesSource, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end: for each file a page for each `More`, until it is finished."""
    records: FileRecords | None = None
    first = count = 0
    for question in iter(lambda: _ask(questions), None):
        if isinstance(question, Open):
            if records is not None:
                records.close()
            file = InputFile(question.name, question.path)
            records = FileRecords(file, source.format, question.start)
            first, count = question.first, question.count
        elif records is not None and not records.finished:
            answers.write(frame(_page(source, records, first)))
            answers.flush()
            first = count


def _ask(questions: BinaryIO) -> Question | None:
    """Return the next question, or ``None`` when there are no more."""
    head = questions.read(LENGTH)
    if len(head) < LENGTH:
        return None
    size = int.from_bytes(head)
    body = questions.read(size)
    return decode_question(body) if len(body) == size else None


def _page(source: XmlFilesSource, records: FileRecords, count: int) -> Answer:
    try:
        records.gather(count, PAGE_BYTES, _FOREVER)
        rows = [_row(source, raw) for raw in records.take(count, PAGE_BYTES)]
    except SourceError as error:
        return Failed(str(error))
    except Exception as error:  # noqa: BLE001 - it crosses to the process that asked
        return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
    return Parsed(rows, records.seen, records.consumed, records.finished)


def _row(source: XmlFilesSource, raw: RawRecord) -> Row:
    try:
        doc_id = source.identify(raw)
    except DocumentError as error:
        return Row(raw.key, raw.data, raw.context, "", b"", str(error))
    return freeze(raw, doc_id, source.parse(raw))
