"""Every exception Penstock raises on its own account.

* PenstockError
  · GraphError                 the flow cannot be built as asked (also a ``ValueError``)
    - NotResumable             a checkpoint, retry or resume needs a position the graph cannot give
  · SubscriptionError
    - ConcurrentRequestError   somebody else is using this subscription right now
    - SubscriptionClosed       *you* closed it
    - AlreadySubscribed        a one-shot input was subscribed a second time
  · BufferOverflow             a buffer that may not wait is full
  · CircuitOpen                a circuit breaker lets nothing through just now
  · GroupError                 there are too many groups, or one that nobody reads holds up the others
  · NoItem                     a single item was asked for, and there was none (also a ``LookupError``)
  · UnwrapError                an item was ``Error(value)``, and ``unwrap`` was told nothing about errors
  · PositionError              a position does not fit the graph, or its input changed
  · WorkerDied                 a worker process ended before its work was done
  · SourceError                a source cannot be read (missing, truncated, not what it claims to be)
    - SourceChanged            an input is not as an earlier run has read it
  · DocumentError              one document is bad; carried as data, never ends a run by itself
  · WireError                  an event cannot be written or read as JSON (also a ``ValueError``)
  · LedgerError
    - LedgerBusy               another process holds this ledger
    - LedgerCorrupt            the ledger cannot be trusted
  · SinkError
    - SinkMismatch             the output is not what the ledger says was committed
  · MissingExtra               an optional library is not installed (also an ``ImportError``)

Exceptions of user functions are never wrapped: they keep their type and traceback, and gain a note
that names the operator and the line where it was assembled.
"""

from __future__ import annotations

__all__ = [
    "AlreadySubscribed",
    "BufferOverflow",
    "CircuitOpen",
    "ConcurrentRequestError",
    "DocumentError",
    "GraphError",
    "GroupError",
    "LedgerBusy",
    "LedgerCorrupt",
    "LedgerError",
    "MissingExtra",
    "NoItem",
    "NotResumable",
    "PenstockError",
    "PositionError",
    "SinkError",
    "SinkMismatch",
    "SourceChanged",
    "SourceError",
    "SubscriptionClosed",
    "SubscriptionError",
    "UnwrapError",
    "WireError",
    "WorkerDied",
]


class PenstockError(Exception):
    """The root of the tree above."""


class GraphError(PenstockError, ValueError):
    """The flow cannot be built as asked: raised when it is assembled or subscribed.

    A flow that is built while running (by ``defer``, ``concat_map`` and their like) is assembled only then.
    """


class NotResumable(GraphError):
    """Something needs a position and a node upstream of it cannot give one; the message names the node."""


class SubscriptionError(PenstockError):
    """A subscription was used in a way it does not allow."""


class ConcurrentRequestError(SubscriptionError):
    """``request`` was called while another ``request`` of the same subscription was pending."""


class SubscriptionClosed(SubscriptionError):
    """The subscription was closed with ``aclose``; nothing more comes from it."""


class AlreadySubscribed(SubscriptionError):
    """A one-shot input, such as a generator object, cannot run a second time: pass a factory."""


class BufferOverflow(PenstockError):
    """A buffer with ``overflow="error"`` is full: whoever reads it is slower than its source."""


class CircuitOpen(PenstockError):
    """A ``circuit_breaker`` lets nothing through just now; ``retry_after`` says for how many seconds.

    It is retryable, and a ``retry`` behind the breaker waits just as long.
    """

    is_retryable = True

    def __init__(self, failures: int, retry_after: float) -> None:
        super().__init__(f"the circuit is open for {retry_after:.3g} s: {failures} runs in a row have failed")
        self.retry_after = retry_after


class GroupError(PenstockError):
    """``group_by`` cannot go on: too many groups are open, or one that nobody reads holds up the others."""


class NoItem(PenstockError, LookupError):
    """The flow completed without an item, and one was asked for."""


class UnwrapError(PenstockError):
    """An item was ``Error(value)``; ``error`` is the value, which was no exception that could be raised."""

    def __init__(self, error: object) -> None:
        super().__init__(
            f"this item is Error({error!r}). Tell unwrap what becomes of errors: errors='skip', "
            "or errors=function to hand them to a function"
        )
        self.error = error


class PositionError(PenstockError):
    """A position does not fit this graph, cannot be stored as JSON, or its input has changed."""


class WorkerDied(PenstockError):
    """A worker process ended before its work was done; the message says how, and what was lost with it."""


class SourceError(PenstockError):
    """A source cannot be read: it is missing, unreadable, truncated, or not what it claims to be."""


class SourceChanged(SourceError):
    """An input is not as an earlier run has read it: a refresh reads it again."""


class DocumentError(PenstockError):
    """One document could not be read, parsed, validated or processed.

    It is data (the ``Error`` case of a ``Result``) or is raised by a step; either way it becomes one
    ``DocumentFailed`` and the run goes on.

    Args:
        message: What is wrong with it, in one sentence.
        retryable: Whether trying again could help (a timeout could, a missing identifier could not).
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class WireError(PenstockError, ValueError):
    """An event holds something JSON cannot carry, or a line is not an event this version can read."""


class LedgerError(PenstockError):
    """The ledger cannot be opened, read or written."""


class LedgerBusy(LedgerError):
    """Another process holds this ledger; the message says which, and since when."""


class LedgerCorrupt(LedgerError):
    """The ledger file is damaged, or is not a ledger; it is never silently replaced."""


class SinkError(PenstockError):
    """The output cannot be opened or written."""


class SinkMismatch(SinkError):
    """The output is not what the ledger says was committed (it is shorter, or was replaced)."""


class MissingExtra(PenstockError, ImportError):
    """An optional library is not installed; the message is the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'penstock[{extra}]'")
        self.extra = extra
