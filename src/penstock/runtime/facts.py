"""What a node says about the graph above it: computed without recursion, whatever the depth of the graph.

A class of nodes has plain properties and a plain method ``bound``, which ask the inputs. ``Node`` passes each
class to ``remember_facts``. That makes each property a fact, computed once per node, for the inputs first.
And it makes ``bound`` remember its results during one ``evaluation``, and leave deep calls to ``bound_of``.
So a chain of 10,000 nodes needs no deep stack, and a node that stands at several places is asked once.
"""

from __future__ import annotations

import math
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.runtime.node import Node

    Bound = Callable[[Any, int], float]

FACTS = ("order", "obstacle", "single_use", "skippable", "repeatable", "has_checkpoint")

ENDLESS = 10**100
"""A bound above it counts as infinite: a chain of joins can have one that is no ``float`` any more."""

NESTED = 40
"""How deeply calls of ``bound`` may be nested."""


def remember_facts(cls: type[Node]) -> None:
    """Replace the properties and the ``bound`` that a class of nodes defines; see the module."""
    for name in FACTS:
        found = cls.__dict__.get(name)
        if isinstance(found, property) and found.fget is not None and not hasattr(found.fget, "remembers"):
            setattr(cls, name, _remembered(name, found))
    bound = cls.__dict__.get("bound")
    if bound is not None and not hasattr(bound, "remembers"):
        type.__setattr__(cls, "bound", _evaluated(bound))


def _remembered(name: str, found: property) -> property:
    compute: Any = found.fget

    def get(self: Node) -> Any:
        facts = self.facts
        if name not in facts:
            if self.inputs and any(name not in one.facts for one in self.inputs):
                _find_out(self.inputs, name)
            facts[name] = compute(self)
        return facts[name]

    get.remembers = compute  # type: ignore[attr-defined]
    return property(get, doc=found.__doc__)


def _find_out(nodes: Iterable[Node], name: str) -> None:
    """Compute a fact of nodes, after that of their inputs."""
    stack = list(nodes)
    while stack:
        unknown = [one for one in stack[-1].inputs if name not in one.facts]
        if unknown:
            stack += unknown
        else:
            getattr(stack.pop(), name)


class _TooDeep(BaseException):
    """Calls of ``bound`` are nested too deeply: compute this one first."""

    def __init__(self, node: Node, n: int) -> None:
        self.node = node
        self.n = n


class evaluation:  # noqa: N801  reads like a statement
    """A block that remembers the bounds of nodes; blocks may be nested."""

    __slots__ = ("_nested", "_outer", "results")

    current: evaluation | None = None

    def __enter__(self) -> Self:
        self._outer = evaluation.current
        self.results: dict[tuple[Bound, Node, int], float] = (
            {} if self._outer is None else self._outer.results
        )
        self._nested = 0
        evaluation.current = self
        return self

    def __exit__(self, *_: object) -> None:
        evaluation.current = self._outer

    def bound(self, compute: Bound, node: Node, n: int) -> float:
        """Return ``compute(node, n)``, or what it returned before."""
        key = compute, node, n
        if key not in self.results:
            if self._nested >= NESTED:
                raise _TooDeep(node, n)
            self._nested += 1
            try:
                found = compute(node, n)
            finally:
                self._nested -= 1
            self.results[key] = found if found < ENDLESS else math.inf
        return self.results[key]


def bound_of(node: Node, n: int) -> float:
    """Return ``node.bound(n)``."""
    stack = [(node, n)]
    with evaluation():
        while True:
            one, m = stack[-1]
            try:
                found = one.bound(m)
            except _TooDeep as deeper:
                stack.append((deeper.node, deeper.n))
                continue
            stack.pop()
            if not stack:
                return found


def _evaluated(compute: Bound) -> Bound:
    @wraps(compute)
    def bound(self: Node, n: int) -> float:
        n = min(n, sys.maxsize)  # as in a request
        present = evaluation.current
        return bound_of(self, n) if present is None else present.bound(compute, self, n)

    bound.remembers = compute  # type: ignore[attr-defined]
    return bound
