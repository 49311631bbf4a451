"""``recover``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from expression import Option

from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, node
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.operators.failure.either import Or
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Recover", "recover"]

U = TypeVar("U")


@overload
def recover(function: Callable[[Exception], Option[U]]) -> Or[U]: ...
@overload
def recover(function: Callable[[Exception], U]) -> Or[U]: ...
def recover(function: Callable[[Exception], Any]) -> Or[Any]:
    """When upstream fails, deliver ``function(error)`` as the last item and complete.

    What came before the error is delivered before it. A function that returns an ``Option`` picks: the
    value of ``Some(value)`` is the last item, and with ``Nothing`` the error goes on as it was. An error
    that the function raises takes the place of the other. To complete without an item, use
    ``on_error_resume(lambda error: empty())``.
    """
    function_for("recover", function)
    return attach(lambda node: Recover(inputs=(node,), function=function))


@node
class Recover(Node):
    """An error of upstream becomes a last item, where ``function(error)`` has one for it."""

    operator = "recover"
    stateful = True
    answers = True

    function: Callable[[Exception], Any]

    def start(self, site: Site) -> Stage[Any]:
        """Start with upstream, unless a position says that the last item went out."""
        return _RecoverStage(site, self)


class _RecoverStage(Stage[Any]):
    """Its state says whether the item made of an error went out."""

    def __init__(self, site: Site, node: Recover) -> None:
        super().__init__(site)
        self._node = node
        self._inner = site.input(tracked=site.tracked)
        self._over = bool(site.state)
        self._just_now = False  # the last chunk is the item made of an error
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._inner

    def marks(self) -> Marks:
        key, above, over, just_now = self.site.vertex.id, self._inner.marks(), self._over, self._just_now
        if not just_now:
            return lambda i: {**above(i), key: over}
        return lambda i: {**above(0), key: i > 0}

    async def _request(self, n: int) -> list[Any]:
        self._just_now = False
        if self._failure is not None:
            self._failure.throw()
        if self._over:
            return []
        try:
            return await self._inner.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            return self._last_item(error)

    def _last_item(self, error: Exception) -> list[Any]:
        try:
            item = self._node.function(error)
        except Exception as own:
            annotate(own, self._node.describe())
            self._failure = Failure(own)
            raise
        if isinstance(item, Option):
            if item.is_none():
                self._failure = Failure(error)
                self._failure.throw()
            item = item.value
        self._over = self._just_now = True
        self.run.release(self._inner.aclose())
        return [item]
