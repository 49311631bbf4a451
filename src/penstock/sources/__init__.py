"""Functions that create flows, each beside its node and its stage."""

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

__all__ = [
    "defer",
    "empty",
    "fail",
    "from_async_iterable",
    "from_callable",
    "from_future",
    "from_iterable",
    "from_pages",
    "from_queue",
    "interval",
    "iterate",
    "just",
    "never",
    "range_",
    "timer",
    "unfold",
    "using",
]
