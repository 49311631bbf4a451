"""Finds the event stage before an operator on documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.documents.node import Documents
from penstock.errors import GraphError
from penstock.runtime.arguments import at

if TYPE_CHECKING:
    from penstock.runtime.node import Node


def event_stage(operator: str, node: Node) -> Documents:
    """Return ``node`` if it is an event stage; raise ``GraphError`` otherwise."""
    if isinstance(node, Documents):
        return node
    msg = (
        f"{operator}{at()} stands after {node.operator}, but it must stand directly after an "
        "adapter: after operators that filter or change events, its sums would be wrong. "
        f"Wrong: adapter | op.filter(f) | op.{operator}(...). "
        f"Right: adapter | op.{operator}(...) | op.filter(f)."
    )
    raise GraphError(msg)
