"""``dead_letters``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.abc import Commit
from penstock.documents.letters import letter_of
from penstock.errors import GraphError, LedgerError
from penstock.events import DocumentFailed
from penstock.operators.attach import attach
from penstock.runtime.chunks import Chunks
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, assembled_at, node
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.abc import DeadLetter, Ledger
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["DeadLettersNode", "dead_letters"]


def dead_letters(ledger: Ledger, *, key: str = "dead letters") -> Same:
    """Keep in ``ledger`` the documents of an event stream that failed for good, with their raw bytes.

    Events pass unchanged; one that says that a document failed and will not be tried again is passed on when
    its letter is durable. The ledger is opened for ``key`` when the first document has failed; give a key of
    its own if a checkpoint or a pipeline uses the same ledger. ``IngestionPipeline`` keeps dead letters by
    itself; this is for streams without one.

    Raises:
        GraphError: ``ledger`` is none.
        LedgerError: when a document fails: ``key`` is that of a checkpoint or a pipeline.
    """
    from penstock.abc import Ledger as AnyLedger

    if not isinstance(ledger, AnyLedger):
        msg = (
            f"dead_letters takes a Ledger, not {type(ledger).__name__}, at {assembled_at()}: "
            "dead_letters(SqliteLedger('run.db'))"
        )
        raise GraphError(msg)
    return attach(lambda node: DeadLettersNode(inputs=(node,), ledger=ledger, key=key))


@node
class DeadLettersNode(Node):
    """Events pass unchanged; a ``DocumentFailed`` that is not tried again is in the ledger before it does."""

    operator = "dead_letters"

    ledger: Ledger
    key: str

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that opens the ledger when the first document has failed."""
        return _BuryStage(site, self)


class _BuryStage(Stage[Any]):
    """Holds a chunk until its letters are durable, so that a cancelled request loses nothing."""

    def __init__(self, site: Site, node: DeadLettersNode) -> None:
        super().__init__(site)
        self._node = node
        self._upstream = site.input()
        self._held = Chunks(self._upstream.marks())
        self._errand = Errand(self.run)
        self._epoch: int | None = None
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream

    @property
    def buffered(self) -> int:
        return len(self._held)

    def marks(self) -> Marks:
        return self._held.marks()

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        try:
            if not self._held:
                await self._fetch(n)
            await self._errand.result()
        except Exception as error:
            if not self.run.over(error):
                annotate(error, self._node.describe())
                self._failure = Failure(error)
            raise
        return self._held.take(n)

    async def _fetch(self, n: int) -> None:
        self._held.take(0)  # what was delivered before is behind us now
        events = await self._upstream.request(n)
        if not events:
            self._held.end(self._upstream.marks())
            return
        self._held.put(events, self._upstream.marks())
        letters = [letter_of(e)[1] for e in events if isinstance(e, DocumentFailed) and not e.will_retry]
        if letters:
            self._errand.begin(self._bury(letters), self._node.operator)

    async def _bury(self, letters: list[DeadLetter]) -> None:
        node = self._node
        if self._epoch is None:
            self._epoch = await self._open()
        self._epoch += 1
        await node.ledger.commit(node.key, Commit(self._epoch, {}, dead_letters=letters))

    async def _open(self) -> int:
        """Open the ledger and return its epoch; never where a position would be overwritten."""
        ledger, key = self._node.ledger, self._node.key
        opened = await ledger.open(key)
        if not opened.position and opened.record is None:
            return opened.epoch
        if not opened.resumed:  # opening has begun a run that nobody would end
            await ledger.finish(key, "completed")
        raise LedgerError(
            f"the ledger's {key!r} is that of an ingestion or a checkpoint, whose position would be lost; "
            "give dead_letters another key="
        )

    async def _stop(self) -> None:
        await self._errand.finish()
