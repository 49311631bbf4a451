"""Finds the event stage that an operator of documents works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.documents.node import Documents
from penstock.errors import GraphError
from penstock.runtime.node import assembled_at

if TYPE_CHECKING:
    from penstock.runtime.node import Node


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
