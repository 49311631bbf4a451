"""The base of stages that run one flow of an item at a time, the *present* flow, beside their input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.combine.flattening import FlatteningNode, InnerFlow
from penstock.operators.combine.join import raise_failure
from penstock.runtime.inputs import JoinStage

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks


class PresentFlowStage(JoinStage):
    """Its state is that of the present item's flow; the input's position stands before that item.

    ``inputs`` are the input, then the present flow if there is one.
    """

    def __init__(self, site: Site, node: FlatteningNode) -> None:
        super().__init__(site)
        self._node = node
        self.outer = self.inputs[0]
        self.present: InnerFlow | None = None
        self._state: JSON = site.state  # of a resumed run, until its flow is built

    def marks(self) -> Marks:
        key, present, state = self.site.vertex.id, self.present, self._state
        if present is None:
            page, offset = self.outer.place
            return lambda _: {**page(offset), key: state}
        page, offset = present.origin
        (inner, at), moved = self.places()[1], self.start is not None
        return lambda i: {**page(offset), key: present.built.state_behind(inner, at + (i if moved else 0))}

    def present_next(self) -> None:
        """Build the flow of the input's next item; it replaces the present flow."""
        outer = self.outer
        built = self._node.built(self.site, outer.items[outer.at], self._state)
        self._state = None
        self.replace(InnerFlow(built, outer.place, self))
        outer.at += 1

    def replace(self, flow: InnerFlow | None) -> None:
        """Release the present flow, if there is one, and set another."""
        if self.present is not None:
            self.present.release()
        self.present = flow
        self.inputs = [self.outer] if flow is None else [self.outer, flow]

    def collect(self, n: int) -> list[Any]:
        return self.present.take(n) if self.present is not None else []

    def over(self) -> bool:
        raise_failure(self.inputs[::-1])
        if self.present is not None and self.present.over:
            self.replace(None)
        idle = self.run.draining if self.outer.left else self.outer.ended
        return idle and (self.present is None or self.present.ended)
