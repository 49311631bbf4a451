# The public names of Penstock, and where each is defined.

from . import (
    abc as abc,
    adapters as adapters,
    errors as errors,
    events as events,
    ledger as ledger,
    operators as operators,
    runtime as runtime,
    sinks as sinks,
)
from .abc import Page as Page, Position as Position, Statistics as Statistics, Subscription as Subscription
from .document import Document as Document, RawRecord as RawRecord
from .events import (
    AdapterStateChange as AdapterStateChange,
    BatchProgress as BatchProgress,
    DocumentCompleted as DocumentCompleted,
    DocumentFailed as DocumentFailed,
    DocumentStarted as DocumentStarted,
    PipelineEvent as PipelineEvent,
)
from .flow import Connectable as Connectable, Flow as Flow, GroupedFlow as GroupedFlow
from .flow.hot import DeadLetters as DeadLetters
from .flow.picture import Graph as Graph
from .interop.aioreactive import from_observable as from_observable
from .interop.create import Emitter as Emitter, create as create
from .operators.combine.joins import (
    combine_latest as combine_latest,
    concat as concat,
    interleave as interleave,
    merge as merge,
    merge_sorted as merge_sorted,
    race as race,
    zip_latest as zip_latest,
    zip_longest as zip_longest,
)
from .operators.combine.joins import zip as zip
from .operators.elements.notifications import (
    Completed as Completed,
    Failed as Failed,
    Next as Next,
    Notification as Notification,
)
from .operators.failure.on_error_skip import Skipped as Skipped
from .runtime.order import Order as Order
from .runtime.policy import RetryPolicy as RetryPolicy
from .sources.defer import defer as defer
from .sources.from_async_iterable import from_async_iterable as from_async_iterable
from .sources.from_callable import from_callable as from_callable, from_future as from_future
from .sources.from_iterable import from_iterable as from_iterable
from .sources.from_pages import from_pages as from_pages
from .sources.from_queue import from_queue as from_queue
from .sources.range import range_ as range_
from .sources.ticks import interval as interval, timer as timer
from .sources.trivial import empty as empty, fail as fail, just as just, never as never
from .sources.unfold import iterate as iterate, unfold as unfold
from .sources.using import using as using
from .pipeline import (
    IngestionPipeline as IngestionPipeline,
    IngestionResult as IngestionResult,
    RunSummary as RunSummary,
)

__version__: str
