"""Penstock: reactive streams for asyncio, driven by the consumer's demand."""

from typing import TYPE_CHECKING

from penstock import operators
from penstock.abc import Page, Position, Statistics, Subscription
from penstock.core.blueprint import Graph
from penstock.core.node import Order
from penstock.core.notifications import Completed, Failed, Next, Notification
from penstock.core.policy import RetryPolicy
from penstock.core.skipping import Skipped
from penstock.document import Document, RawRecord
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.flow import Connectable, Flow, GroupedFlow
from penstock.operators.failure import DeadLetters
from penstock.operators.generators import (
    from_callable,
    from_future,
    from_queue,
    iterate,
    range_,
    unfold,
)
from penstock.operators.sources import (
    defer,
    empty,
    fail,
    from_async_iterable,
    from_iterable,
    from_observable,
    from_pages,
    just,
    never,
    using,
)
from penstock.operators.timing import interval, timer

if TYPE_CHECKING:
    from penstock.pipeline import IngestionPipeline, IngestionResult, RunSummary

__version__ = "0.1.0"

_LATE = {
    "IngestionPipeline": "penstock.pipeline",
    "IngestionResult": "penstock.pipeline",
    "RunSummary": "penstock.pipeline",
}


def __getattr__(name: str) -> object:
    """Import the ingestion side when it is first used: composing streams needs none of it."""
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(_LATE[name]), name)
    msg = f"module 'penstock' has no attribute {name!r}"
    raise AttributeError(msg)


__all__ = [
    "AdapterStateChange",
    "BatchProgress",
    "Completed",
    "Connectable",
    "DeadLetters",
    "Document",
    "DocumentCompleted",
    "DocumentFailed",
    "DocumentStarted",
    "Failed",
    "Flow",
    "Graph",
    "GroupedFlow",
    "IngestionPipeline",
    "IngestionResult",
    "Next",
    "Notification",
    "Order",
    "Page",
    "PipelineEvent",
    "Position",
    "RawRecord",
    "RetryPolicy",
    "RunSummary",
    "Skipped",
    "Statistics",
    "Subscription",
    "__version__",
    "defer",
    "empty",
    "fail",
    "from_async_iterable",
    "from_callable",
    "from_future",
    "from_iterable",
    "from_observable",
    "from_pages",
    "from_queue",
    "interval",
    "iterate",
    "just",
    "never",
    "operators",
    "range_",
    "timer",
    "unfold",
    "using",
]
