"""Operators of the event stage: they work on documents, inside the stage that makes events of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.core.node import assembled_at, positive
from penstock.documents.node import Documents
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.core.node import Node
    from penstock.document import Document
    from penstock.operators.attach import Same

__all__ = ["batch_progress", "where"]


def event_stage(operator: str, node: Node) -> Documents:
    """Return the event stage that a flow ends with, or say why there must be one."""
    if isinstance(node, Documents):
        return node
    msg = (
        f"{operator} at {assembled_at()} stands behind {node.operator}, but it works on the documents of an "
        "adapter: behind anything that filters or changes events its sums would be wrong. "
        f"Wrong: adapter | op.filter(f) | op.{operator}(...). "
        f"Right: adapter | op.{operator}(...) | op.filter(f)."
    )
    raise GraphError(msg)


def where(function: Callable[[Document], object]) -> Same:
    """Skip the documents for which ``function(document)`` is false: they give no events and count as skipped.

    They are judged as they were parsed, before any processing step.
    Must stand directly behind an adapter or another operator of the event stage.
    """
    function_for("where", function)

    def make(node: Node) -> Node:
        stage = event_stage("where", node)
        return stage.with_settings(where=(*stage.settings.where, function))

    return attach(make)


def batch_progress(every: int = 1000, *, checkpoint_every: int | None = None) -> Same:
    """Say how far the stream is, in a ``BatchProgress`` behind every ``every`` settled documents.

    Args:
        every: Documents from one progress event to the next.
        checkpoint_every: Documents from one intended commit to the next (``is_checkpoint``).
    """
    positive("batch_progress", "every", every)
    changes: dict[str, Any] = {"progress_every": every}
    if checkpoint_every is not None:
        positive("batch_progress", "checkpoint_every", checkpoint_every)
        changes["checkpoint_every"] = checkpoint_every
    return attach(lambda node: event_stage("batch_progress", node).with_settings(**changes))
