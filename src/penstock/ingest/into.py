"""``Flow.into``: a graph of documents, or of events, into a sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.abc import Ledger, Sink
from penstock.document import Document
from penstock.errors import GraphError
from penstock.events import DocumentCompleted
from penstock.ingest.delivery import Batch, Delivery
from penstock.ingest.transfer import Transfer
from penstock.runtime.arguments import assembled_at, positive, refuse, text_for
from penstock.runtime.graph import require_resumable
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Position
    from penstock.ingest.delivery import Reached
    from penstock.runtime.node import Node


@dataclass(frozen=True, slots=True)
class Delivered:
    """What ``into`` did: documents written by this call, and whether it resumed an earlier one."""

    documents: int
    resumed: bool


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
    delivery, total = Delivery(sink, ledger, key, began=assembled_at()), 0

    def read(items: list[Any]) -> Batch:
        nonlocal total
        documents = [document for item in items if (document := document_in(item)) is not None]
        total += len(documents)
        return Batch(documents)

    def mark() -> Reached:
        position: Callable[[], Position] = subscription.bookmark() if ledger is not None else dict
        counts = {"completed": before + total}
        return lambda: (position(), counts)

    async def end() -> None:
        await delivery.end(*mark()(), completed=True)

    try:
        opened, position = await delivery.open()
        before = opened.counts.get("completed", 0) if opened else 0
        async with Running[Any](root, position or None, positioned=ledger is not None) as subscription:
            request, clock = subscription.request, subscription.run.clock
            await Transfer(delivery, request, clock, commit_every, read, mark, end).run()
    finally:
        await delivery.aclose()
    return Delivered(total, bool(opened and opened.resumed))


def document_in(item: Any) -> Document | None:
    """Return the document that an item is or carries, if any."""
    if isinstance(item, Document):
        return item
    return item.document if isinstance(item, DocumentCompleted) else None
