"""The promises. Everything else in Penstock implements or uses what stands here; read it first.

Words: a *position* is a JSON object that says where a new run may start; the *shape* of a graph is the
list of its stateful nodes, as strings; an *epoch* is the ordinal of a commit within a ledger's key,
counted from 1; a *logical run* is one pass over the inputs, however often it was interrupted and
resumed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

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
"""A value that ``json.dumps`` takes and ``json.loads`` gives back equal."""

Position = dict[str, Any]
"""``{"v": 1, "nodes": {id: state}}``: JSON, to be stored and given back, not to be taken apart."""


class Clock(Protocol):
    """Where timestamps and durations come from, so that tests can own time."""

    def time(self) -> float:
        """Return Unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...


@dataclass(frozen=True, slots=True)
class StageStatistics:
    """What one stage of a run has done so far; counts of items, times in seconds.

    Neighbouring synchronous operators run as one stage. Where a task of its own feeds a stage (behind
    ``buffer``, ``merge`` and their like) its upstream works at the same time, so times overlap.
    """

    name: str
    requested: int
    delivered: int
    requests: int
    waiting: float
    """Time spent inside ``request`` in all, this stage's own work and everything upstream of it."""
    dropped: int = 0
    """Items that an overflow strategy gave up, because nobody was there to take them in time."""
    buffered: int = 0
    """Items it holds now for later requests."""
    upstream: float = 0.0
    """Of the time in ``waiting``, what passed while its upstreams were being asked."""
    idle: float = 0.0
    """Time since its first request in which nobody asked: what is downstream took it."""
    nodes: tuple[int, ...] = ()
    """The keys of its operators in ``flow.graph()``; none for a flow that was built while running."""
    operators: str = ""
    """Its operators with the place where each was assembled."""

    @property
    def busy(self) -> float:
        """Time that the stage itself took: its functions, or its wait for what it reads."""
        return max(0.0, self.waiting - self.upstream)


@dataclass(frozen=True, slots=True)
class Statistics:
    """A frozen look at one run: its stages, from the source down to the subscriber."""

    stages: tuple[StageStatistics, ...]

    @property
    def delivered(self) -> int:
        """Items the subscriber has received."""
        return self.stages[-1].delivered if self.stages else 0

    @property
    def slowest(self) -> StageStatistics | None:
        """The stage that took the most time itself; ``None`` if the subscriber took more than any."""
        if not self.stages:
            return None
        stage = max(self.stages, key=lambda one: one.busy)
        return stage if stage.busy >= self.stages[-1].idle and stage.busy > 0 else None

    @property
    def bottleneck(self) -> str | None:
        """Where to look when a run is slow, as a sentence; ``None`` before anything took time."""
        if not self.stages or not (total := self.stages[-1].waiting + self.stages[-1].idle):
            return None
        stage = self.slowest
        if stage is None:
            share = self.stages[-1].idle / total
            return f"the subscriber, which took {share:.0%} of {total:.3g} s between its requests"
        return (
            f"{stage.operators or stage.name}, busy for {min(1.0, stage.busy / total):.0%} of {total:.3g} s"
        )


class Subscription(ABC, Generic[T_co]):
    """One run of a flow, driven by demand; an async context manager.

    Nothing happens before the first ``request``. Only one ``request`` may be pending at a time.
    Asking for more acknowledges everything that came before.
    """

    @abstractmethod
    async def request(self, n: int) -> list[T_co]:
        """Wait for at least one item and return a fresh list of 1 to ``n`` of them.

        Returns as soon as one item is ready. An empty list means, and only means, that the flow has
        completed; every later request then answers the same. After an error every later request
        raises that same error. A cancelled request loses nothing: the next one goes on from there.

        Raises:
            ValueError: ``n`` is less than 1.
            ConcurrentRequestError: another request is pending.
            SubscriptionClosed: ``aclose`` was called, before or while this request was pending.
        """

    @property
    @abstractmethod
    def position(self) -> Position:
        """Where a new run may start so that it continues behind the last item delivered.

        After an error it stands before the input that failed.

        Raises:
            NotResumable: the graph has a node that cannot be resumed; the message names it.
            PositionError: the state of an operator is not JSON; the message names it.
        """

    @abstractmethod
    def statistics(self) -> Statistics:
        """Return what every stage has done so far."""

    @abstractmethod
    async def settle(self) -> None:
        """Acknowledge everything that was delivered, without asking for more."""

    @abstractmethod
    async def drain(self) -> None:
        """Take no new input: further requests deliver what is in flight, then the empty list."""

    @abstractmethod
    async def aclose(self) -> None:
        """End the run and release everything it holds. Idempotent; allowed in every state.

        A pending request, and every later one, raises ``SubscriptionClosed``.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            await self.aclose()
        except Exception as error:
            if exc is None:
                raise
            exc.add_note(f"penstock: closing the subscription failed too: {error!r}")  # and never masks it


@dataclass(slots=True)
class Page(Generic[T]):
    """Items that travel together, and where a new run may start *behind* them.

    ``position`` is the source's own JSON, meaning "the next unread page"; ``None`` leaves it to
    Penstock to count items from the beginning. ``estimated_total`` may say how many items the whole
    source holds, as far as is known by now; ``promised`` is a number the source states as exact.
    """

    items: list[T]
    position: JSON = None
    estimated_total: int | None = None
    promised: int | None = None


class Source(ABC):
    """Where documents come from: the four things an adapter is made of."""

    name: ClassVar[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """What this source was asked for, as JSON; goes into ``DocumentStarted``. Never a secret."""
        return {}

    @abstractmethod
    def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records, from the beginning (``None``) or from a position of an earlier page.

        Runs in a task of its own, and only while there is demand. Raises ``SourceError`` when the
        source itself cannot be read; a bad record is not an error here.
        """

    @abstractmethod
    def identify(self, raw: RawRecord) -> str:
        """Return the record's ``doc_id`` without parsing it whole; raise ``DocumentError`` if it has none."""

    @abstractmethod
    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Understand the record. Bad input is an ``Error``, not an exception."""

    def validate(self, document: Document) -> Result[Document, DocumentError]:
        """Accept, correct or refuse a parsed document; accepts by default."""
        from expression import Ok

        return Ok(document)


Standing = Literal["new", "changed", "unchanged"]
"""What a record is to earlier runs: never completed, completed with another content, or just so."""


@dataclass(slots=True)
class DocumentState:
    """The outcome of one document within a commit: ``status`` is ``completed``, ``failed`` or ``deleted``."""

    doc_id: str
    status: str
    content_hash: str
    attempts: int = 1
    error: str | None = None
    error_type: str | None = None


@dataclass(slots=True)
class DeadLetter:
    """A document that failed for good, with what is needed to try it again."""

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
    """Everything that becomes true at once.

    ``record`` is what the sink's ``commit`` returned: what it needs to open again at this very point.
    ``counts`` are sums of the logical run so far: ``started``, ``completed``, ``failed``, ``skipped``,
    ``deleted``. ``resolved`` are the keys of records whose dead letters are settled by this; those of the
    documents in ``states`` that did not fail need not be named.
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
    """What a ledger knows of a key at the start of a run.

    ``run`` numbers the logical run; it is the same again when an interrupted one is resumed, and one
    more after a completed one. ``position`` and ``record`` are those of the last commit, or ``None``;
    they carry over from a completed run to the next. ``counts`` are those of the logical run
    (empty at its start); ``started_at`` is Unix time.
    """

    run: int
    epoch: int
    position: Position | None
    record: JSON
    counts: dict[str, int]
    resumed: bool
    started_at: float


class Ledger(ABC):
    """The memory of an ingestion: runs, document states, commits and dead letters of one or more keys.

    One process at a time. Used as an async context manager, or closed with ``aclose``.
    """

    @abstractmethod
    async def open(self, key: str, *, restart: bool = False) -> Opened:
        """Begin or resume the logical run of ``key``; ``restart`` forgets its position and states first.

        Raises:
            LedgerBusy: another process holds the ledger.
            LedgerCorrupt: it cannot be trusted, or is not a ledger.
            LedgerError: it cannot be opened; the message says what to do.
        """

    @abstractmethod
    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        """Say of each (doc_id, content hash) whether an *earlier* logical run completed just that.

        Answers as of the start of the current logical run, whatever this run has committed since.
        """

    async def compare(self, key: str, documents: Sequence[tuple[str, str]]) -> list[Standing]:
        """Say how each (doc_id, content hash) stands to what *earlier* logical runs completed or deleted.

        Like ``unchanged``, as of the start of the current logical run. A ledger that leaves this as it is
        calls everything new that is not unchanged.
        """
        return ["unchanged" if same else "new" for same in await self.unchanged(key, documents)]

    async def revised(self, key: str) -> AsyncIterator[list[str]]:  # noqa: ARG002  for those that can tell
        """Yield, in lists, the documents known from earlier runs that the current one has committed anew.

        Ids may come twice. Where a ledger leaves this as it is, a run that was interrupted after an older
        content of a document may skip its newest one, which earlier runs ended with.
        """
        nothing: tuple[list[str], ...] = ()
        for doc_ids in nothing:
            yield doc_ids

    @abstractmethod
    async def commit(self, key: str, commit: Commit) -> None:
        """Make ``commit`` true in one transaction, durable when this returns."""

    @abstractmethod
    async def pending(self, key: str, commit: Commit) -> None:
        """Write a commit down as *pending*: a sink with transactions of its own decides if it holds."""

    @abstractmethod
    async def confirm(self, key: str, epoch: int) -> None:
        """Make pending commits up to ``epoch`` true, and forget later ones: the sink has decided."""

    async def count_dead_letters(self, key: str) -> int:
        """Return how many dead letters of ``key``, which is open, are unresolved."""
        raise NotImplementedError(f"{type(self).__name__} cannot count dead letters of {key!r}")

    def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield the unresolved dead letters of ``key``, which is open, oldest first, few in memory at a time.

        Letters that are committed meanwhile come behind those that were there.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot read dead letters of {key!r}")

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """Remove the dead letters of ``records``, or all, and return how many; ``key`` need not be open."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop dead letters of {key!r}, {records}")

    @abstractmethod
    async def finish(self, key: str, state: str) -> None:
        """End the logical run with ``state``: ``completed``. An interrupted run is simply not finished."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release the ledger. Idempotent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


class Sink(ABC):
    """Where documents go.

    A *file sink* (``transactional`` is false) makes its bytes durable in ``commit`` and returns the
    record from which ``open`` later rolls back to that very point; the ledger keeps it. Its driver
    commits once right after a fresh ``open``, before anything is written, so that the output of a run
    killed before its first commit is known again. A *database
    sink* (``transactional`` is true) commits documents, position and epoch in one transaction of its
    own, and ``open`` returns the commit it holds, which then overrules the ledger.
    """

    transactional: ClassVar[bool] = False
    effectively_once: ClassVar[bool] = True
    """Whether a run that was killed ends with the output of an undisturbed one; otherwise at least once."""

    @abstractmethod
    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """Open at ``record`` (what the last ``commit`` returned; ``None`` is a fresh start).

        Everything written behind that point is discarded.

        Raises:
            SinkMismatch: the output is shorter than, or not the one, that was committed; or a fresh
                start finds an output that it did not write and was not told to ``restart``.
            SinkError: it cannot be opened; the message says what to do.
        """

    @abstractmethod
    async def write(self, documents: Sequence[Document]) -> None:
        """Take documents in order; they need not be durable before ``commit``."""

    @abstractmethod
    async def commit(self, commit: Commit) -> JSON:
        """Make everything written so far durable and return the record to open at, as JSON."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release the output without committing. Idempotent."""

    def describe(self) -> str:
        """Name the output, for people."""
        return type(self).__name__
