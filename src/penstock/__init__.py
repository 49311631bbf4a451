"""Penstock: reactive streams for asyncio, driven by the consumer's demand."""

from typing import TYPE_CHECKING

from penstock import operators
from penstock.abc import Page, Position, Statistics, Subscription
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
from penstock.flow.hot import DeadLetters
from penstock.flow.picture import Graph
from penstock.interop.aioreactive import from_observable
from penstock.interop.create import Emitter, create
from penstock.operators.combine.joins import (
    combine_latest,
    concat,
    interleave,
    merge,
    merge_sorted,
    race,
    zip_latest,
    zip_longest,
)
from penstock.operators.combine.joins import zip as zip  # noqa: A004
from penstock.operators.elements.notifications import Completed, Failed, Next, Notification
from penstock.operators.failure.on_error_skip import Skipped
from penstock.runtime.order import Order
from penstock.runtime.other_names import SOURCES, nearest
from penstock.runtime.policy import RetryPolicy
from penstock.sources.defer import defer
from penstock.sources.from_async_iterable import from_async_iterable
from penstock.sources.from_callable import from_callable, from_future
from penstock.sources.from_iterable import from_iterable
from penstock.sources.from_pages import from_pages
from penstock.sources.from_queue import from_queue
from penstock.sources.range import range_
from penstock.sources.ticks import interval, timer
from penstock.sources.trivial import empty, fail, just, never
from penstock.sources.unfold import iterate, unfold
from penstock.sources.using import using

if TYPE_CHECKING:
    from penstock.pipeline import IngestionPipeline, IngestionResult, RunSummary

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the ingestion pipeline when it is first used: streams alone do not need it.

    An unknown name is answered with a similar one, or with ours for that of another library.
    """
    if name in {"IngestionPipeline", "IngestionResult", "RunSummary"}:
        from penstock import pipeline

        return getattr(pipeline, name)
    msg = f"module 'penstock' has no attribute {name!r}"
    if not name.startswith("_"):
        if name in operators.__all__:
            msg = f"{msg}. It is an operator: flow.{name}(...), or flow | penstock.operators.{name}(...)"
        elif ours := nearest(name, __all__, SOURCES):
            msg = f"{msg}. Perhaps you want {ours}."
    raise AttributeError(msg, name=name)


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
    "Emitter",
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
    "combine_latest",
    "concat",
    "create",
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
    "interleave",
    "interval",
    "iterate",
    "just",
    "merge",
    "merge_sorted",
    "never",
    "operators",
    "race",
    "range_",
    "timer",
    "unfold",
    "using",
    "zip",
    "zip_latest",
    "zip_longest",
]
