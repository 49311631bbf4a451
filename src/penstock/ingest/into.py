"""``Flow.into``: a graph of documents, or of events, into a sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.abc import Ledger, Sink
from penstock.document import Document, fault_of_id
from penstock.documents.fate import unwritable
from penstock.documents.letters import letter_of
from penstock.documents.node import Documents
from penstock.errors import GraphError
from penstock.events import AdapterStateChange, BatchProgress, DocumentCompleted, DocumentFailed
from penstock.ingest.delivery import Batch, Delivery
from penstock.ingest.transfer import Transfer
from penstock.redact import redact
from penstock.runtime.arguments import began_at, positive, refuse, text_for
from penstock.runtime.clock import clock_of_the_loop
from penstock.runtime.graph import require_resumable
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import DeadLetter, Position
    from penstock.errors import UnwritableDocument
    from penstock.ingest.delivery import Reached
    from penstock.runtime.node import Node


KEPT_FAILURES = 10


@dataclass(frozen=True, slots=True)
class Delivered:
    """What ``into`` did: ``documents`` written by this call, and whether it resumed an earlier one.

    ``failed`` documents are not in the sink: their event says that they failed, or no sink can write them.
    They are dead letters of the ledger, if there is one. ``failures`` are the last few errors.
    """

    documents: int
    resumed: bool
    failed: int = 0
    failures: tuple[DeadLetter, ...] = ()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from penstock.notebook.forms import bundle, note, title

        resumed = " (resumed an earlier run)" if self.resumed else ""
        done = f"{self.documents:,} documents, {self.failed:,} failed{resumed}"
        return bundle(
            repr(self), title("Delivered", done), *(note(one.error, bad=True) for one in self.failures)
        )


def refuse_checkpoint(root: Node, who: str) -> None:
    """Refuse a graph with a checkpoint: if two ledgers commit in one run, a crash loses documents."""
    if root.has_checkpoint:
        msg = (
            f"{who} is a checkpoint itself, so the flow before it must not have one: a crash would lose "
            "documents that the checkpoint has committed and the sink has not. Leave op.checkpoint(...) out "
            f"and give the ledger to {who}."
        )
        raise GraphError(msg)


async def deliver(
    root: Node, sink: Sink, *, ledger: Ledger | None = None, key: str = "default", commit_every: int = 1000
) -> Delivered:
    """Run a graph of documents, or of events, into a sink; see ``Flow.into``."""
    if not isinstance(sink, Sink):
        refuse("into", "a Sink", sink, advice="Right: into(JsonLinesSink('articles.jsonl')).")
    if ledger is not None and not isinstance(ledger, Ledger):
        refuse("into", "a Ledger", ledger, "ledger", "Right: ledger=SqliteLedger('run.db').")
    text_for("into", "key", key)
    positive("into", "commit_every", commit_every)
    refuse_checkpoint(root, "into(sink)")
    if ledger is not None:
        require_resumable(root, "into(sink, ledger=...)")
    sink.use_schema(schema_of(root))
    delivery = Delivery(sink, ledger, key, began=began_at())
    if isinstance(root, Documents):
        root = root.with_settings(writable=True)  # it knows which documents need no check
    arrivals = _Arrivals(checks=not isinstance(root, Documents))

    def mark() -> Reached:
        position: Callable[[], Position] = subscription.bookmark() if ledger is not None else dict
        counts = arrivals.counts
        return lambda: (position(), counts)

    async def end() -> None:
        await delivery.end(*mark()(), completed=True)

    try:
        opened, position = await delivery.open()
        arrivals.before = opened.counts if opened else {}
        async with Running[Any](root, position or None, positioned=ledger is not None) as subscription:
            request, clock = subscription.request, subscription.run.clock
            await Transfer(delivery, request, clock, commit_every, arrivals.read, mark, end).run()
    finally:
        await delivery.aclose()
    resumed = bool(opened and opened.resumed)
    return Delivered(arrivals.completed, resumed, arrivals.failed, tuple(arrivals.failures))


class _Arrivals:
    """Reads what arrives at the sink, and counts it.

    Args:
        checks: Whether a document may be one that no sink can write.
    """

    def __init__(self, *, checks: bool) -> None:
        self._checks = checks
        self.completed = self.failed = 0
        self.before: dict[str, int] = {}
        """The counts of the run that this one resumes."""
        self.failures: list[DeadLetter] = []

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the logical run."""
        before = self.before.get
        completed, failed = before("completed", 0) + self.completed, before("failed", 0) + self.failed
        return {"completed": completed, "failed": failed} if failed else {"completed": completed}

    def read(self, items: list[Any]) -> Batch:
        """Return the documents among the items, and the dead letters of those that failed."""
        batch = Batch()
        for item in items:
            failure: DocumentFailed | None = None
            if isinstance(item, DocumentFailed):
                failure = None if item.will_retry else item
            elif (document := document_in(item)) is not None:
                fault = unwritable(document) if self._checks else None
                if fault is None:
                    self.completed += 1
                    batch.documents.append(document)
                else:
                    failure = self._failure(document, fault)
            if failure is not None:
                self._fail(failure, batch)
            batch.others = batch.others or not _says_nothing(item)
        return batch

    def _fail(self, failure: DocumentFailed, batch: Batch) -> None:
        state, letter = letter_of(failure)
        batch.states.append(state)
        batch.dead.append(letter)
        self.failed += 1
        self.failures = [*self.failures, letter][-KEPT_FAILURES:]

    def _failure(self, document: Document, fault: UnwritableDocument) -> DocumentFailed:
        """Return the event of a document that came without one; its key is its number in the run."""
        fields = vars(document)
        doc_id, raw, source = fields.get("doc_id"), fields.get("raw"), fields.get("source")
        return DocumentFailed(
            clock_of_the_loop().time(),
            pipeline_id="",
            doc_id=None if fault_of_id(doc_id) else doc_id,
            adapter=source if isinstance(source, str) else "",
            error=redact(str(fault)),
            error_type=type(fault).__name__,
            raw=raw if isinstance(raw, bytes) else None,
            key=f"document #{sum(self.counts.values())}",
        )


def schema_of(root: Node) -> type | None:
    """Return the schema of the sources of documents, if they all have the same."""
    found: set[type | None] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        nodes += node.inputs
        if isinstance(node, Documents):
            found.add(node.source.schema)
    return found.pop() if len(found) == 1 else None


def _says_nothing(item: Any) -> bool:
    """Whether an item tells of no record."""
    return isinstance(item, AdapterStateChange) or (isinstance(item, BatchProgress) and not item.skipped)


def document_in(item: Any) -> Document | None:
    """Return the document that an item is or carries, if any."""
    if isinstance(item, Document):
        return item
    return item.document if isinstance(item, DocumentCompleted) else None
