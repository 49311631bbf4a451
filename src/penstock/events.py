"""What a pipeline says while it runs: five events, and their form on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from penstock.document import Document

__all__ = [
    "AdapterStateChange",
    "BatchProgress",
    "DocumentCompleted",
    "DocumentFailed",
    "DocumentStarted",
    "PipelineEvent",
]


@dataclass(slots=True)
class PipelineEvent:
    """The root of the hierarchy; read-only by contract.

    ``timestamp`` is Unix time in seconds, ``pipeline_id`` names the run.
    """

    timestamp: float
    pipeline_id: str


@dataclass(slots=True)
class DocumentStarted(PipelineEvent):
    """A document was recognised; nothing of it has been parsed yet."""

    doc_id: str
    adapter: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DocumentCompleted(PipelineEvent):
    """A document passed every step. ``duration`` is in seconds, from its ``DocumentStarted``."""

    doc_id: str
    adapter: str
    document: Document
    duration: float
    retry_count: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DocumentFailed(PipelineEvent):
    """One attempt at a document failed; ``will_retry`` says whether there is another.

    ``raw`` holds the bytes of the record for dead letters; it never goes on the wire.
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


@dataclass(slots=True)
class BatchProgress(PipelineEvent):
    """Sums of the logical run so far. ``rate`` is documents per second, ``eta_seconds`` needs a total."""

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
    """The adapter went from one state to another: ``running``, ``retrying``, ``completed``, ``failed``, ``cancelled``."""

    adapter: str
    old_state: str
    new_state: str
    reason: str | None = None
