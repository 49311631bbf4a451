"""The promises that Penstock's parts make to each other. Read this page first.

* A *flow* describes a stream. A ``Subscription`` is one run of it, driven by the consumer's demand.
* A ``Source`` yields records, a ``Sink`` stores documents, and a ``Ledger`` remembers how far a run has come.
* A *position* is JSON: where a new run starts so that it loses no item and repeats none.
* A ``Commit`` makes a position durable, with the documents before it. Its *epoch* is its number, from 1 on.
* A *logical run* is one pass over the input. It may be interrupted and resumed many times.
"""

from penstock.abc.delivery import Commit, DeadLetter, DocumentState, Opened
from penstock.abc.notices import announce
from penstock.abc.runs import JSON, Clock, Position, Subscription
from penstock.abc.source import Page, Source
from penstock.abc.stores import Ledger, Sink, Standing
from penstock.statistics import StageStatistics, Statistics

__all__ = [
    "JSON",
    "Clock",
    "Commit",
    "DeadLetter",
    "DocumentState",
    "Ledger",
    "Opened",
    "Page",
    "Position",
    "Sink",
    "Source",
    "StageStatistics",
    "Standing",
    "Statistics",
    "Subscription",
    "announce",
]
