"""Flows that are more than flows: begun by hand, with the key of a group, or fed by failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from penstock.flow.flow import Flow
from penstock.operators.failure.on_error_skip import FromLetters, Letters, Skipped
from penstock.operators.fanout.group_by import InsideGroup
from penstock.operators.fanout.publish import Publish
from penstock.runtime.arguments import positive
from penstock.runtime.stream import describes

if TYPE_CHECKING:
    from penstock.operators.fanout.share import Connection
    from penstock.runtime.node import Node

__all__ = ["Connectable", "DeadLetters", "GroupedFlow"]

K_co = TypeVar("K_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)


@describes(Publish)
class Connectable(Flow[T_co]):
    """A flow whose subscribers share one run, which begins when ``connect`` is called."""

    __slots__ = ()

    def connect(self) -> Connection:
        """Begin the shared run and return what ends it; needs a running event loop.

        While that run lasts, connecting again returns a handle of the same run.
        """
        node = cast("Publish", self.node)
        return node.hub.connect(node)


@describes(InsideGroup)
class GroupedFlow(Flow[T_co], Generic[K_co, T_co]):
    """The items of one group of ``group_by``. It can be subscribed to once."""

    __slots__ = ("key",)

    key: K_co
    """What the items of this group have in common."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        inside: Any = node
        self.key = inside.key


class DeadLetters(Flow[Skipped]):
    """The flow of what ``on_error_skip(letters)`` skipped: ``Skipped(item, error)``, as it happens.

    Any number of runs may write to it. It completes when all of them have ended and everything was read.
    Each failure goes to one reader. While ``capacity`` failures are unread, the runs that write wait before
    they ask upstream for more: read it at the same time, on the same event loop. It has no position.
    """

    __slots__ = ()

    def __init__(self, capacity: int = 100) -> None:
        positive("DeadLetters", "capacity", capacity)
        super().__init__(FromLetters(letters=Letters(capacity)))
