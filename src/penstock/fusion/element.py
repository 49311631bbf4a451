"""``Element``, the base of every operator that is fused with its neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from penstock.fusion.fused import FusedStage
from penstock.fusion.loop_element import LoopElement, indent
from penstock.fusion.loops import LONGEST_LOOP
from penstock.runtime.node import node

if TYPE_CHECKING:
    from penstock.runtime.node import Node, Site

__all__ = ["Element", "indent"]


@node
class Element(LoopElement):
    """A synchronous operator: one item in, none or one out, unless it ``reshapes``."""

    fused_stage: ClassVar[type[FusedStage]] = FusedStage
    """The class of the stage whose last element this is."""

    def start(self, site: Site) -> FusedStage:
        """Start one stage for this element and for the elements directly above it that do not reshape."""
        chain: list[Site] = [site]
        above = site.above()
        while len(chain) < LONGEST_LOOP and _joins(above.vertex.node):
            chain.append(above)
            above = above.above()
        chain.reverse()
        return self.fused_stage(chain, replace(above, depth=site.depth + 1).start())


def _joins(node: Node) -> bool:
    """Return whether a node can stand in one loop with the element behind it."""
    return isinstance(node, Element) and not node.reshapes
