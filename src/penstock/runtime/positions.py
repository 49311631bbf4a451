"""How states become a position, which is plain JSON, and how a position becomes states again.

A flow that is built at run time has a position of its own, inside the state of its owner. Such flows may
build each other, thousands deep, but JSON that is nested thousands deep can neither be written nor read. So
a position is written from a list, without recursion. Each position that lies ``DEEPEST`` inside of others
stands in the list ``built`` of the outermost one, and a reference to it in its place.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from penstock.errors import PositionError
from penstock.runtime.cut import DEEPEST
from penstock.runtime.upstream import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from penstock.abc import Position
    from penstock.runtime.node import Vertex
    from penstock.runtime.upstream import States

VERSION = 1

REFERENCE = "penstock:built"
"""The key of a reference; its value is an index in the list ``built``."""


class Inner(ABC):
    """A position inside the state of an operator, which is not plain JSON yet."""

    __slots__ = ()

    @abstractmethod
    def values(self) -> Iterable[tuple[str, Any, str]]:
        """Return the id, the state, and the description of each node."""


class Stored(Inner):
    """A position inside of another one, as it was read."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position: dict[str, Any] = {}

    def values(self) -> Iterable[tuple[str, Any, str]]:
        return ((key, value, key) for key, value in self.position["nodes"].items())


class Present(Inner):
    """The position behind the first ``i`` items of the last chunk of a graph that runs."""

    __slots__ = ("_i", "_marks", "_vertex")

    def __init__(self, vertex: Vertex, marks: Callable[[int], States], i: int) -> None:
        self._vertex = vertex
        self._marks = marks
        self._i = i

    def values(self) -> Iterable[tuple[str, Any, str]]:
        found = evaluated(self._marks(self._i))
        for vertex in self._vertex.within():
            if vertex.id:
                yield vertex.id, found.get(vertex.id), vertex.node.describe()


def written(position: Inner) -> Position:
    """Return a position as plain JSON that shares no object with the run.

    Raises:
        PositionError: the state of some operator is not JSON.
    """
    whole: dict[str, Any] = {}
    apart: list[dict[str, Any]] = []
    left: deque[tuple[Inner, dict[str, Any], int]] = deque([(position, whole, 1)])
    while left:
        one, place, depth = left.popleft()
        nodes: dict[str, Any] = {}
        for key, state, who in one.values():
            nodes[key], inner = _copied(state, who)
            for other, empty in inner:
                if depth % DEEPEST == 0 or isinstance(other, Stored):
                    empty[REFERENCE] = len(apart)
                    apart.append(empty := {})
                left.append((other, empty, depth + 1))
        place |= {"v": VERSION, "nodes": nodes}
    return {**whole, "built": apart} if apart else whole


def _copied(state: Any, who: str) -> tuple[Any, list[tuple[Inner, dict[str, Any]]]]:
    """Return a copy of a state, and the positions in it, each with the empty place for it in the copy."""
    found: list[tuple[Inner, dict[str, Any]]] = []

    def reference(value: object) -> dict[str, int]:
        if not isinstance(value, Inner):
            raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
        found.append((value, {}))
        return {REFERENCE: len(found) - 1}

    try:
        text = json.dumps(state, default=reference)
    except (TypeError, ValueError) as error:
        msg = (
            f"the state of {who} is not JSON, so the flow has no position: "
            f"{error}. Keep it to numbers, strings, booleans, None, lists and dicts with string keys."
        )
        raise PositionError(msg) from error
    if not found:
        return json.loads(text), found
    return json.loads(
        text, object_hook=lambda one: found[one[REFERENCE]][1] if REFERENCE in one else one
    ), found


def nodes_of(position: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the states in a position by id; a position that a reference stands for is a ``Stored``."""
    if "built" not in position:
        nodes: Mapping[str, Any] = position["nodes"]
        return nodes
    stored = [Stored() for _ in position["built"]]

    def place(one: dict[str, Any]) -> Any:
        return stored[one[REFERENCE]] if REFERENCE in one else one

    def read(value: Any) -> Any:
        return json.loads(json.dumps(value), object_hook=place)

    try:
        for one, value in zip(stored, position["built"], strict=True):
            one.position = read(value)
        found: dict[str, Any] = read(position["nodes"])
    except (TypeError, ValueError, LookupError) as error:
        msg = f"this position is damaged: it refers to positions that it does not hold ({error})"
        raise PositionError(msg) from error
    return found
