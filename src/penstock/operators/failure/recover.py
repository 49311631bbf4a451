"""The operator ``recover``: replace an error by a last item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from expression import Option

from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks

T = TypeVar("T")
U = TypeVar("U")


@overload
def recover(function: Callable[[Exception], Option[U]]) -> Callable[[Flow[T]], Flow[T | U]]: ...
@overload
def recover(function: Callable[[Exception], U]) -> Callable[[Flow[T]], Flow[T | U]]: ...
def recover(function: Callable[[Exception], Any]) -> Callable[[Flow[Any]], Flow[Any]]:
    """Deliver ``function(error)`` as the last item and complete when upstream fails.

    Items that were produced before the error are delivered first. If the function returns an ``Option``,
    the value of ``Some(value)`` is the last item, and ``Nothing`` raises the error of upstream. An error
    that the function raises replaces the error of upstream. To complete without a last item, use
    ``on_error_resume(lambda error: empty())``.
    """
    function_for("recover", function)
    return attach(lambda node: Recover(inputs=(node,), function=function))


@node
class Recover(Node):
    """Replaces an error of upstream by a last item."""

    operator = "recover"
    stateful = True
    catches_errors = True

    function: Callable[[Exception], Any]


@runs(Recover)
class _RecoverStage(FailureStage):
    """Its state is whether the last item was delivered."""

    def __init__(self, site: Site, node: Recover) -> None:
        super().__init__(site)
        self._function = node.function
        self._over = bool(site.state)
        self._last: list[Any] = []  # the last item, until it is delivered
        self._just_now = False  # whether the chunk delivered last was the last item

    def marks(self) -> Marks:
        key, above, over = self.site.vertex.id, self.upstream.marks(), self._over
        if self._just_now:
            return lambda i: {**above(0), key: i > 0}
        return lambda i: {**above(i), key: over}

    async def _next(self, n: int) -> list[Any]:
        if not self._over:
            return await self.upstream.request(n)
        items, self._last = self._last, []
        self._just_now = bool(items)
        return items

    def _handle(self, error: Exception) -> None:
        item = plain_result(self._function(error), "recover", self.site.vertex.node.origin)
        if isinstance(item, Option):
            if item.is_none():
                raise error
            item = item.value
        self._over, self._last = True, [item]
        self.run.release(self.upstream)
