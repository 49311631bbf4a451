"""``defer``: a flow built at the first request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import GraphError
from penstock.runtime.arguments import order_named
from penstock.runtime.built_at_runtime import BuildingNode, BuiltFlow
from penstock.runtime.node import assembled_at, node
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of, node_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Defer", "defer"]

T = TypeVar("T")


def defer(factory: Callable[[], Flow[T]], *, order: str = "exact") -> Flow[T]:
    """Make a flow that is built by ``factory`` at the first request of each subscription.

    What it builds may not hold a checkpoint: nobody could see it when the graph is built. Put that behind.
    Nor may its order be looser than ``order`` (``"interleaved"``, for example, if it merges).
    """
    within = order_named("defer", order)
    if not callable(factory):
        msg = f"defer takes a function that returns a Flow, not {type(factory).__name__}, at {assembled_at()}"
        raise GraphError(msg)
    return flow_of(
        Defer(factory=lambda: node_of("what the function of defer returns", factory()), within=within)
    )


@node
class Defer(BuildingNode):
    """The flow that a factory builds at the first request, anew for each subscription."""

    operator = "defer"

    factory: Callable[[], Node]

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that builds its flow when it is first asked."""
        return _DeferStage(site, self)


class _DeferStage(Stage[Any]):
    """Its state is the position of what was built."""

    def __init__(self, site: Site, node: Defer) -> None:
        super().__init__(site)
        self._node = node
        self._inner: BuiltFlow | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        if self._inner is not None:
            yield self._inner.stage

    def marks(self) -> Marks:
        key, state = self.site.vertex.id, self.site.state
        if self._inner is None:
            return lambda _: {key: state}
        at = self._inner.state_at()
        return lambda i: {key: at(i)}

    async def _request(self, n: int) -> list[Any]:
        if self._inner is None:
            site = self.site
            self._inner = BuiltFlow(
                site, self._node.factory, site.state, tracked=site.tracked, order=self._node.within
            )
        return await self._inner.stage.request(n)
