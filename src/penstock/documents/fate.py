"""The fate of a document: what happens to a raw record, up to the last event of its document.

Both forms of the event stage take each record through the same ``Fate``. They differ in when they deliver its
events, and in whether its processing steps may wait.
"""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING
from uuid import uuid4

from penstock.document import Document, checked_id, content_hash, is_ordinary_id
from penstock.documents.encoded import EncodedDocument
from penstock.documents.parsed import ParsedRecord, has_checked_documents, has_validate, parse_with, refusal
from penstock.documents.revised_ids import RevisedIds
from penstock.documents.settings import checked
from penstock.documents.writable import fault_of
from penstock.errors import DocumentError, NotAwaited, UnwritableDocument
from penstock.events import DocumentCompleted, DocumentFailed, DocumentStarted
from penstock.redact import redact, redact_json
from penstock.runtime.failures import text_of
from penstock.runtime.functions import Plain
from penstock.runtime.policy import Series, is_retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.abc import Source
    from penstock.document import RawRecord
    from penstock.documents.settings import Settings
    from penstock.runtime.run import Run


class Context:
    """What all documents of a run share: their source, the settings, and the constant fields of events."""

    def __init__(self, source: Source, settings: Settings, run: Run) -> None:
        self.source = source
        self.name = source.name
        self.settings = settings
        self.run = run
        self.pipeline_id = settings.pipeline_id or uuid4().hex
        self.parameters = redact_json(source.parameters)
        self.validates = has_validate(source)
        self.where = [Plain(function, "where") for function in settings.where]
        self.revised = RevisedIds() if settings.revised is None else settings.revised
        known = has_checked_documents(source)
        self.name_of = source.identify if known else self._checked_id
        self.checks = not known or bool(settings.process)
        """Whether a document may be one that no sink can write."""

    def _checked_id(self, raw: RawRecord) -> str:
        doc_id = self.source.identify(raw)
        return doc_id if type(doc_id) is str and is_ordinary_id(doc_id) else checked_id(doc_id)

    def identify(self, raw: RawRecord) -> tuple[str, Exception | None]:
        """Return the document's id; if the source finds none, the record's key and the error."""
        if type(raw) is ParsedRecord and raw.outcome is not None:
            return (raw.key, _as_error(raw.outcome)) if raw.doc_id is None else (raw.doc_id, None)
        if refused := refusal(raw):
            return getattr(raw, "doc_id", None) or raw.key, refused
        try:
            return self.name_of(raw), None
        except Exception as error:  # noqa: BLE001  a bad record is data
            return raw.key, error

    def read(self, raw: RawRecord) -> Document | Exception | None:
        """Parse and validate a record. Returns the error if it is bad, ``None`` if ``where`` is false.

        A record that was parsed already is parsed again only for another attempt.
        """
        try:
            outcome: Document | Exception | None = None
            if type(raw) is ParsedRecord:
                outcome, raw.outcome = raw.outcome, None
            if outcome is None:
                outcome = refusal(raw) or parse_with(self.source, raw, validates=self.validates)
            if isinstance(outcome, Exception):
                return outcome
            if self.settings.keep_raw and outcome.raw is None:
                outcome = outcome.model_copy(update={"raw": raw.data})
            return outcome if all(accept.function(outcome) for accept in self.where) else None
        except NotAwaited:  # a fault of the pipeline: every document would fail
            raise
        except Exception as error:  # noqa: BLE001  a bad record is data
            return error

    async def compare(self, records: list[RawRecord]) -> tuple[set[int], set[int]]:
        """Return the indices of records that earlier runs completed: unchanged ones, and changed ones."""
        same, changed = set[int](), set[int]()
        if self.settings.compare is None or not records:
            return same, changed
        named = [(i, *self.identify(raw), raw) for i, raw in enumerate(records)]
        asked = [(i, doc_id, _hash(raw)) for i, doc_id, error, raw in named if error is None]
        answers = await self.settings.compare([(doc_id, digest) for _, doc_id, digest in asked])
        for (i, _, _), standing in zip(asked, answers, strict=True):
            if standing != "new":
                (same if standing == "unchanged" else changed).add(i)
        return same, changed

    def outdated(self, raw: RawRecord) -> bool:
        """Whether this run has taken another content of an unchanged record's document before it."""
        return bool(self.revised) and self.identify(raw)[0] in self.revised


def _as_error(outcome: Document | Exception) -> Exception | None:
    return outcome if isinstance(outcome, Exception) else None


def _hash(raw: RawRecord) -> str:
    if type(raw) is ParsedRecord and isinstance(raw.outcome, Document):
        return raw.outcome.content_hash
    return content_hash(raw.data)


class Fate:
    """What happens to one document, over all its attempts.

    An attempt is ``read()``, then ``process()`` or ``process_async()``, then ``finish()``. Another attempt
    follows if ``finish`` has set ``retry_at``.

    Args:
        context: What it shares with the other documents.
        raw: Its record.
        began: When its first attempt began (Unix time).
        delivered: How many of its events were delivered before.
        changed: Whether an earlier run completed the document with another content.
    """

    def __init__(
        self, context: Context, raw: RawRecord, began: float, delivered: int, *, changed: bool = False
    ) -> None:
        self._context = context
        self._raw = raw
        self._began = raw.began if type(raw) is ParsedRecord else began
        self.doc_id, self._nameless = context.identify(raw)
        self.changed = changed
        self.retry_at: float | None = None
        """Time of the loop at which the next attempt is due; ``None`` if there is none."""
        self._announced = delivered > 0
        self._retries = max(delivered - 1, 0)
        self._series: Series | None = None
        self._outcome: Document | Exception | None = None

    def read(self) -> Iterator[DocumentStarted]:
        """Parse and validate the record; yield the ``DocumentStarted`` if it is due.

        It is due before parsing. With ``where`` it is due after parsing, if the document is not left out.
        """
        context = self._context
        if not self._announced and not context.settings.where:
            yield self._announce()
        self._outcome = self._nameless or context.read(self._raw)
        if not self._announced and self._outcome is not None:
            yield self._announce()
        if self._announced and self.changed:
            context.revised.add(self.doc_id)

    def _announce(self) -> DocumentStarted:
        context, self._announced = self._context, True
        return DocumentStarted(
            self._began, context.pipeline_id, self.doc_id, context.name, context.parameters
        )

    def process(self) -> None:
        """Take the document through the processing steps."""
        document = self._outcome
        if not isinstance(document, Document):
            return
        try:
            for step in self._context.settings.process:
                document = checked(step, step(document))
            self._outcome = document
        except NotAwaited:
            raise
        except Exception as error:  # noqa: BLE001  a document that fails is data
            self._outcome = error

    async def process_async(self) -> None:
        """Take the document through processing steps that may be async."""
        document = self._outcome
        if not isinstance(document, Document):
            return
        try:
            for step in self._context.settings.process:
                result = step(document)
                document = checked(step, await result if asyncio.iscoroutine(result) else result)
            self._outcome = document
        except Exception as error:  # noqa: BLE001  a document that fails is data
            self._outcome = error

    def fail(self, error: Exception) -> None:
        """Let the attempt end with ``error``."""
        self._outcome = error

    def finish(self) -> DocumentCompleted | DocumentFailed | None:
        """Return the event that ends the attempt; ``None`` if the document is left out."""
        context, outcome = self._context, self._outcome
        if context.checks and isinstance(outcome, Document):
            outcome = unwritable(outcome, json=context.settings.writable) or outcome
        if isinstance(outcome, Document):
            self.retry_at, ended = None, context.run.clock.time()
            duration = max(ended - self._began, 0.0)
            return DocumentCompleted(
                ended, context.pipeline_id, self.doc_id, context.name, outcome, duration, self._retries
            )
        if outcome is None and not self._announced:
            return None
        return self._lose(outcome or DocumentError("left out by where, after a failed attempt was announced"))

    def _lose(self, error: Exception) -> DocumentFailed:
        """Set the time of the next attempt, if there is one; return the event of this one."""
        context, raw, retries = self._context, self._raw, self._retries
        policy, now = context.settings.retry, asyncio.get_running_loop().time()
        if self._series is None:
            self._series = Series(policy, retries + 1)
        never = isinstance(error, UnwritableDocument)
        delay = None if never else self._series.failed(error, now)
        self.retry_at = None if delay is None else now + delay
        self._retries += 1
        known = isinstance(error, DocumentError)
        trace = None if known else redact("".join(traceback.format_exception(error)))
        return DocumentFailed(
            context.run.clock.time(), context.pipeline_id, self.doc_id, context.name,
            redact(text_of(error)), type(error).__name__, retries,
            not never and (is_retryable(error) if policy is None else policy.retries(error)),
            delay is not None, trace, raw.data, raw.key, redact_json(raw.context),
        )  # fmt: skip


def unwritable(document: Document, *, json: bool = True) -> UnwritableDocument | None:
    """Return the error of a document that no sink can write; ``None`` if every sink can. See `fault_of`.

    What another process has encoded for the sink was checked there.
    """
    if type(document) is EncodedDocument:
        return None
    fault = fault_of(document, json=json)
    if not fault:
        return None
    return UnwritableDocument(
        f"this document cannot be written: {fault}; correct the adapter or the step that left it so"
    )
