"""The description of a graph: immutable nodes that know how to start, and nothing about ``Flow``."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import GraphError

if TYPE_CHECKING:
    from penstock.runtime.graph import Site
    from penstock.runtime.stage import Stage


__all__ = ["Node", "Order", "assembled_at"]


class Order(StrEnum):
    """How the items of a flow depend on the schedule of requests (law 5), from strict to loose."""

    EXACT = "exact"
    """The same items in the same order, whatever was requested when."""
    INTERLEAVED = "interleaved"
    """The same multiset; the order of each input is kept."""
    TIMED = "timed"
    """Exact under virtual time with an instant consumer."""
    LOSSY = "lossy"
    """A subsequence."""

    def loosest(self, *others: Order) -> Order:
        """Return the loosest of these."""
        ranks = list(Order)
        return max((self, *others), key=ranks.index)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node(ABC):
    """One operator or source of a graph, as it was asked for.

    Subclasses add their parameters as fields and answer four questions: how do I start, what do I
    hold (``bound``), what of me goes into a position (``stateful``), and how strict is my ``order``.
    """

    operator: ClassVar[str]
    stateful: ClassVar[bool] = False
    """Whether a position holds a state of this node."""
    transparent: ClassVar[bool] = False
    """Whether it may stand behind a checkpoint: it neither holds nor folds items (law 12)."""
    answers: ClassVar[bool] = False
    """Whether it answers all errors above it, so that ``on_error_skip`` does not reach past it."""
    own_order: ClassVar[Order] = Order.EXACT
    hot: ClassVar[bool] = False
    """Whether what stands above runs in a run of its own, so that no position of this one speaks of it."""
    remedy: ClassVar[str] = ""
    """Where this node is an ``obstacle``: why, and what to do instead, for people."""

    inputs: tuple[Node, ...] = ()
    origin: str = ""
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.origin:
            object.__setattr__(self, "origin", assembled_at())
        if not self.transparent and any(node.settles for node in self.inputs):
            msg = (
                f"{self.operator} at {self.origin} stands behind a checkpoint, but it holds or folds items, "
                "so that a commit could acknowledge what nobody has received. Put it before the checkpoint; "
                "only map, filter, starmap, flat_map, choose, tap and their like may follow one."
            )
            raise GraphError(msg)

    @abstractmethod
    def start(self, site: Site) -> Stage[Any]:
        """Return this node running at ``site``; nothing may happen before its first request."""

    def bound(self, n: int) -> float:
        """Return M(n) of law 1: how many source items can be in flight at and above this node."""
        return self.inputs[0].bound(n)

    @property
    def structure(self) -> str:
        """Structural parameters, as they go into the shape of the graph: ``"(2)"``, or nothing."""
        return ""

    @property
    def order(self) -> Order:
        """The order of what leaves this node."""
        return self.own_order.loosest(*(node.order for node in self.inputs))

    @property
    def obstacle(self) -> Node | None:
        """The first node, from here upwards, that cannot give a position; ``None`` if all can."""
        return next((found for node in self.inputs if (found := node.obstacle)), None)

    @property
    def once(self) -> Node | None:
        """The first node, from here upwards, whose input can be read only once; ``None`` if there is none."""
        return next((found for node in self.inputs if (found := node.once)), None)

    @property
    def skippable(self) -> bool:
        """Whether some function, here or above, may fail on an item and go on with the next one."""
        return not self.answers and any(node.skippable for node in self.inputs)

    @property
    def repeatable(self) -> bool:
        """Whether a resumed run begins with the very item that comes next, not just with one of the rest."""
        return all(node.repeatable for node in self.inputs)

    @property
    def settles(self) -> bool:
        """Whether a checkpoint stands at or above this node, with nothing in between that hides it."""
        return any(node.settles for node in self.inputs)

    @property
    def parameters(self) -> dict[str, Any]:
        """What this node was asked for, by the names of its fields; for pictures, never for positions.

        What has the default of its field is left out, as one would when writing the call.
        """
        own = (one for one in fields(self) if one.name not in {"inputs", "origin", "name"})
        asked = ((one.name, getattr(self, one.name), one.default) for one in own)
        return {
            name: value
            for name, value, default in asked
            if value is not None and not (type(value) is type(default) and value == default)
        }

    def describe(self) -> str:
        """Name this operator and where it was assembled, for people."""
        return f"{self.operator} at {self.origin}"


def assembled_at() -> str:
    """Return ``file:line`` of the nearest caller outside of Penstock (not counting its testkit)."""
    frame = sys._getframe(1)  # noqa: SLF001  the documented way to look at one frame without building a stack
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        own = module == "penstock" or module.startswith("penstock.")
        if module != "dataclasses" and frame.f_code.co_filename != "<string>" and not own:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "penstock"
