"""The operators ``materialize`` and ``dematerialize``: the end and a failure as values, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.operators.elements.notifications import Completed, Failed, Next, Notification
from penstock.runtime.node import Node, Site, node
from penstock.runtime.passing import SlicingStage

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks

T = TypeVar("T")


def materialize() -> Callable[[Flow[T]], Flow[Notification[T]]]:
    """Turn items, the end and a failure into values: ``Next``, ``Completed`` and ``Failed``.

    The result is ``Next(item)`` for each item, then ``Completed()`` or ``Failed(error)``, and then it
    completes. A run that is drained yields neither of the two. A run that is resumed after one of them
    yields nothing.
    """
    return attach(lambda node: Materialize(inputs=(node,)))


def dematerialize() -> Callable[[Flow[Notification[T]]], Flow[T]]:
    """Turn ``Next``, ``Completed`` and ``Failed`` back into items, the end and the error.

    Nothing is requested after ``Completed``. Any other item raises ``TypeError``.
    """
    return attach(lambda node: Dematerialize(inputs=(node,)))


@node
class Materialize(Node):
    """Yields items, the end and a failure as values."""

    operator = "materialize"
    stateful = True
    catches_errors = True

    def start(self, site: Site) -> SlicingStage:
        return _MaterializeStage(site)


class _MaterializeStage(SlicingStage):
    """The state says whether ``Completed`` or ``Failed`` was delivered."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._ended = bool(site.state)
        self._ends_now = False  # the last chunk is Completed or Failed

    def marks(self) -> Marks:
        key, above, ends_now, ended = self.site.vertex.id, super().marks(), self._ends_now, self._ended
        if ends_now:
            return lambda i: {**above(0), key: i > 0}
        return lambda i: {**above(i), key: ended}

    async def _request(self, n: int) -> list[Any]:
        self._ends_now = False
        if self._ended:
            return []
        try:
            items = await self.slice(n)
        except Exception as error:
            if self.run.over(error):
                raise
            return self._end(Failed(error))
        if items:
            return [Next(item) for item in items]
        return [] if self.run.draining else self._end(Completed())

    def _end(self, notification: Failed | Completed) -> list[Any]:
        self._ended = self._ends_now = True
        return [notification]


def _no_notification(item: object) -> NoReturn:
    if isinstance(item, Failed):
        raise item.error
    msg = f"dematerialize expected Next, Failed or Completed, but this item is {type(item).__name__}"
    raise TypeError(msg)


class Dematerialize(Element):
    """Yields the item of each ``Next``, completes at ``Completed``, and raises the error of ``Failed``."""

    operator = "dematerialize"
    stateful = True
    initial = False
    helpers: ClassVar[Mapping[str, Any]] = {
        "Next": Next,
        "Completed": Completed,
        "no_notification": _no_notification,
    }

    def finished(self, state: bool) -> bool:  # noqa: FBT001
        return state

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [
            "if x.__class__ is Next:",
            "    x = x.item",
            "elif x.__class__ is Completed:",
            f"    s{k} = True",
            "    return",
            "else:",
            "    no_notification(x)",
        ]
