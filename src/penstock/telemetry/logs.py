"""Events as records of a log."""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

from penstock.errors import MissingExtra
from penstock.events import EVENTS, AdapterStateChange, BatchProgress, DocumentFailed, PipelineEvent
from penstock.runtime.arguments import refuse
from penstock.telemetry.isolation import QUEUE, SECONDS, Events, InThread

_LEFT_OUT = frozenset({"document", "raw", "key", "context", "parameters", "metadata"})
_NAMES = {
    "DocumentStarted": "document_started",
    "DocumentCompleted": "document_completed",
    "DocumentFailed": "document_failed",
    "BatchProgress": "batch_progress",
    "AdapterStateChange": "adapter_state_change",
}


class EventLog(InThread):
    """A hook that logs events, in a thread of its own, with the bound that `isolated` describes.

    A failed attempt is a ``WARNING``, a change of state and a ``BatchProgress`` are ``INFO``, all else is
    ``DEBUG``. The fields of the event, without the document, are fields of the log record (``extra=``);
    ``event`` is the kind: ``document_failed`` and so on. ``timestamp`` is that of the event.

    Args:
        logger: A ``logging.Logger`` (by default that of ``penstock.events``), or a logger of structlog.
        structlog: Log through ``structlog.get_logger("penstock.events")``.
        queue: See `isolated`.
        seconds: See `isolated`.

    Raises:
        MissingExtra: ``structlog=True``, and structlog is not installed.
        GraphError: an argument is invalid.
    """

    def __init__(
        self,
        logger: Any = None,
        *,
        structlog: bool = False,
        queue: int = QUEUE,
        seconds: float = SECONDS,
    ) -> None:
        super().__init__(self._log, queue=queue, seconds=seconds, name="EventLog")
        if structlog and logger is None:
            try:
                import structlog as library
            except ImportError as error:
                raise MissingExtra("EventLog(structlog=True)", "structlog") from error
            logger = library.get_logger("penstock.events")
        self._logger = logging.getLogger("penstock.events") if logger is None else logger
        if not callable(getattr(self._logger, "log", None)):
            refuse("EventLog", "a logger", logger, "logger")
        self._plain = isinstance(self._logger, logging.Logger | logging.LoggerAdapter)

    def take(self, events: Events) -> None:
        """Pass on those events that the logger wants: most programs do not log at ``DEBUG``."""
        if self._plain and not self._logger.isEnabledFor(logging.DEBUG):
            enabled = self._logger.isEnabledFor
            events = [event for event in events if enabled(level_of(event))]
        super().take(events)

    def _log(self, events: Events) -> None:
        log = self._logger.log
        for event in events:
            name = type(event).__name__
            kind = _NAMES.get(name, name)
            found = {field: getattr(event, field) for field in _FIELDS[type(event)]}
            if self._plain:
                log(level_of(event), "%s", _sentence(event, kind), extra={"event": kind, **found})
            else:
                log(level_of(event), kind, **found)


def level_of(event: PipelineEvent) -> int:
    """Return the level at which an event is logged."""
    if isinstance(event, DocumentFailed):
        return logging.WARNING
    return logging.INFO if isinstance(event, AdapterStateChange | BatchProgress) else logging.DEBUG


_FIELDS = {kind: tuple(one.name for one in fields(kind) if one.name not in _LEFT_OUT) for kind in EVENTS}


def _sentence(event: PipelineEvent, kind: str) -> str:
    if isinstance(event, DocumentFailed):
        after = "it is tried again" if event.will_retry else "it is a dead letter"
        return f"{event.adapter}: {event.doc_id or 'a document'} failed, {after}: {event.error}"
    if isinstance(event, BatchProgress):
        return (
            f"{event.completed} completed, {event.failed} failed, {event.skipped} skipped, {event.rate:.1f}/s"
        )
    if isinstance(event, AdapterStateChange):
        why = f": {event.reason}" if event.reason else ""
        return f"{event.adapter}: {event.old_state} -> {event.new_state}{why}"
    return f"{getattr(event, 'adapter', '')}: {kind.replace('_', ' ')} {getattr(event, 'doc_id', '')}"
