"""The sources ``empty``, ``just``, ``fail`` and ``never``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.runtime.arguments import function_for
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Site, node
from penstock.runtime.run import Gate
from penstock.runtime.stream import flow_of
from penstock.sources.from_iterable import FromIterable
from penstock.sources.source import SourceNode, SourceStage

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def empty() -> Flow[Any]:
    """Create a flow that completes without an item."""
    return flow_of(FromIterable(items=()))


def just(*items: T) -> Flow[T]:
    """Create a flow of the given items."""
    return flow_of(FromIterable(items=items))


def fail(error: Exception | Callable[[], Exception]) -> Flow[Any]:
    """Create a flow that raises ``error`` (or ``error()``, if it is callable) at the first request."""
    given: Any = error
    if not isinstance(given, BaseException):
        function_for("fail", given)
    return flow_of(Fail(error=error))


def never() -> Flow[Any]:
    """Create a flow that has no items and does not complete. ``drain`` and ``aclose`` end it."""
    return flow_of(Never())


@node
class Fail(SourceNode):
    """Fails at the first request."""

    operator = "fail"
    stateful = False

    error: Exception | Callable[[], Exception]

    def start(self, site: Site) -> SourceStage:
        return _FailStage(site, self)


class _FailStage(SourceStage):
    def __init__(self, site: Site, node: Fail) -> None:
        super().__init__(site)
        self._node = node
        self._failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        if self._failure is None:
            error: Any = self._node.error
            if not isinstance(error, BaseException):
                error = self._made(error)
            annotate(error, self._node.describe())
            self._failure = Failure(error)
        self._failure.throw()

    def _made(self, function: Callable[[], Exception]) -> BaseException:
        error: object = plain_result(function(), "fail", self._node.origin)
        if not isinstance(error, BaseException):
            msg = f"{self._node.describe()}: the function returned a {type(error).__name__}, not an exception"
            raise TypeError(msg)
        return error


class Never(SourceNode):
    """Waits until the run is closed or drained."""

    operator = "never"
    stateful = False

    def start(self, site: Site) -> SourceStage:
        return _NeverStage(site)


class _NeverStage(SourceStage):
    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._gate = Gate(self.run, own=True)

    async def _request(self, n: int) -> list[Any]:  # noqa: ARG002
        while not self.run.draining:
            await self._gate.wait()
        return []
