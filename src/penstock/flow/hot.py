"""Flows with more than the methods of ``Flow``: ``Connectable``, ``GroupedFlow`` and ``DeadLetters``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from penstock.flow.flow import Flow
from penstock.operators.failure.on_error_skip import DeadLetterQueue, DeadLetterSource, Skipped
from penstock.operators.fanout.group_by import InnerGroup
from penstock.operators.fanout.publish import Publish
from penstock.operators.fanout.stuck import PATIENCE, patience_of
from penstock.runtime.arguments import positive
from penstock.runtime.stream import describes

if TYPE_CHECKING:
    from penstock.operators.fanout.publish import Connection
    from penstock.runtime.node import Node

K_co = TypeVar("K_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)


@describes(Publish)
class Connectable(Flow[T_co]):
    """A flow whose subscribers share one run, which starts when ``connect`` is called."""

    __slots__ = ()

    def connect(self) -> Connection:
        """Start the shared run and return a handle that closes it; needs a running event loop.

        While that run lasts, another call returns another handle of the same run.
        """
        return cast("Publish", self.node).connect()


@describes(InnerGroup)
class GroupedFlow(Flow[T_co], Generic[K_co, T_co]):
    """The items of one group of ``group_by``. It can be subscribed to once."""

    __slots__ = ("key",)

    key: K_co
    """The key that the items of this group share."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        inner: Any = node
        self.key = inner.key


class DeadLetters(Flow[Skipped]):
    """The failures of ``on_error_skip(letters)`` as ``Skipped(item, error)``, as they happen.

    Any number of runs may write to it. It completes when all of them have ended and every failure was read.
    Each failure goes to one reader. While ``capacity`` failures are unread, the writing runs request nothing
    from upstream: read it at the same time, on the same event loop. It has no position.

    Args:
        capacity: How many failures may be unread.
        patience: Seconds for which a run waits for failures to be read. Then it fails with ``BranchStuck`` if
            nobody has begun to read them, and logs a warning otherwise. ``None`` waits without end.
    """

    __slots__ = ()

    def __init__(self, capacity: int = 100, *, patience: float | None = PATIENCE) -> None:
        positive("DeadLetters", "capacity", capacity)
        patience = patience_of("DeadLetters", patience)
        super().__init__(DeadLetterSource(letters=DeadLetterQueue(capacity, patience)))
