"""The five events of a running pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penstock.document import Document  # noqa: TC001  get_type_hints needs it at run time


@dataclass(slots=True)
class PipelineEvent:
    """The base of all events. Do not modify events.

    ``timestamp`` is Unix time in seconds. ``pipeline_id`` is the name of the run.
    """

    timestamp: float
    pipeline_id: str


@dataclass(slots=True)
class DocumentStarted(PipelineEvent):
    """A document was identified. Parsing begins after this event."""

    doc_id: str
    adapter: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DocumentCompleted(PipelineEvent):
    """A document passed every step, ``duration`` seconds after its ``DocumentStarted``."""

    doc_id: str
    adapter: str
    document: Document
    duration: float
    retry_count: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DocumentFailed(PipelineEvent):
    """An attempt at a document failed. ``will_retry`` tells whether another attempt follows.

    ``raw``, ``key`` and ``context`` come from the ``RawRecord``, for dead letters. They are not in the wire
    form.
    """

    doc_id: str | None
    adapter: str
    error: str
    error_type: str
    retry_count: int = 0
    is_retryable: bool = False
    will_retry: bool = False
    traceback: str | None = None
    raw: bytes | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    context: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class BatchProgress(PipelineEvent):
    """Totals of the logical run. ``rate`` is in documents per second. ``eta_seconds`` needs a total."""

    completed: int
    failed: int
    skipped: int
    in_flight: int
    estimated_total: int | None = None
    rate: float = 0.0
    eta_seconds: float | None = None
    is_checkpoint: bool = False


@dataclass(slots=True)
class AdapterStateChange(PipelineEvent):
    """The adapter is now ``running``, ``retrying``, ``completed``, ``failed`` or ``cancelled``."""

    adapter: str
    old_state: str
    new_state: str
    reason: str | None = None


EVENTS: tuple[type[PipelineEvent], ...] = (
    DocumentStarted,
    DocumentCompleted,
    DocumentFailed,
    BatchProgress,
    AdapterStateChange,
)
"""The five events that are emitted. Only these have a wire form."""
