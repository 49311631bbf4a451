"""Penstock: reactive streams for asyncio, driven by the consumer's demand."""

from penstock import operators
from penstock.abc import Page, Position, Subscription
from penstock.core.node import Order
from penstock.core.policy import RetryPolicy
from penstock.document import Document, RawRecord
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.flow import Flow
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
)

__version__ = "0.1.0"

__all__ = [
    "AdapterStateChange",
    "BatchProgress",
    "Document",
    "DocumentCompleted",
    "DocumentFailed",
    "DocumentStarted",
    "Flow",
    "Order",
    "Page",
    "PipelineEvent",
    "Position",
    "RawRecord",
    "RetryPolicy",
    "Subscription",
    "__version__",
    "defer",
    "empty",
    "fail",
    "from_async_iterable",
    "from_iterable",
    "from_observable",
    "from_pages",
    "just",
    "never",
    "operators",
]
