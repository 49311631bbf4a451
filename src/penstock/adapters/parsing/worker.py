"""The work of a process that parses: it reads frames from one pipe and answers on another.

The first frame holds the pickled source and encoder. The answer to it is empty, or says why they cannot be
used. Each further frame is a pickled list of records ``(key, data, context)``; its answer is a pickled list
of `Answer`, one for each record.

The worker ends with the pipe to its parent, however the parent ends.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from penstock.abc.delivery import DEADLY
from penstock.document import Document, RawRecord, checked_id
from penstock.documents.parsed import has_checked_documents, has_validate, parse_with
from penstock.documents.writable import fault_of
from penstock.system.frames import LENGTH, framed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import Source

DOCUMENT, WHOLE, ENCODED, FAILED, NAMELESS, UNSENT = range(6)
"""What an answer holds: the fields of a document, a pickled document, what is needed of an encoded document,
an error of parsing, an error of ``identify``, or nothing, because it cannot be pickled."""

Answer = tuple[int, "str | None", Any]
"""What it holds, the ``doc_id``, and that; of an error, the pickled exception and its traceback or ``""``."""

_COLLECT_AFTER = 20_000  # new objects between two garbage collections: documents hold no cycles
_PIPE_BYTES = 1 << 20
_FIELDS = len(Document.model_fields)


class Parser:
    """Parses lists of records.

    Args:
        source: Identifies, parses and validates.
        encode: Encodes a document in the form of the sink; ``None`` if the document itself is wanted.
    """

    def __init__(self, source: Source, encode: Callable[[Document], bytes] | None) -> None:
        self._source = source
        self._encode = encode
        self._known = has_checked_documents(source)
        self._validates = has_validate(source)

    def answers(self, records: list[tuple[str, bytes, dict[str, Any]]]) -> bytes:
        """Return the pickled answers."""
        found = [self._answer(RawRecord(*record)) for record in records]
        try:
            return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)
        except Exception:  # noqa: BLE001 - a document may hold anything
            found = [one if _can_be_sent(one) else (UNSENT, one[1], None) for one in found]
            return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)

    def _answer(self, raw: RawRecord) -> Answer:
        try:
            doc_id = self._source.identify(raw) if self._known else checked_id(self._source.identify(raw))
        except Exception as error:  # noqa: BLE001 - a bad record is data
            return _failed(NAMELESS, None, error)
        try:
            outcome = parse_with(self._source, raw, validates=self._validates)
        except Exception as error:  # noqa: BLE001
            return _failed(FAILED, doc_id, error)
        if not isinstance(outcome, Document):
            return _failed(FAILED, doc_id, outcome)
        # Whoever looks at an encoded document parses its record in the main process.
        encode = None if DEADLY in raw.context else self._encode
        if encode is not None and type(outcome) is Document and (self._known or not fault_of(outcome)):
            with suppress(Exception):  # what cannot be encoded is sent as it is
                line = encode(outcome)
                return ENCODED, doc_id, (outcome.content_hash, outcome.deleted, line, outcome.doc_id)
        if type(outcome) is Document and len(outcome.model_fields_set) == _FIELDS:
            return DOCUMENT, doc_id, outcome.__dict__
        return WHOLE, doc_id, outcome


def _can_be_sent(answer: Answer) -> bool:
    try:
        pickle.dumps(answer, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001
        return False
    return True


def _failed(kind: int, doc_id: str | None, error: Exception) -> Answer:
    """Return the answer for an error, or `UNSENT` if it would arrive as another error."""
    try:
        data = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        arrived = pickle.loads(data)  # noqa: S301  our own: many exceptions can be pickled, but not unpickled
        same = type(arrived) is type(error) and str(arrived) == str(error)
    except Exception:  # noqa: BLE001  an exception's own methods may raise anything
        data, same = b"", False
    if not same:
        return UNSENT, doc_id, None
    return kind, doc_id, (data, "".join(traceback.format_exception(error)) if error.__traceback__ else "")


def main() -> None:
    """Answer the frames of standard input on standard output, until the input ends."""
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that a print does not break the frames
    work(sys.stdin.fileno(), answers)


def fork() -> None:
    """Import the modules that the command line names, then fork workers as the parent asks for them."""
    from penstock.system import forking

    for name in sys.argv[2:]:
        with suppress(Exception):  # the worker that needs it says so
            importlib.import_module(name)
    forking.main(work)


def work(questions: int, answers: int) -> None:
    """Answer the frames of one pipe on another, until the first ends."""
    for pipe in (questions, answers):
        _enlarge(pipe)
    try:
        with os.fdopen(questions, "rb") as asked, os.fdopen(answers, "wb") as out:
            for answer in _answers(asked):
                out.write(framed(answer))
                out.flush()
    except BrokenPipeError:  # the parent is gone
        os._exit(0)


def _enlarge(pipe: int) -> None:
    """Let a pipe hold a whole answer, so that the worker need not wait for its parent to read it."""
    with suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _answers(questions: BinaryIO) -> Iterator[bytes]:
    setup = _read(questions)
    if setup is None:
        return
    try:
        parser = Parser(*pickle.loads(setup))  # noqa: S301  from the parent
    except Exception:  # noqa: BLE001 - sent to the parent
        yield traceback.format_exc().encode()
        return
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    yield b""
    while (question := _read(questions)) is not None:
        yield parser.answers(pickle.loads(question))  # noqa: S301  from the parent


def _read(stream: BinaryIO) -> bytes | None:
    """Return the next frame, or ``None`` if the input has ended."""
    head = stream.read(LENGTH)
    if len(head) < LENGTH:
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    return body if len(body) == size else None
