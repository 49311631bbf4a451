"""What stages share that pass on one upstream's items, chunk by chunk, and hold none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["PassingStage"]


class PassingStage(Stage[Any]):
    """What stages share that pass on one upstream's items, chunk by chunk."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.upstream = site.input(tracked=site.tracked)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        """Yield the one upstream."""
        yield self.upstream

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        return self.upstream.marks()
