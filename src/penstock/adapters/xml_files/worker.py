"""A process that parses files: it reads questions from standard input and answers on standard output."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, BinaryIO

from penstock.adapters.xml_files.archives import Member, OpenTars
from penstock.adapters.xml_files.frames import (
    LENGTH,
    Failed,
    Open,
    Parsed,
    ParsedRecord,
    decode_question,
    frame,
    pack,
)
from penstock.adapters.xml_files.inventory import InputFile
from penstock.adapters.xml_files.reading import PAGE_BYTES
from penstock.adapters.xml_files.records import FileRecords
from penstock.errors import DocumentError, SourceError

if TYPE_CHECKING:
    from penstock.adapters.xml_files.frames import Answer, Question
    from penstock.adapters.xml_files.source import XmlFilesSource
    from penstock.document import RawRecord

_FOREVER = 3600.0  # seconds


def main() -> None:
    """Serve the source that ``sys.argv[2]`` describes, until standard input ends."""
    module, name, options = json.loads(sys.argv[2])
    kind: type[XmlFilesSource] = getattr(importlib.import_module(module), name)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that a print() does not break the frames
    try:
        serve(kind("the files that are asked for", **options), sys.stdin.buffer, answers)
    except BrokenPipeError:  # the parent is gone
        os._exit(0)


def serve(source: XmlFilesSource, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer each `More` with a page of the file that was opened last, until the questions end."""
    records: FileRecords | None = None
    tars = OpenTars()
    first = count = 0
    for question in iter(lambda: _receive(questions), None):
        if isinstance(question, Open):
            if records is not None:
                records.close()
            member = None if question.member is None else Member(*question.member)
            file = InputFile(question.name, question.path, member)
            records = FileRecords(file, source.format, question.start, tars)
            first, count = question.first, question.count
        elif records is not None and not records.finished:
            answers.write(frame(_page(source, records, first)))
            answers.flush()
            first = count


def _receive(questions: BinaryIO) -> Question | None:
    """Return the next question, or ``None`` at the end."""
    head = questions.read(LENGTH)
    if len(head) < LENGTH:
        return None
    size = int.from_bytes(head)
    body = questions.read(size)
    return decode_question(body) if len(body) == size else None


def _page(source: XmlFilesSource, records: FileRecords, count: int) -> Answer:
    try:
        records.gather(count, PAGE_BYTES, _FOREVER)
        rows = [_parse(source, raw) for raw in records.take(count, PAGE_BYTES)]
    except SourceError as error:
        cause = error.__cause__
        return Failed(str(error), number=(cause.errno or 0) if isinstance(cause, OSError) else 0)
    except Exception as error:  # noqa: BLE001 - sent to the parent
        return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
    return Parsed(rows, records.seen, records.consumed, records.finished)


def _parse(source: XmlFilesSource, raw: RawRecord) -> ParsedRecord:
    record = ParsedRecord(raw.key, raw.data, raw.context)
    try:
        record.doc_id = source.identify(raw)
    except DocumentError as error:
        record.error = str(error)
        return record
    outcome = source.parse(raw)
    if outcome.is_ok():
        record.parsed = pack(outcome.ok)
    else:
        record.error = str(outcome.error)
    return record
