"""Which of source, sink and ledger commits what, and in which order. One of them decides in each run.

* *A file sink*: it makes its bytes durable first. Its record, the position and the document states then go
  into the ledger in one transaction. On opening, the sink cuts the file back to the ledger's record.
* *A database sink*: the ledger's rows go in first, as pending under the epoch. The sink then commits
  documents, position and epoch in one transaction, and the ledger confirms its rows. On opening, the ledger
  confirms or drops pending rows by the epoch that the sink holds.
* *No sink*: the position goes into the ledger when the consumer has acknowledged the items.

With the first two, a run that is killed at any instant and started again ends with the output of an
undisturbed run. A commit runs in its own task while the next documents are produced. The sink gets these
when the commit is done.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penstock.abc import Commit, DeadLetter, DocumentState, Ledger, Position, Sink
from penstock.errors import PenstockError, SinkMismatch
from penstock.ingest.restart import NOT_BEGUN, note_restart, restart_begun
from penstock.system import began as began_at

if TYPE_CHECKING:
    from penstock.abc import Opened
    from penstock.document import Document

_DEAD_BYTES = 16 << 20

Reached = Callable[[], tuple[Position, dict[str, int]]]
"""Returns a position, and the counts of the logical run there."""


@dataclass(slots=True)
class Batch:
    """Documents for the sink; states, dead letters and keys of resolved letters for the ledger."""

    documents: list[Document] = field(default_factory=list)
    states: list[DocumentState] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    others: bool = False
    """Whether other records came too, such as skipped ones."""

    def __bool__(self) -> bool:
        """Whether any record came."""
        return bool(self.others or self.documents or self.states or self.dead or self.resolved)


class Delivery:
    """The open ledger and sink of one run, and the documents between two commits.

    Args:
        sink: Where documents go; ``None`` if the consumer takes them.
        ledger: Where state goes; ``None`` stores none.
        key: The ledger's key.
        restart: Empty the ledger and the sink when the first record arrives.
        refresh: The source is read from its beginning, so the ledger may be older than a database.
        began: Where the run began (``file:line``), for a warning if it is dropped.
    """

    def __init__(
        self,
        sink: Sink | None,
        ledger: Ledger | None,
        key: str,
        *,
        restart: bool = False,
        refresh: bool = False,
        began: str = "",
    ) -> None:
        self._sink = sink
        self._ledger = ledger
        self._key = key
        self._restart = restart
        self._refresh = refresh
        self._began = began
        self.outdated = False
        """Whether the ledger lacks commits that the sink holds; only a refresh may go on."""
        self._known: Opened | None = None
        self._due = False
        """Whether a restart waits for its first record. ``_known`` is what the ledger knows until then."""
        self.restarts = False
        """Whether the open ledger knows nothing, or will have forgotten it before the first record counts."""
        self._epoch = 0
        self._batch = Batch()  # taken since the last commit began; the sink may have its documents
        self._task: asyncio.Task[None] | None = None
        self.uncommitted = 0
        """Documents taken since the last commit began."""
        self._dead_bytes = 0
        self._moved = False
        self._sound = True
        # False once the sink or the ledger has failed, or a write was cut short: a position committed after
        # that would stand behind documents that never arrived.
        self._stays = False
        """Whether something arrived, or was ended or emptied: then what was opened is there to stay."""
        self.closing = False
        """Whether the run has ended, and its last commit or the release of the sink may be under way."""

    async def open(self) -> tuple[Opened | None, Position | None]:
        """Open both. Returns what the ledger knows, and the position to start from.

        For a restart, also one that was interrupted, this only checks that the sink can be opened. The first
        record, or ``start_over``, empties both.
        """
        token = began_at.set(self._began)
        try:
            return await self._open()
        finally:
            with suppress(ValueError):  # a dropped coroutine ends in another context
                began_at.reset(token)

    async def _open(self) -> tuple[Opened | None, Position | None]:
        ledger, sink = self._ledger, self._sink
        opened = None if ledger is None else await ledger.open(self._key)
        interrupted = opened is not None and sink is not None and restart_begun(opened, sink)
        if self._restart or interrupted:
            if sink is not None:
                await sink.claim()
            self._known, self._due, self.restarts = opened, True, True
            return opened and _anew(opened), None
        held = None
        if sink is not None:
            if opened and opened.record is None and opened.position and not sink.transactional:
                raise SinkMismatch(_without_output(self._key, sink))
            held = await sink.open(opened.record if opened else None)
        return await self._begin(opened, held)

    async def _begin(
        self, opened: Opened | None, held: Commit | None
    ) -> tuple[Opened | None, Position | None]:
        """Let the open ledger and the open sink agree where to start."""
        sink, position = self._sink, opened.position if opened else None
        self._epoch = opened.epoch if opened else 0
        if sink is None:
            return opened, position
        if sink.transactional:
            return await self._agree(sink, opened, held)
        if self._ledger is not None:
            await self._ledger.confirm(self._key, self._epoch)  # drops a note of a restart that was killed
        if opened is not None and opened.record is None:
            # an output that was created belongs to this ledger from now on, even if nothing follows
            await self._write(Commit(self._epoch + 1, position or {}, counts=opened.counts))
            self._epoch += 1
        return opened, position

    async def start_over(self) -> None:
        """Make a restart that is due: empty the sink, then let the ledger forget.

        If the sink cannot be opened, nothing is lost.
        """
        if not self._due:
            return
        ledger, sink, known = self._ledger, self._sink, self._known
        self._due, self._known, self._stays = False, None, True  # half of a restart is gone on with
        self._sound = False  # stays so if this fails or is cancelled
        if ledger is not None and sink is not None and known is not None:
            await note_restart(ledger, self._key, known, sink)
        held = None if sink is None else await sink.open(None, restart=True)
        empty = None if ledger is None else await ledger.open(self._key, restart=True)
        await self._begin(empty, held)
        self._sound = True

    async def _agree(
        self, sink: Sink, opened: Opened | None, held: Commit | None
    ) -> tuple[Opened | None, Position | None]:
        """Let the ledger follow a database sink: confirm or drop pending rows by the epoch that it holds."""
        self._epoch = held.epoch if held else 0
        if opened is not None and self._epoch < opened.epoch:
            raise SinkMismatch(_behind(self._key, opened.epoch, sink, self._epoch))
        if opened is not None and self._epoch > opened.epoch + 1:
            if not self._refresh:
                raise SinkMismatch(_older(self._key, opened.epoch, sink, self._epoch))
            self.outdated = True
        if self._ledger is not None:
            await self._ledger.confirm(self._key, self._epoch)
        if opened is not None and held is not None and self._epoch > opened.epoch and opened.resumed:
            opened = replace(opened, epoch=self._epoch, counts=held.counts)  # just confirmed
        return opened, held.position if held else None

    async def see(self, batch: Batch) -> None:
        """Look at what a chunk of items means, before the consumer has it; ``take`` follows."""
        if batch:
            self._stays = True
            await self.start_over()

    async def take(self, batch: Batch) -> None:
        """Take what a chunk of items means; give documents to the sink unless a commit is under way."""
        mine = self._batch
        mine.documents += batch.documents
        mine.states += batch.states
        mine.dead += batch.dead
        mine.resolved += batch.resolved
        self._moved = True
        self._dead_bytes += sum(len(letter.raw) for letter in batch.dead)
        self.uncommitted += max(len(batch.documents), len(batch.states))
        if self._sink is not None and mine.documents and (self._task is None or self._task.done()):
            await self.settled()
            await self._hand_over()

    def is_due(self, every: int) -> bool:
        """Whether to commit: after ``every`` documents, or when the dead letters take too much memory."""
        return self.uncommitted >= every or self._dead_bytes >= _DEAD_BYTES

    async def _hand_over(self) -> None:
        """Give the documents at hand to the sink."""
        documents, self._batch.documents = self._batch.documents, []
        if self._sink is not None and documents:
            self._sound = False  # stays so if this fails or is cancelled
            await self._sink.write(documents)
            self._sound = True

    async def commit(self, position: Position, counts: dict[str, int]) -> None:
        """Begin to commit everything taken so far. Waits for the commit before this one, not for this one."""
        await self.settled()
        await self._hand_over()
        self._epoch += 1
        self._stays = True
        batch, self._batch = self._batch, Batch()
        commit = Commit(
            self._epoch, position, batch.states, batch.dead, counts=counts, resolved=batch.resolved
        )
        self.uncommitted, self._moved, self._dead_bytes = 0, False, 0
        if self._sink is not None or self._ledger is not None:
            work = self._write_soundly(commit)
            self._task = asyncio.get_running_loop().create_task(work, name="penstock commit")

    async def _write_soundly(self, commit: Commit) -> None:
        try:
            await self._write(commit)
        except BaseException:
            self._sound = False
            raise

    async def keep(self, error: BaseException, reached: Reached | None) -> None:
        """Commit what was taken before ``error`` ended the run, if that is still possible.

        A second error becomes a note of ``error``. ``reached`` returns the position behind what was taken.
        """
        self.closing = True
        try:
            if self._sound and self._moved and self._stays and reached is not None:
                await self.commit(*reached())
            await self.settled()
        except Exception as second:  # noqa: BLE001  the first error is the one to raise
            if second is not error:
                error.add_note(f"penstock: documents since the last commit were not committed: {second}")

    async def _write(self, commit: Commit) -> None:
        sink, ledger = self._sink, self._ledger
        if sink is not None and sink.transactional:
            if ledger is not None:
                await ledger.pending(self._key, commit)
            await sink.commit(commit)
            if ledger is not None:
                await ledger.confirm(self._key, commit.epoch)
            return
        if sink is not None:
            commit.record = await sink.commit(commit)
        if ledger is not None:
            await ledger.commit(self._key, commit)

    async def settled(self) -> None:
        """Wait for the commit under way, and raise its error. A cancelled wait leaves it running."""
        while self._task is not None:
            await asyncio.wait([self._task])
            task, self._task = self._task, None
            task.result()

    async def end(self, position: Position, counts: dict[str, int], *, completed: bool) -> None:
        """Commit the last documents, verify the output, and end the logical run if it is ``completed``.

        A restart without a record ends as if it had not begun: its input is probably the wrong one.
        """
        self._stays = self._stays or (completed and not self._due)
        if not self._stays:  # stopped before the first record, or a restart without one: see ``aclose``
            return
        await self.commit(position, counts)
        await self.settled()
        if self._sink is not None:
            await self._sink.verify()
        if completed and self._ledger is not None:
            await self._ledger.finish(self._key, "completed")

    async def begin_anew(self) -> Opened | None:
        """End an interrupted logical run where it stands, and begin the next. Call it before ``take``."""
        if self._ledger is None:
            return None
        self._stays = True
        await self._ledger.finish(self._key, "completed")
        return await self._ledger.open(self._key)

    async def aclose(self) -> None:
        """Let a commit under way end, then release the sink. Documents that were not committed are dropped.

        If nothing has arrived, this undoes ``open``: what was created is removed, and the ledger forgets the
        run. The ledger forgets first, so that an output that a kill leaves behind is an empty one.

        If this is cancelled, it cancels the commit too. The sink and the ledger finish the part of the commit
        that they have begun.
        """
        self.closing = True
        in_flight = sys.exception()
        try:
            await self.settled()
        except Exception as error:
            if in_flight is None:
                raise
            in_flight.add_note(f"penstock: a commit under way failed too: {error}")
        finally:
            await self._release()

    async def _release(self) -> None:
        try:
            if self._task is not None:  # the wait for it was cancelled
                self._task.cancel()
                await asyncio.wait([self._task])
            if not self._stays:
                await self._undo()
        finally:
            if self._sink is not None:
                await self._sink.aclose()

    async def _undo(self) -> None:
        """Undo ``open``. A failure becomes a note of the error in flight."""
        in_flight = sys.exception()
        if in_flight is not None and self._due and self._restart:
            in_flight.add_note(NOT_BEGUN)
        try:
            if self._ledger is not None:
                await self._ledger.undo_open(self._key)
            if self._sink is not None:
                await self._sink.undo_open()
        except PenstockError as error:
            if in_flight is None:
                raise
            in_flight.add_note(f"penstock: what this run has created could not be removed: {error}")


def _anew(opened: Opened) -> Opened:
    """Return what the ledger will know once it has forgotten everything."""
    return replace(opened, run=opened.run + 1, epoch=0, position=None, record=None, counts={}, resumed=False)


def _without_output(key: str, sink: Sink) -> str:
    return (
        f"the ledger's {key!r} was ingested without an output so far, so {sink.describe()} would lack all "
        "earlier documents; give the output another key= or ledger, "
        "or begin anew with restart=True (--restart)"
    )


def _behind(key: str, epoch: int, sink: Sink, held: int) -> str:
    return (
        f"the ledger's {key!r} is at commit {epoch}, but {sink.describe()} holds commit {held}; use the "
        "output of its earlier runs, or give this one another key= or ledger, "
        "or begin anew with restart=True (--restart)"
    )


def _older(key: str, epoch: int, sink: Sink, held: int) -> str:
    return (
        f"the ledger's {key!r} is older than the output: it is at commit {epoch}, but {sink.describe()} "
        f"holds commit {held}. So it lacks states and dead letters; it was deleted, or restored from a "
        "backup. Put the newest ledger back; or refresh (--refresh), which reads everything again; "
        "or begin anew with restart=True (--restart)"
    )
