"""``empty``, ``just``, ``fail``, ``never``: the flows without any input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import node
from penstock.runtime.run import Gate
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of
from penstock.sources.from_iterable import FromIterable
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Fail", "Never", "empty", "fail", "just", "never"]

T = TypeVar("T")


def empty() -> Flow[Any]:
    """Make a flow that completes without an item."""
    return flow_of(FromIterable(items=()))


def just(*items: T) -> Flow[T]:
    """Make a flow of the given items."""
    return flow_of(FromIterable(items=items))


def fail(error: Exception | Callable[[], Exception]) -> Flow[Any]:
    """Make a flow that raises ``error``, or what calling it returns, at the first request."""
    return flow_of(Fail(error=error))


def never() -> Flow[Any]:
    """Make a flow without items that does not complete; ``drain`` and ``aclose`` end it."""
    return flow_of(Never())


@node
class Fail(SourceNode):
    """No item, only an error."""

    operator = "fail"
    stateful = False

    error: Exception | Callable[[], Exception]

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that fails at its first request."""
        return _FailStage(site, self)


class _FailStage(Stage[Any]):
    def __init__(self, site: Site, node: Fail) -> None:
        super().__init__(site)
        self._node = node
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        if self._failure is None:
            error = self._node.error
            error = error() if callable(error) else error
            annotate(error, self._node.describe())
            self._failure = Failure(error)
        self._failure.throw()


class Never(SourceNode):
    """No item and no end."""

    operator = "never"
    stateful = False

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that waits until it is closed or drained."""
        return _NeverStage(site)


class _NeverStage(Stage[Any]):
    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._gate = Gate(self.run)

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        while not self.run.draining:
            await self._gate.wait()
        return []
