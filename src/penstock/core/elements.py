"""Synchronous operators, one class each: the lines they add to the loop of a fused stage.

A fused stage runs its elements as one generator function (see ``core.fused``). Each element writes its
lines for the variable ``x``: ``fK`` is its function, ``nK`` its number, ``sK`` its state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.core.node import Node

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.core.graph import Site
    from penstock.core.stage import Stage

__all__ = [
    "Batch",
    "Choose",
    "Distinct",
    "Element",
    "Enumerate",
    "Filter",
    "FlatMap",
    "Keyed",
    "Map",
    "Scan",
    "Skip",
    "SkipWhile",
    "StarMap",
    "Take",
    "TakeWhile",
    "Tap",
    "Unbatch",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Element(Node):
    """A synchronous operator: one item in, none or one out, unless it says that it ``ends`` a stage."""

    ends: ClassVar[bool] = False
    """Whether it changes the number of items, and so must be the last of its stage."""
    even: ClassVar[bool] = False
    """Whether each input becomes just one output and nothing is kept of it, so that places can be counted."""
    initial: ClassVar[Any] = None
    """What ``sK`` holds at the beginning."""
    helpers: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Names, other than variables of the loop, that its lines use."""

    function: Callable[..., Any] | None = None
    number: int = 0
    number_is: ClassVar[str | None] = None
    """What ``number`` is called where users write it; ``None`` if the operator has none."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Its own fields, with ``number`` under the name that users know."""
        found = Node.parameters.__get__(self)
        found.pop("number", None)
        return found if self.number_is is None else {**found, self.number_is: self.number}

    @property
    def skippable(self) -> bool:
        """Whether it calls a function, or something above it does."""
        return self.function is not None or self.inputs[0].skippable

    def start(self, site: Site) -> Stage[Any]:
        """Start one fused stage for this element and its neighbours."""
        from penstock.core.fused import fuse

        return fuse(site)

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        """Return the lines of this element; ``drop`` are those that leave the loop's body.

        ``called`` says whether a function was given (``fK``); otherwise there is a number (``nK``).
        """
        raise NotImplementedError

    def first(self) -> Any:
        """Return the state at the beginning."""
        return self.initial

    def restore(self, state: JSON) -> Any:
        """Return the state to start from, given what a position holds (``None``: the beginning)."""
        return self.first() if state is None else self.load(state)

    def dump(self, state: Any) -> JSON:
        """Return the state as JSON that is not ``None``."""
        return state

    def load(self, state: JSON) -> Any:
        """Return the state that ``dump`` made."""
        return state

    def demand(self, n: int, state: Any) -> int:  # noqa: ARG002  part of the signature for those who need it
        """Return how many inputs may be asked for when ``n`` outputs are wanted."""
        return n

    def finished(self, state: Any) -> bool:  # noqa: ARG002
        """Whether nothing can come any more, whatever upstream still has."""
        return False


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


class Map(Element):
    """Each item becomes ``function(item)``."""

    operator = "map"
    transparent = True
    even = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = f{k}(x)"]


class StarMap(Element):
    """Each item becomes ``function(*item)``."""

    operator = "starmap"
    transparent = True
    even = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = f{k}(*x)"]


class Keyed(Element):
    """Each item becomes ``(function(item), item)``, for whoever sorts items by that."""

    operator = "keyed"
    even = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = (f{k}(x), x)"]


class Filter(Element):
    """Items for which ``function(item)`` is false are dropped."""

    operator = "filter"
    transparent = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if not f{k}(x):", *_indent(drop)]


class Choose(Element):
    """Each item becomes the value of the ``Option`` that ``function(item)`` returns, or is dropped."""

    operator = "choose"
    transparent = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = f{k}(x)", "if x.is_none():", *_indent(drop), "x = x.value"]


class Tap(Element):
    """``function(item)`` is called for its effect."""

    operator = "tap"
    transparent = True
    even = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"f{k}(x)"]


class Enumerate(Element):
    """Each item becomes ``(index, item)``, counted from ``number``."""

    operator = "enumerate"
    number_is = "start"
    stateful = True

    def first(self) -> int:  # noqa: D102
        return self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = (s{k}, x)", f"s{k} += 1"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan(Element):
    """Each item becomes ``function(accumulator, item)``, which also is the next accumulator."""

    operator = "scan"
    stateful = True

    seed: Any = None

    def first(self) -> Any:  # noqa: D102
        return self.seed

    def dump(self, state: Any) -> JSON:  # noqa: D102
        return [state]

    def load(self, state: JSON) -> Any:  # noqa: D102
        return state[0]

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"x = s{k} = f{k}(s{k}, x)"]


class Take(Element):
    """The first ``number`` items; then the end, without asking for more."""

    operator = "take"
    number_is = "count"
    stateful = True
    initial = 0

    def bound(self, n: int) -> float:  # noqa: D102
        return self.inputs[0].bound(min(n, self.number)) if self.number else 0

    def demand(self, n: int, state: int) -> int:  # noqa: D102
        return min(n, self.number - state)

    def finished(self, state: int) -> bool:  # noqa: D102
        return state >= self.number

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"s{k} += 1"]


class TakeWhile(Element):
    """Items as long as ``function(item)`` is true; then the end."""

    operator = "take_while"
    stateful = True
    initial = False

    def finished(self, state: bool) -> bool:  # noqa: D102, FBT001
        return state

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if not f{k}(x):", f"    s{k} = True", "    return"]


class Skip(Element):
    """All but the first ``number`` items."""

    operator = "skip"
    number_is = "count"
    stateful = True
    initial = 0

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if s{k} < n{k}:", f"    s{k} += 1", *_indent(drop)]


class SkipWhile(Element):
    """All items from the first for which ``function(item)`` is false."""

    operator = "skip_while"
    stateful = True
    initial = True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if s{k}:", f"    if f{k}(x):", *_indent(_indent(drop)), f"    s{k} = False"]


class Distinct(Element):
    """Items whose key (``function(item)``, or the item) differs from the one before."""

    operator = "distinct_until_changed"
    stateful = True
    initial = ()

    def dump(self, state: Any) -> JSON:  # noqa: D102
        return list(state)

    def load(self, state: JSON) -> Any:  # noqa: D102
        return tuple(state)

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: D102
        key = f"f{k}(x)" if called else "x"
        return [f"y = {key}", f"if s{k} and s{k}[0] == y:", *_indent(drop), f"s{k} = (y,)"]


class FlatMap(Element):
    """Each item becomes the items of the iterable ``function(item)``."""

    operator = "flat_map"
    stateful = True
    transparent = True
    ends = True
    remedy = (
        "behind an unordered operator a resumed run may begin with another item than the one in whose "
        "expansion it was cut. Pass ordered=True to that operator, or expand the items before it."
    )

    @property
    def obstacle(self) -> Node | None:
        """This node, if a resumed run might begin with another item than the one it was cut in."""
        above = self.inputs[0]
        return above.obstacle or (None if above.repeatable else self)

    def bound(self, n: int) -> float:  # noqa: D102
        return self.inputs[0].bound(n) + n


class Unbatch(FlatMap):
    """Each item becomes its own items."""

    operator = "unbatch"


class Batch(Element):
    """Lists of ``number`` items; the last may be shorter."""

    operator = "batch"
    number_is = "size"
    ends = True

    def bound(self, n: int) -> float:  # noqa: D102
        return self.inputs[0].bound(n * self.number) + self.number - 1
