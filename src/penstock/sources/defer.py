"""The source ``defer``, a flow that is built at the first request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.runtime.arguments import function_for
from penstock.runtime.built_at_runtime import BuildingNode, BuiltFlow
from penstock.runtime.node import Node, Site, node
from penstock.runtime.order import order_named
from penstock.runtime.stage import Stage
from penstock.runtime.stream import building, flow_of

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")


def defer(factory: Callable[[], Flow[T]], *, order: str | None = None) -> Flow[T]:
    """Create a flow that ``factory`` builds at the first request of each subscription.

    The flow that it builds must not contain a checkpoint, which would not be visible in the graph: put the
    checkpoint after ``defer``. Its order must not be looser than ``order``, if you pass one: see
    ``concat_map``.
    """
    within = order_named("defer", order)
    function_for("defer", factory)
    return flow_of(Defer(factory=building("defer", factory), within=within))


@node
class Defer(BuildingNode):
    """Builds its flow with ``factory`` at the first request."""

    operator = "defer"

    factory: Callable[[], Node]

    def start(self, site: Site) -> Stage[Any]:
        return _DeferStage(site, self)


class BuildingStage(Stage[Any]):
    """A source stage that builds a flow while running. The state is the position of that flow."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._inner: BuiltFlow | None = None

    def _build(self, build: Callable[[], Node], node: BuildingNode) -> BuiltFlow:
        site = self.site
        self._inner = BuiltFlow(site, build, site.state, tracked=site.tracked, order=node.within)
        return self._inner

    def upstreams(self) -> Iterator[Upstream[Any]]:
        if self._inner is not None:
            yield self._inner.stage

    def marks(self) -> Marks:
        key, state = self.site.vertex.id, self.site.state
        if self._inner is None:
            return lambda _: {key: state}
        at = self._inner.state_at()
        return lambda i: {key: at(i)}


class _DeferStage(BuildingStage):
    def __init__(self, site: Site, node: Defer) -> None:
        super().__init__(site)
        self._node = node

    async def _request(self, n: int) -> list[Any]:
        inner = self._inner or self._build(self._node.factory, self._node)
        return await inner.stage.request(n)
