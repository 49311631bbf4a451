"""``materialize`` and ``dematerialize``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, TypeVar

from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.operators.elements.notifications import Completed, Failed, Next
from penstock.runtime.node import Node, node
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.flow import Flow
    from penstock.operators.elements.notifications import Notification
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["Dematerialize", "Materialize", "dematerialize", "materialize"]

T = TypeVar("T")


class Materialized(Protocol):
    """What ``materialize`` returns: generic in the item."""

    def __call__(self, flow: Flow[T], /) -> Flow[Notification[T]]:
        """Attach the operator to a flow."""
        ...


def materialize() -> Materialized:
    """Turn what the flow says into items: ``Next(item)``, at the end ``Completed()`` or ``Failed(error)``.

    A flow that fails completes behind the ``Failed``, and a run resumed behind it gives nothing more.
    A run that is drained has not said how it ends.
    """
    return attach(lambda node: Materialize(inputs=(node,)))


def dematerialize() -> Callable[[Flow[Notification[T]]], Flow[T]]:
    """Undo ``materialize``: the items of each ``Next``, the end at ``Completed``, the error of ``Failed``.

    What comes behind a ``Completed`` is not asked for. Any other item raises ``TypeError``.
    """
    return attach(lambda node: Dematerialize(inputs=(node,)))


@node
class Materialize(Node):
    """Items, the end and a failure as values."""

    operator = "materialize"
    stateful = True
    answers = True

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _MaterializeStage(site)


class _MaterializeStage(Stage[Any]):
    """Its state is whether it has said how it ended."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._upstream = site.input(tracked=site.tracked)
        self._ended = bool(site.state)
        self._last = 0  # items of the last chunk; a word about the end is none of upstream's
        self._saying = False

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream

    def marks(self) -> Marks:
        key, above, saying, ended = self.site.vertex.id, self._upstream.marks(), self._saying, self._ended
        if saying:
            return lambda i: {**above(0), key: i > 0}
        return lambda i: {**above(i), key: ended}

    async def _request(self, n: int) -> list[Any]:
        self._saying = False
        if self._ended:
            return []
        try:
            items = await self._upstream.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            return self._say(Failed(error))
        if items:
            return [Next(item) for item in items]
        return [] if self.run.draining else self._say(Completed())

    def _say(self, word: Failed | Completed) -> list[Any]:
        self._ended = self._saying = True
        return [word]


def _no_notification(item: object) -> NoReturn:
    if isinstance(item, Failed):
        raise item.error
    msg = f"dematerialize wants Next, Failed or Completed, and this item is {type(item).__name__}"
    raise TypeError(msg)


class Dematerialize(Element):
    """The item of each ``Next``, the end at ``Completed``, the error of ``Failed``."""

    operator = "dematerialize"
    stateful = True
    initial = False
    helpers: ClassVar[Mapping[str, Any]] = {
        "Next": Next,
        "Completed": Completed,
        "no_notification": _no_notification,
    }

    def finished(self, state: bool) -> bool:  # noqa: D102, FBT001
        return state

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [
            "if x.__class__ is Next:",
            "    x = x.item",
            "elif x.__class__ is Completed:",
            f"    s{k} = True",
            "    return",
            "else:",
            "    no_notification(x)",
        ]
