"""Every exception that Penstock defines.

* PenstockError
  · GraphError                 the flow cannot be built as asked (also a ``ValueError``)
    - PipelineFileError        a pipeline file has mistakes (defined in ``penstock.pipeline_file``)
    - NotResumable             a checkpoint, retry or resume needs a position, and a node has none
  · SubscriptionError
    - ConcurrentRequestError   another request of this subscription is pending
    - SubscriptionClosed       *you* closed the subscription
    - AlreadySubscribed        a one-shot input was subscribed again
  · BufferOverflow             a buffer that must not wait is full
  · BranchStuck                a subscriber of a shared run is not read, and holds the others back for ever
    - GroupStuck               the same, for a group of ``group_by`` (also a ``GroupError``)
  · CircuitOpen                a circuit breaker is open
  · GroupError                 too many groups are open, or one that nobody reads blocks the others
  · NoItem                     the flow completed without an item (also a ``LookupError``)
  · NotAwaited                 a function returned an awaitable where nobody awaits it (also a ``TypeError``)
  · TooManyItems               the flow has a second item (also a ``ValueError``)
  · UnwrapError                ``unwrap`` got ``Error(value)`` and no rule for errors
  · PositionError              a position does not fit the graph or its input
  · WorkerDied                 a worker process ended before its work was done
  · SourceError                a source cannot be read (missing, truncated, of another format)
    - SourceChanged            an input has changed since an earlier run
  · DocumentError              one document is bad; this alone does not end a run
    - UnwritableDocument       no sink can write it, as the adapter or a step left it
  · WireError                  an event cannot be written or read as JSON (also a ``ValueError``)
  · AdapterError               an adapter is unknown, or its entry point cannot be used
  · LedgerError
    - LedgerBusy               another process holds this ledger
    - LedgerCorrupt            the ledger cannot be trusted
  · SinkError
    - SinkMismatch             the output is not what the ledger says was committed
  · MissingExtra               an optional library is not installed (also an ``ImportError``)

Exceptions of user functions are not wrapped. They keep their type and traceback, and get a note that names
the operator and the line where it was assembled.
"""

from __future__ import annotations

__all__ = [
    "AdapterError",
    "AlreadySubscribed",
    "BranchStuck",
    "BufferOverflow",
    "CircuitOpen",
    "ConcurrentRequestError",
    "DocumentError",
    "GraphError",
    "GroupError",
    "GroupStuck",
    "LedgerBusy",
    "LedgerCorrupt",
    "LedgerError",
    "MissingExtra",
    "NoItem",
    "NotAwaited",
    "NotResumable",
    "PenstockError",
    "PositionError",
    "SinkError",
    "SinkMismatch",
    "SourceChanged",
    "SourceError",
    "SubscriptionClosed",
    "SubscriptionError",
    "TooManyItems",
    "UnwrapError",
    "UnwritableDocument",
    "WireError",
    "WorkerDied",
]


class Pickled(BaseException):
    """An exception that can be pickled, however its ``__init__`` is called; a mixin.

    ``pickle`` would call the class with ``args``, which fails if ``__init__`` takes something else.
    """

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), self.args, vars(self).copy())


def _restored(kind: type[BaseException], args: tuple[object, ...], state: dict[str, object]) -> BaseException:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class PenstockError(Pickled, Exception):
    """The base of all these exceptions."""


class GraphError(PenstockError, ValueError):
    """The flow cannot be built as asked. Raised when it is assembled or subscribed.

    ``defer``, ``concat_map`` and similar operators assemble flows while running, and raise it then.
    """


class NotResumable(GraphError):
    """A step needs a position, but a node upstream of it has none. The message names the node."""


class SubscriptionError(PenstockError):
    """A subscription was used in a way it does not allow."""


class ConcurrentRequestError(SubscriptionError):
    """``request`` was called while another ``request`` of the same subscription was pending."""


class SubscriptionClosed(SubscriptionError):
    """The subscription was closed with ``aclose``. Subscribe again for a new run."""


class AlreadySubscribed(SubscriptionError):
    """A one-shot input, such as a generator object, cannot run again: pass a function that returns it."""


class BufferOverflow(PenstockError):
    """A buffer with ``overflow="error"`` is full: its reader is slower than its source."""


class CircuitOpen(PenstockError):
    """A ``circuit_breaker`` refuses runs for ``retry_after`` seconds.

    This error is retryable, and a ``retry`` behind the breaker waits until then.
    """

    is_retryable = True

    def __init__(self, failures: int, retry_after: float) -> None:
        super().__init__(f"the circuit is open for {retry_after:.3g} s: {failures} runs in a row have failed")
        self.retry_after = retry_after


class BranchStuck(PenstockError):
    """Subscribers of one shared run wait for one whose queue is full and that is not read.

    So does a run whose ``DeadLetters`` are full, if nobody reads them. The message names what is full, its
    capacity, and what helps.
    """


class GroupError(PenstockError):
    """``group_by`` cannot continue: too many groups are open, or one that nobody reads blocks the others."""


class GroupStuck(BranchStuck, GroupError):
    """A group that nobody reads is full and blocks all others. The message names its key."""


class NoItem(PenstockError, LookupError):
    """A single item was requested, and the flow completed without one."""


class NotAwaited(PenstockError, TypeError):
    """A function returned an awaitable, but its operator does not await. The message says what does.

    ``on_error_skip`` does not skip this error: every item would fail.
    """


class TooManyItems(PenstockError, ValueError):
    """Exactly one item was requested, and the flow has a second one."""


class UnwrapError(PenstockError):
    """An item was ``Error(value)``, and the value is no exception to raise; ``error`` is the value."""

    def __init__(self, error: object) -> None:
        super().__init__(
            f"this item is Error({error!r}). Tell unwrap what to do with errors: errors='skip' drops them, "
            "errors=function passes them to a function"
        )
        self.error = error


class PositionError(PenstockError):
    """A position does not fit this graph, cannot be stored as JSON, or its input has changed."""


class WorkerDied(PenstockError):
    """A worker process ended before its work was done. The message says how, and what was lost."""


class SourceError(PenstockError):
    """A source cannot be read: it is missing, unreadable, truncated, or of another format.

    Two attributes tell a `RetryPolicy` what to do; any exception of your own may have them. An answer "too
    many requests, come back in 12 seconds" is ``raise SourceError("too many requests", retry_after=12)``.

    Args:
        message: What is wrong, in one sentence.
        is_retryable: Whether another attempt may succeed. By default it may if ``retry_after`` is given.
        retry_after: Seconds to wait before the next attempt, as a server asked.
    """

    def __init__(
        self, *message: object, is_retryable: bool | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(*message)
        self.is_retryable = True if is_retryable is None and retry_after is not None else is_retryable
        self.retry_after = retry_after


class SourceChanged(SourceError):
    """An input has changed since an earlier run read it. A refresh reads it again."""


class DocumentError(PenstockError):
    """One document could not be read, parsed, validated or processed.

    Return it in the ``Error`` case of a ``Result``, or raise it in a step. It becomes one ``DocumentFailed``,
    and the run continues.

    Args:
        message: What is wrong with the document, in one sentence.
        retryable: Whether another attempt could succeed: after a timeout yes, without an identifier no.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class UnwritableDocument(DocumentError):
    """No sink can write a document as the adapter or a processing step left it. It is never tried again."""


class WireError(PenstockError, ValueError):
    """An event holds a value that JSON does not have, or a line is no event that this version can read."""


class AdapterError(PenstockError):
    """An adapter is unknown, or its entry point cannot be used; the message says which and why."""


class LedgerError(PenstockError):
    """The ledger cannot be opened, read or written."""


class LedgerBusy(LedgerError):
    """Another process holds this ledger. The message says which process, and since when."""


class LedgerCorrupt(LedgerError):
    """The ledger file is damaged, or is not a ledger. Penstock never replaces it silently."""


class SinkError(PenstockError):
    """The output cannot be opened or written."""


class SinkMismatch(SinkError):
    """The output is not what the ledger says was committed: it is shorter, or was replaced."""


class MissingExtra(PenstockError, ImportError):
    """An optional library is not installed. The message is the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: {install_command(extra)}")
        self.extra = extra


def install_command(extra: str) -> str:
    """Return the command that installs an extra, in the way in which Penstock was installed."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        installed = distribution("penstock")
    except PackageNotFoundError:  # a source checkout that was never installed
        return f"pip install 'penstock[{extra}]'"
    tool = "uv pip install" if (installed.read_text("INSTALLER") or "").strip() == "uv" else "pip install"
    direct = json.loads(installed.read_text("direct_url.json") or "{}")
    url = str(direct.get("url", ""))
    if not url:
        return f"{tool} 'penstock[{extra}]'"
    if "dir_info" in direct:
        editable = " -e" if direct["dir_info"].get("editable") else ""
        return f"{tool}{editable} '{_path_of(url)}[{extra}]'"
    vcs = f"{direct['vcs_info']['vcs']}+" if "vcs_info" in direct else ""
    return f"{tool} 'penstock[{extra}] @ {vcs}{url}'"


def _path_of(url: str) -> str:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return url2pathname(urlsplit(url).path)
