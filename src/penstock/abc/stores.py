"""Where documents go, and what remembers how far a run has come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from penstock.abc.delivery import DEADLY

if TYPE_CHECKING:
    from penstock.abc.delivery import Commit, DeadLetter, Opened
    from penstock.abc.runs import JSON
    from penstock.document import Document

Standing = Literal["new", "changed", "unchanged"]
"""What earlier runs know of a record: never completed, completed with other content, or with this content."""


class Ledger(ABC):
    """Remembers runs, document states, commits and dead letters, under one or more keys.

    Only one process may use it at a time. It is an async context manager.

    A driver calls ``open``, then reads and commits, then calls ``finish`` if the run is complete. If no
    record came, it calls ``undo_open`` in place of ``finish``. ``aclose`` comes last, whatever happened.
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

    async def deadly_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        """Yield those of ``dead_letters`` whose record has killed the processes that parsed it.

        They are few, and every run asks for them when it begins. By default this reads all dead letters; a
        ledger should find them by an index.
        """
        async for letter in self.dead_letters(key):
            if DEADLY in letter.context:
                yield letter

    async def drop_dead_letters(self, key: str, records: Sequence[str] | None = None) -> int:
        """Remove the dead letters of ``records``, or all, and return how many; ``key`` need not be open."""
        raise NotImplementedError(f"{type(self).__name__} cannot drop dead letters of {key!r}, {records}")

    @abstractmethod
    async def finish(self, key: str, state: str) -> None:
        """End the logical run with ``state``: ``completed``. An interrupted run is not finished."""

    async def undo_open(self, key: str) -> None:  # noqa: B027  a ledger need not
        """Forget the logical run that ``open`` has begun, if it committed no document and no dead letter.

        Then the ledger is as it was before that ``open``; ``key`` must be opened again. Does nothing if
        ``open`` has resumed a run, or has restarted one that was known, or if ``key`` is not open. By default
        does nothing: a run that was begun without a record then shows as one that is not finished.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Release the ledger. Idempotent."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


class Sink(ABC):
    """Where documents go.

    A *file sink* (``transactional`` is false) makes its bytes durable in ``commit`` and returns a record,
    which the ledger keeps. ``open`` rolls the output back to that record. The driver also commits right after
    a fresh ``open``, before the first document. So if the run is killed before its next commit, the output is
    recognised.

    A *database sink* (``transactional`` is true) commits documents, position and epoch in a transaction of
    its own. ``open`` returns the last such commit, which overrules the ledger.

    A driver calls ``open``, then ``write`` and ``commit``, then ``verify`` if the run is complete. If no
    record came, it calls ``undo_open`` in place of ``verify``. A restart calls ``claim`` first, and ``open``
    when the first record has come. ``aclose`` comes last, whatever happened.
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

    @property
    def wants_raw(self) -> bool:
        """Whether documents must keep the raw bytes of their records."""
        return False

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

    async def undo_open(self) -> None:  # noqa: B027  many outputs create nothing
        """Remove what ``open`` has created, if no document was written to it since, and release the output.

        What existed before ``open`` stays. May be called after ``claim`` alone, which has created nothing. An
        ``open`` that fails does the same by itself. By default does nothing: an empty output stays.
        ``aclose`` follows.
        """

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

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            return name if self.describe() == name else f"<{name} {self.describe()}>"
        except Exception:  # noqa: BLE001  a user's describe() may need what __init__ has not set yet
            return f"<{name}>"
