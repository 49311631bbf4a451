"""Who commits what, in which order (one authority per run).

* *A file sink*: its bytes are made durable first, then its record, the position and the document states
  go into the ledger in one transaction. On opening, the file is cut back to the ledger's record.
* *A database sink*: the ledger's rows go in first, as pending under the epoch; the sink then commits
  documents, position and epoch in one transaction; the rows are confirmed afterwards. On opening, the
  sink says which epoch it holds, and the ledger confirms or drops its pending rows by that.
* *No sink*: the position goes into the ledger when the consumer has acknowledged the items.

Killed at any instant, the first two end, when started again, with the output of an undisturbed run.
A commit runs in a task of its own while the next documents are being made; they are handed to the sink
when it is done.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.abc import Commit, DeadLetter, DocumentState, Ledger, Position, Sink
from penstock.document import Document
from penstock.errors import GraphError, SinkMismatch
from penstock.events import DocumentCompleted
from penstock.fusion.drive import SlowStart
from penstock.runtime.arguments import positive
from penstock.runtime.graph import require_resumable
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Opened
    from penstock.runtime.node import Node

__all__ = ["Delivered", "Delivery", "deliver", "refuse_checkpoint"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What ``into`` did: documents written by this call, and whether it continued an earlier one."""

    documents: int
    resumed: bool


class Delivery:
    """The open ledger and sink of one run, and the documents between two commits.

    Args:
        sink: Where documents go; ``None`` if the consumer takes them.
        ledger: What remembers; ``None`` if nothing is to be remembered.
        key: The ledger's key.
        restart: Forget what the ledger and the sink hold.
    """

    def __init__(self, sink: Sink | None, ledger: Ledger | None, key: str, *, restart: bool = False) -> None:
        self._sink = sink
        self._ledger = ledger
        self._key = key
        self._restart = restart
        self._epoch = 0
        self._documents: list[Document] = []
        self._states: list[DocumentState] = []
        self._dead: list[DeadLetter] = []
        self._resolved: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.uncommitted = 0
        """Documents and states taken since the last commit began."""
        self._moved = False
        self.sound = True
        """False once the sink or the ledger has failed, or a write was cut short: a position committed after
        that would stand behind documents that never arrived."""

    async def open(self) -> tuple[Opened | None, Position | None]:
        """Open both; return what the ledger knows, and the position to start from.

        A restart holds the ledger first and empties the sink next: if one of them cannot be had, the ledger
        has forgotten nothing. Killed in between, a run that is not a restart refuses the emptied sink.
        """
        ledger, sink, held = self._ledger, self._sink, None
        if self._restart and sink is not None:
            if ledger is not None:
                await ledger.open(self._key)
            held = await sink.open(None, restart=True)
        opened = await ledger.open(self._key, restart=self._restart) if ledger else None
        position = opened.position if opened else None
        self._epoch = opened.epoch if opened else 0
        if self._sink is not None:
            if (
                opened is not None
                and opened.record is None
                and opened.position
                and not self._sink.transactional
            ):
                raise SinkMismatch(_without_output(self._key, self._sink))
            if not self._restart:
                held = await self._sink.open(opened.record if opened else None)
            if self._sink.transactional:
                self._epoch = held.epoch if held else 0
                if opened is not None and self._epoch < opened.epoch:
                    raise SinkMismatch(_behind(self._key, opened.epoch, self._sink, self._epoch))
                position = held.position if held else None
                if self._ledger is not None:
                    await self._ledger.confirm(self._key, self._epoch)
                if opened is not None and held is not None and self._epoch > opened.epoch and opened.resumed:
                    opened = replace(opened, epoch=self._epoch, counts=held.counts)  # just confirmed
            elif self._ledger is not None and opened is not None and opened.record is None:
                # an output that was created belongs to this ledger from now on, even if nothing follows
                await self._write(Commit(self._epoch + 1, position or {}, counts=opened.counts), claim=True)
        return opened, position

    async def take(
        self,
        documents: list[Document],
        states: list[DocumentState] = [],  # noqa: B006  never changed
        dead: list[DeadLetter] = [],  # noqa: B006
        resolved: list[str] = [],  # noqa: B006
    ) -> None:
        """Take what a chunk of items came to."""
        self._documents += documents
        self._moved = True
        self._states += states
        self._dead += dead
        self._resolved += resolved
        self.uncommitted += len(documents) + len(states)
        if self._sink is not None and self._documents and (self._task is None or self._task.done()):
            await self._settle_task()
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Give the documents at hand to the sink."""
        documents, self._documents = self._documents, []
        if self._sink is not None and documents:
            self.sound = False  # for good, if this fails or is cancelled
            await self._sink.write(documents)
            self.sound = True

    async def commit(self, position: Position, counts: dict[str, int]) -> None:
        """Begin to make everything taken so far true; waits for the commit before it, not for this one."""
        await self._settle_task()
        await self._hand_over()
        self._epoch += 1
        commit = Commit(
            self._epoch, position, self._states, self._dead, counts=counts, resolved=self._resolved
        )
        self._states, self._dead, self._resolved = [], [], []
        self.uncommitted, self._moved = 0, False
        if self._sink is not None or self._ledger is not None:
            self._task = asyncio.get_running_loop().create_task(
                self._make_true(commit), name="penstock commit"
            )

    async def _make_true(self, commit: Commit) -> None:
        try:
            await self._write(commit)
        except BaseException:
            self.sound = False
            raise

    async def keep(
        self, error: BaseException, reached: Callable[[], tuple[Position, dict[str, int]]]
    ) -> None:
        """Commit what was taken before ``error`` ended the run, as far as that can be; never masks it.

        ``reached`` returns the position behind what was taken, and the sums there.
        """
        try:
            if self.sound and self._moved:
                await self.commit(*reached())
            await self._settle_task()
        except Exception as second:  # noqa: BLE001  the first error is the one to tell
            if second is not error:
                error.add_note(f"penstock: what came since the last commit was not committed: {second}")

    async def _write(self, commit: Commit, *, claim: bool = False) -> None:
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
            if claim:
                self._epoch = commit.epoch

    async def _settle_task(self) -> None:
        """Wait for the commit under way, and raise its error. A cancelled wait leaves it running."""
        while self._task is not None:
            await asyncio.wait([self._task])
            task, self._task = self._task, None
            task.result()

    async def settled(self) -> None:
        """Wait until everything that was committed is durable."""
        await self._settle_task()

    async def finish(self) -> None:
        """End the logical run as completed; the next one begins anew behind its position."""
        await self._settle_task()
        if self._ledger is not None:
            await self._ledger.finish(self._key, "completed")

    async def begin_anew(self) -> Opened | None:
        """End an interrupted logical run where it stands, and begin the next, before anything is taken."""
        if self._ledger is None:
            return None
        await self._settle_task()
        await self._ledger.finish(self._key, "completed")
        return await self._ledger.open(self._key)

    async def aclose(self) -> None:
        """Let a commit under way end, then release the sink; what was not committed is dropped.

        Cancelled meanwhile, it gives the commit up first: what that had begun is finished by the sink and the
        ledger, in its turn, and nothing more of it follows.
        """
        in_flight = sys.exception()
        try:
            await self._settle_task()
        except Exception as error:
            if in_flight is None:
                raise
            in_flight.add_note(f"penstock: a commit under way failed too: {error}")  # and never masks it
        finally:
            await self._release()

    async def _release(self) -> None:
        try:
            if self._task is not None:  # the wait for it was cancelled
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            if self._sink is not None:
                await self._sink.aclose()


def _without_output(key: str, sink: Sink) -> str:
    return (
        f"the ledger's {key!r} has come this far without an output, so that {sink.describe()} would lack "
        "everything before; give the output another key= or ledger, or restart to begin anew"
    )


def _behind(key: str, epoch: int, sink: Sink, held: int) -> str:
    return (
        f"the ledger's {key!r} is at commit {epoch}, but {sink.describe()} holds commit {held}; use the "
        "output of its earlier runs, or give this one another key= or ledger, or restart to begin anew"
    )


def refuse_checkpoint(root: Node, who: str) -> None:
    """Refuse a graph with a checkpoint: two authorities over one run lose documents in a crash."""
    if root.settles:
        msg = (
            f"{who} is a checkpoint itself, so the flow before it may not have one: a ledger that commits on "
            "demand above a sink that commits later loses documents in a crash. Leave op.checkpoint(...) "
            f"out and give the ledger to {who}."
        )
        raise GraphError(msg)


async def deliver(
    root: Node, sink: Sink, *, ledger: Ledger | None = None, key: str = "default", commit_every: int = 1000
) -> Delivered:
    """Run a graph of documents, or of events, into a sink; see ``Flow.into``."""
    positive("into", "commit_every", commit_every)
    refuse_checkpoint(root, "into(sink)")
    if ledger is not None:
        require_resumable(root, "into(sink, ledger=...)")
    delivery, total, demand = Delivery(sink, ledger, key), 0, SlowStart()
    try:
        opened, position = await delivery.open()
        before = opened.counts.get("completed", 0) if opened else 0

        async with Running[Any](root, position or None) as subscription:
            clock = subscription.run.clock

            def reached() -> tuple[Position, dict[str, int]]:
                return subscription.position if ledger else {}, {"completed": before + total}

            try:
                while items := await subscription.request(demand.n):
                    began = clock.monotonic()
                    documents = [document for item in items if (document := document_in(item)) is not None]
                    total += len(documents)
                    await delivery.take(documents)
                    if delivery.uncommitted >= commit_every:
                        await delivery.commit(*reached())
                    demand.took(clock.monotonic() - began)
                await delivery.commit(*reached())
                await delivery.finish()
            except (Exception, asyncio.CancelledError) as error:
                await delivery.keep(error, reached)
                raise
    finally:
        await delivery.aclose()
    return Delivered(total, bool(opened and opened.resumed))


def document_in(item: Any) -> Document | None:
    """Return the document that an item is or carries, if any."""
    if isinstance(item, Document):
        return item
    return item.document if isinstance(item, DocumentCompleted) else None
