"""The promises that Penstock's parts make to each other. Read this page first.

* A *flow* describes a stream. A ``Subscription`` is one run of it, driven by the consumer's demand.
* A ``Source`` yields records, a ``Sink`` stores documents, and a ``Ledger`` remembers how far a run has come.
* A *position* is JSON: where a new run starts so that it loses no item and repeats none.
* A ``Commit`` makes a position durable, with the documents before it. Its *epoch* is its number, from 1 on.
* A *logical run* is one pass over the input. It may be interrupted and resumed many times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

from penstock.statistics import StageStatistics, Statistics

if TYPE_CHECKING:
    from expression import Result

    from penstock.document import Document, RawRecord
    from penstock.errors import DocumentError

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
    "Statistics",
    "Subscription",
]

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

JSON = Any
"""A value that ``json.dumps`` writes and ``json.loads`` reads back equal."""

Position = dict[str, Any]
"""``{"v": 1, "nodes": {id: state}}``. Store it and pass it back; do not read or change it."""


class Clock(Protocol):
    """The source of timestamps and durations. Tests replace it to control time."""

    def time(self) -> float:
        """Return Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds since a fixed moment; this never goes back."""
        ...


# -- one run of a flow


class Subscription(ABC, Generic[T_co]):
    """One run of a flow, driven by demand; an async context manager.

    Nothing happens before the first ``request``. Only one ``request`` may be pending at a time. Each
    ``request`` acknowledges all items delivered before it.
    """

    @abstractmethod
    async def request(self, n: int) -> list[T_co]:
        """Wait for at least one item, and return a new list of 1 to ``n`` items.

        Returns as soon as one item is ready. An empty list means that the flow has completed, and nothing
        else; all later requests return it too. After an error, all later requests raise that error again. A
        cancelled request loses nothing: the next one continues there.

        Raises:
            ValueError: ``n`` is less than 1.
            ConcurrentRequestError: another request is pending.
            SubscriptionClosed: ``aclose`` was called, before or during this request.
            RuntimeError: the first request was made in another event loop.
        """

    @property
    @abstractmethod
    def position(self) -> Position:
        """Where a new run continues after the last delivered item.

        After an error this is before the input that failed.

        Raises:
            NotResumable: a node of the graph cannot be resumed; the message names it.
            PositionError: the state of an operator is not JSON; the message names it.
        """

    @abstractmethod
    def statistics(self) -> Statistics:
        """Return what each stage has done so far."""

    @abstractmethod
    async def settle(self) -> None:
        """Acknowledge all delivered items without requesting more."""

    @abstractmethod
    async def drain(self) -> None:
        """Take no new input. Further requests return the items in flight, then the empty list."""

    @abstractmethod
    async def aclose(self) -> None:
        """End the run and release all its resources. Idempotent, and allowed at any time.

        Pending and later requests raise ``SubscriptionClosed``. Called by code that the run itself awaits
        (a source's ``finally``, a release of ``using``), it starts the closing and returns at once.

        Raises:
            RuntimeError: the run belongs to another event loop, which is not closed.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: object, exc: BaseException | None, traceback: object) -> None:
        try:
            await self.aclose()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(f"penstock: closing the subscription failed too: {error!r}")  # do not hide exc


# -- where documents come from


@dataclass(slots=True)
class Page(Generic[T]):
    """Items that travel together, and the position after them.

    ``position`` is the source's own JSON: the next unread page. With ``None`` Penstock counts items instead.
    ``estimated_total`` is how many items the whole source may have; ``promised`` is the number that the
    source itself states.
    """

    items: list[T]
    position: JSON = None
    estimated_total: int | None = None
    promised: int | None = None


class Source(ABC):
    """Where documents come from. An adapter consists of these four methods."""

    name: ClassVar[str]
    schema: ClassVar[type | None] = None
    """A class whose annotations are the typed columns of the documents; see ``penstock.columns``."""
    checked: ClassVar[bool] = False
    """Whether every sink can write what ``parse`` returns, under the id of ``identify``; see ``checked_id``.

    If not, Penstock checks each document, which takes about 10 µs if a sink follows and 1 µs otherwise. A
    subclass does not inherit it."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The query of this source, as JSON, for ``DocumentStarted``. Contains no secrets."""
        return {}

    def inputs(self) -> list[str]:
        """Return what would be read, in order, for ``explain``; may look at the disk. By default unknown."""
        return []

    def check(self) -> None:
        """Raise ``SourceError`` if an input is certainly missing; called before an output is opened."""
        return

    @abstractmethod
    def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records, from the beginning (``None``) or from the position of an earlier page.

        Runs in a task of its own, and only while there is demand. Raises ``SourceError`` if the source cannot
        be read. A bad record is no error here.
        """

    @abstractmethod
    def identify(self, raw: RawRecord) -> str:
        """Return the ``doc_id`` without parsing the whole record; raise ``DocumentError`` if it has none."""

    @abstractmethod
    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Parse the record. Return bad input as an ``Error``; do not raise."""

    def validate(self, document: Document) -> Result[Document, DocumentError]:
        """Accept, correct or refuse a parsed document. The default accepts it."""
        from expression import Ok

        return Ok(document)


# -- how far a run has come


Standing = Literal["new", "changed", "unchanged"]
"""What earlier runs know of a record: never completed, completed with other content, or with this content."""


@dataclass(slots=True)
class DocumentState:
    """The outcome of one document; ``status`` is ``completed``, ``failed`` or ``deleted``."""

    doc_id: str
    status: str
    content_hash: str
    attempts: int = 1
    error: str | None = None
    error_type: str | None = None


@dataclass(slots=True)
class DeadLetter:
    """A document that failed for good, with all that a replay needs."""

    doc_id: str | None
    key: str
    adapter: str
    error: str
    error_type: str
    raw: bytes
    context: dict[str, Any] = field(default_factory=dict)
    traceback: str | None = None
    attempts: int = 1
    timestamp: float = 0.0


@dataclass(slots=True)
class Commit:
    """All that a ledger stores in one transaction.

    ``record`` is the result of the sink's ``commit``; with it the sink can be opened at this point again.
    ``counts`` are totals of the logical run: ``started``, ``completed``, ``failed``, ``skipped``,
    ``deleted``. ``resolved`` are the keys of records whose dead letters are resolved. Documents in ``states``
    that did not fail need not be listed there.
    """

    epoch: int
    position: Position
    states: Sequence[DocumentState] = ()
    dead_letters: Sequence[DeadLetter] = ()
    record: JSON = None
    counts: dict[str, int] = field(default_factory=dict)
    resolved: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """What a ledger knows about a key when a run starts.

    ``run`` is the number of the logical run: a resumed run keeps it, and a new one gets the next number.
    ``position`` and ``record`` are those of the last commit, even of an earlier logical run; ``None`` if
    there was no commit. ``counts`` are totals of this logical run, empty at its start. ``started_at`` is Unix
    time.
    """

    run: int
    epoch: int
    position: Position | None
    record: JSON
    counts: dict[str, int]
    resumed: bool
    started_at: float


class Ledger(ABC):
    """Remembers runs, document states, commits and dead letters, under one or more keys.

    Only one process may use it at a time. It is an async context manager.
    """

    @abstractmethod
    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """Begin or resume the logical run of ``key``. ``restart`` first forgets its position and states.

        Raises:
            LedgerBusy: another process uses the ledger.
            LedgerCorrupt: the ledger is damaged, or is not a ledger.
            LedgerError: the ledger cannot be opened; the message says what to do.
        """

    @abstractmethod
    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """Return for each (doc_id, content hash) whether an *earlier* logical run completed exactly that.

        Commits of the current logical run do not count.
        """

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """Return for each (doc_id, content hash) what *earlier* logical runs completed or deleted.

        Commits of the current logical run do not count. By default a document is ``new`` unless
        ``unchanged``.
        """
        return ["unchanged" if same else "new" for same in await self.unchanged(key, documents)]

    async def revised(self, key: str) -> AsyncIterator[list[str]]:  # noqa: ARG002  the default knows of none
        """Yield lists of documents of earlier runs that the current logical run has committed again.

        An id may come twice. The default yields none. Then a run that was interrupted after it committed an
        older version of a document may skip the newest version, because an earlier run ended with it.
        """
        nothing: tuple[list[str], ...] = ()
        for doc_ids in nothing:
            yield doc_ids

    @abstractmethod
    async def commit(self, key: str, commit: Commit) -> None:
        """Store ``commit`` in one transaction, which is durable on return."""

    @abstractmethod
    async def pending(self, key: str, commit: Commit) -> None:
        """Store ``commit`` as *pending*, until a transactional sink has committed it or not."""

    @abstractmethod
    async def confirm(self, key: str, epoch: int) -> None:
        """Make pending commits up to ``epoch`` true and forget later ones, as the sink has decided."""

    async def count_dead_letters(self, key: str) -> int:
        """Return the number of unresolved dead letters of ``key``, which is open."""
        raise NotImplementedError(f"{type(self).__name__} cannot count dead letters of {key!r}")

    def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield the unresolved dead letters of ``key``, which is open, oldest first.

        Few are in memory at a time. Letters that are committed meanwhile come last.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot read dead letters of {key!r}")

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """Remove the dead letters of ``records``, or all, and return how many; ``key`` need not be open."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop dead letters of {key!r}, {records}")

    @abstractmethod
    async def finish(self, key: str, state: str) -> None:
        """End the logical run with ``state``: ``completed``. An interrupted run is not finished."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release the ledger. Idempotent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


# -- where documents go


class Sink(ABC):
    """Where documents go.

    A *file sink* (``transactional`` is false) makes its bytes durable in ``commit`` and returns a record,
    which the ledger keeps. ``open`` rolls the output back to that record. The driver also commits right after
    a fresh ``open``, before the first document. So if the run is killed before its next commit, the output is
    recognised.

    A *database sink* (``transactional`` is true) commits documents, position and epoch in a transaction of
    its own. ``open`` returns the last such commit, which overrules the ledger.
    """

    transactional: ClassVar[bool] = False
    effectively_once: ClassVar[bool] = True
    """Whether a killed and resumed run has the output of an undisturbed run. Otherwise: at least once."""

    @property
    def encoder(self) -> Callable[[Document], bytes] | None:
        """How to encode one document for this sink; ``None`` if only ``write`` knows.

        Always the same object, which can be pickled: the processes that parse call it too. ``write`` then
        gets documents whose bytes `penstock.documents.encoded.encoded_as` returns.
        """
        return None

    @abstractmethod
    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """Open at ``record``, the result of the last ``commit``; ``None`` begins a new output.

        Discards everything written after that commit. ``restart`` discards earlier documents too.

        Raises:
            SinkMismatch: the output is not the one that was committed, or is shorter. Or ``record`` is
                ``None``, the output holds data, and ``restart`` is false.
            SinkError: the output cannot be opened; the message says what to do.
        """

    async def claim(self) -> None:  # noqa: B027  nothing to do for most outputs
        """Check that ``open`` with ``restart``, which follows, is possible; change nothing.

        Raises ``SinkError`` if it is not. Then the ledger has not noted that a restart has begun.
        """

    async def verify(self) -> None:  # noqa: B027  nobody else can reach some outputs
        """Raise ``SinkMismatch`` if another program has removed, moved, cut or changed the open output.

        Called at the end of a run. ``commit`` should notice the same, as far as that is cheap.
        """

    @abstractmethod
    async def write(self, documents: Sequence[Document]) -> None:
        """Take documents, in order. They need not be durable before ``commit``."""

    @abstractmethod
    async def commit(self, commit: Commit) -> JSON:
        """Make all documents written so far durable, and return the record to open at, as JSON."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release the output without committing. Idempotent."""

    def use_schema(self, schema: type | None) -> None:  # noqa: B027  most sinks need none
        """Take the typed columns of the documents (``Source.schema``); called before ``open``.

        By default, and for a sink that was given a schema of its own, this does nothing.
        """

    def describe(self) -> str:
        """Return a name of the output for messages."""
        return type(self).__name__
