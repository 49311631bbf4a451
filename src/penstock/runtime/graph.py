"""The ids of the nodes in a graph, and positions, which hold a state for each id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from penstock.errors import GraphError, NotResumable, PositionError
from penstock.runtime.node import Vertex
from penstock.runtime.positions import VERSION, Present, nodes_of, written

if TYPE_CHECKING:
    from penstock.abc import Position
    from penstock.runtime.node import Node
    from penstock.runtime.upstream import States

MOST_NAMES = 20
"""How many operators a message names."""


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
    """Give every node of one run its place and its id; the nodes above a shared node are in another run.

    Raises:
        GraphError: two nodes were given the same ``name=``.
    """
    run: list[Vertex] = []
    if not root.inputs:  # often: an operator may build the flow of a source for each of its items
        name = (root.name or f"{root.operator}{root.structure}#0") if root.stateful else ""
        run.append(Vertex(root, name, (), run, 0, 0))
        return run[0]
    above: list[Vertex] = []  # whose consumer was not reached yet
    stack = [(root, False)]
    entries = 0
    while stack:
        node, reached = stack.pop()
        inputs = () if node.shared else node.inputs
        if inputs and not reached:
            stack.append((node, True))
            stack += [(one, False) for one in reversed(inputs)]
            continue
        own: tuple[Vertex, ...] = ()
        if inputs:
            own = tuple(above[-len(inputs) :])
            del above[-len(inputs) :]
        name = ""
        if node.stateful or len(inputs) > 1:  # the joins too: they tell the shape of the graph
            name = node.name or f"{node.operator}{node.structure}#{entries}"
            entries += 1
        vertex = Vertex(node, name, own, run, own[0].first if own else len(run), len(run))
        run.append(vertex)
        above.append(vertex)
    if entries > 1:
        _refuse_same_names(run[-1].ids)
    return run[-1]


def _refuse_same_names(ids: list[str]) -> None:
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            msg = f"two operators of this graph have the position id {name!r}: give each its own name="
            raise GraphError(msg)
        seen.add(name)


def runs_of(root: Node) -> list[Vertex]:
    """Return the last vertex of every run of a graph: the shared runs before those that they feed."""
    resolved: dict[Node, Vertex] = {}
    done: dict[Node, Vertex] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        last = resolved[node] = resolved.get(node) or resolve(node)
        feeding = (one for vertex in last.run if vertex.node.shared for one in vertex.node.inputs)
        missing = [one for one in feeding if one not in done]
        if missing:
            stack += reversed(missing)
            continue
        done[node] = last
        stack.pop()
    return list(done.values())


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
    return written(Present(root, lambda _: states, 0))


def states_of(root: Vertex, position: Position) -> States:
    """Return the states in a position.

    Raises:
        PositionError: it is no position, or belongs to another graph; the message says what differs.
    """
    if not isinstance(position, Mapping) or position.get("v") != VERSION or "nodes" not in position:
        msg = f"this is not a position of version {VERSION}: {str(position)[:200]}"
        raise PositionError(msg)
    nodes = nodes_of(position)
    wanted = root.ids
    if set(nodes) != set(wanted):
        added, gone = _difference(wanted, list(nodes))
        msg = (
            f"this position belongs to another graph: the flow has {added} that the position lacks, "
            f"and lacks {gone} that the position has. Start without a position, or build the same flow again."
        )
        raise PositionError(msg)
    return {key: value for key, value in nodes.items() if value is not None}


def _difference(wanted: list[str], found: list[str]) -> tuple[str, str]:
    """Return in words what is only in ``wanted``, and what is only in ``found``.

    One operator more changes the numbers of all behind it. So what both begin with and end with is left out,
    but for the numbers.
    """
    wanted, found = sorted(wanted, key=_number), sorted(found, key=_number)  # it may be stored in any order
    start = 0
    while start < min(len(wanted), len(found)) and wanted[start] == found[start]:
        start += 1
    end = 0
    most = min(len(wanted), len(found)) - start
    while end < most and _operator(wanted[-1 - end]) == _operator(found[-1 - end]):
        end += 1
    return _listed(wanted[start : len(wanted) - end]), _listed(found[start : len(found) - end])


def _number(name: str) -> tuple[int, str]:
    """Return the number in an id, and the operator; for a ``name=`` no number."""
    operator, _, number = name.rpartition("#")
    return (int(number), operator) if operator and number.isdecimal() else (-1, name)


def _operator(name: str) -> str:
    return _number(name)[1]


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown or "nothing"
