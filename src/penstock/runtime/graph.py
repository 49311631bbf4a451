"""The ids of the nodes in a graph, and positions, which hold a state for each id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from penstock.errors import GraphError, NotResumable, PositionError
from penstock.runtime.node import Vertex

if TYPE_CHECKING:
    from penstock.abc import Position
    from penstock.runtime.node import Node
    from penstock.runtime.upstream import States

VERSION = 1


def refuse_single_use(node: Node) -> None:
    """Raise ``NotResumable`` if ``node``, which restarts its upstream, has one that can be read only once."""
    once = node.single_use
    if once is not None:
        msg = (
            f"{node.describe()} starts its upstream again, but {once.describe()} can be read only "
            "once: pass a function that returns a new iterator each time: rows instead of rows()"
        )
        raise NotResumable(msg)


def resolve(root: Node) -> Vertex:
    """Give every node of a graph its id.

    Raises:
        GraphError: two nodes were given the same ``name=``.
    """
    vertex = _resolve(root, "")
    seen: set[str] = set()
    for name in vertex.ids:
        if name in seen:
            msg = f"two operators of this graph have the position id {name!r}: give each its own name="
            raise GraphError(msg)
        seen.add(name)
    return vertex


def _resolve(node: Node, path: str) -> Vertex:
    if len(node.inputs) == 1:
        inputs: tuple[Vertex, ...] = (_resolve(node.inputs[0], path),)
        ordinal = inputs[0].ordinal
    else:
        inputs = tuple(_resolve(child, f"{path}{i}.") for i, child in enumerate(node.inputs))
        ordinal = 0
    own = node.name or f"{path}{node.operator}{node.structure}#{ordinal}"
    return Vertex(node, own, ordinal + node.stateful, inputs)


def require_resumable(root: Node, who: str) -> None:
    """Raise ``NotResumable`` if some node at or above ``root`` cannot give a position."""
    obstacle = root.obstacle
    if obstacle is not None:
        remedy = obstacle.remedy and f": {obstacle.remedy}"
        msg = f"{who} needs a position, but {obstacle.describe()} cannot give one{remedy}"
        raise NotResumable(msg)


def position_of(root: Vertex, states: States) -> Position:
    """Return a position that holds ``states``: plain JSON that shares no object with the run.

    Raises:
        PositionError: the state of some operator is not JSON.
    """
    nodes: dict[str, Any] = {}
    for vertex in root.walk():
        if vertex.node.stateful:
            try:
                nodes[vertex.id] = json.loads(json.dumps(states.get(vertex.id)))
            except (TypeError, ValueError) as error:
                msg = (
                    f"the state of {vertex.node.describe()} is not JSON, so the flow has no position: "
                    f"{error}. Keep it to numbers, strings, booleans, None, lists and dicts with string keys."
                )
                raise PositionError(msg) from error
    return {"v": VERSION, "nodes": nodes}


def states_of(root: Vertex, position: Position) -> States:
    """Return the states in a position.

    Raises:
        PositionError: it is no position, or belongs to another graph; the message says what differs.
    """
    if not isinstance(position, Mapping) or position.get("v") != VERSION or "nodes" not in position:
        msg = f"this is not a position of version {VERSION}: {str(position)[:200]}"
        raise PositionError(msg)
    nodes = position["nodes"]
    wanted = root.ids
    if set(nodes) != set(wanted):
        added = ", ".join(i for i in wanted if i not in nodes) or "nothing"
        gone = ", ".join(i for i in nodes if i not in set(wanted)) or "nothing"
        msg = (
            f"this position belongs to another graph: the flow has {added} that the position lacks, "
            f"and lacks {gone} that the position has. Start without a position, or build the same flow again."
        )
        raise PositionError(msg)
    return {key: value for key, value in nodes.items() if value is not None}
