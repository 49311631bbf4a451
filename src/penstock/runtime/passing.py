"""The base of stages that pass on the chunks of one upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream


class PassingStage(Stage[Any]):
    """A stage that passes on the chunks of one upstream and holds no items.

    A subclass that does hold items passes ``tracked=True``: it needs positions inside the chunks.
    """

    def __init__(self, site: Site, _: Node | None = None, *, tracked: bool = False) -> None:
        super().__init__(site)
        self.upstream = site.input(tracked=tracked or site.tracked)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self.upstream

    def marks(self) -> Marks:
        return self.upstream.marks()
