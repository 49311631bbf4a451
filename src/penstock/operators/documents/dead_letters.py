"""``dead_letters``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.abc import Commit
from penstock.documents.letters import letter_of
from penstock.errors import LedgerError
from penstock.events import DocumentFailed
from penstock.operators.attach import attach
from penstock.runtime.arguments import refuse, text_for
from penstock.runtime.chunks import Chunks
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, node
from penstock.runtime.passing import PassingStage
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.abc import DeadLetter, Ledger
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks


def dead_letters(ledger: Ledger, *, key: str = "dead letters") -> Same:
    """Store the documents of an event stream that failed for good in ``ledger``, with their bytes.

    Events pass unchanged. A ``DocumentFailed`` that will not be retried passes when its dead letter is
    durable. The ledger is opened for ``key`` when the first document fails; if a checkpoint or a pipeline
    uses the same ledger, choose another key. ``IngestionPipeline`` stores dead letters itself; this operator
    is for streams without a pipeline.

    Raises:
        GraphError: ``ledger`` is no ``Ledger``.
        LedgerError: while running: a checkpoint or a pipeline uses ``key``.
    """
    from penstock.abc import Ledger as AnyLedger

    if not isinstance(ledger, AnyLedger):
        refuse(
            "dead_letters", "a Ledger", ledger, advice="For example: dead_letters(SqliteLedger('run.db'))."
        )
    text_for("dead_letters", "key", key)
    return attach(lambda node: DeadLettersNode(inputs=(node,), ledger=ledger, key=key))


@node
class DeadLettersNode(Node):
    """Events pass unchanged; a ``DocumentFailed`` that is not retried is stored in the ledger before."""

    operator = "dead_letters"

    ledger: Ledger
    key: str


@runs(DeadLettersNode)
class _DeadLettersStage(PassingStage):
    """Holds a chunk until its dead letters are durable, so that a cancelled request loses nothing."""

    def __init__(self, site: Site, node: DeadLettersNode) -> None:
        super().__init__(site, tracked=True)
        self._node = node
        self._held = Chunks(self.upstream.marks())
        self._errand = Errand(self.run)
        self._epoch: int | None = None
        self._failure: Failure | None = None

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
        self._held.leave()
        events = await self.upstream.request(n)
        if not events:
            self._held.end(self.upstream.marks())
            return
        self._held.put(events, self.upstream.marks())
        letters = [letter_of(e)[1] for e in events if isinstance(e, DocumentFailed) and not e.will_retry]
        if letters:
            self._errand.begin(self._store(letters), self._node.operator)

    async def _store(self, letters: list[DeadLetter]) -> None:
        node = self._node
        if self._epoch is None:
            self._epoch = await self._open()
        self._epoch += 1
        await node.ledger.commit(node.key, Commit(self._epoch, {}, dead_letters=letters))

    async def _open(self) -> int:
        """Open the ledger and return its epoch, unless a commit would overwrite a position."""
        ledger, key = self._node.ledger, self._node.key
        opened = await ledger.open(key)
        if not opened.position and opened.record is None:
            return opened.epoch
        if not opened.resumed:  # end the run that opening began
            await ledger.finish(key, "completed")
        raise LedgerError(
            f"an ingestion or a checkpoint uses the ledger's key {key!r}, and its position would be lost; "
            "give dead_letters another key="
        )

    async def _stop(self) -> None:
        await self._errand.finish()
