"""Flows that are more than flows: one that is begun by hand, and one that knows the key of its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from penstock.flow.flow import Flow

if TYPE_CHECKING:
    from penstock.core.fanout import Connection, Publish
    from penstock.core.node import Node

__all__ = ["Connectable", "GroupedFlow"]

T_co = TypeVar("T_co", covariant=True)
K_co = TypeVar("K_co", covariant=True)


class Connectable(Flow[T_co]):
    """A flow that all its subscribers share, and that begins when it is told to."""

    __slots__ = ()

    def connect(self) -> Connection:
        """Let the shared run begin, and return what ends it; needs a running event loop.

        While it goes on, connecting again returns a handle of the same run.
        """
        node = cast("Publish", self.node)
        return node.hub.connect(node)


class GroupedFlow(Flow[T_co], Generic[K_co, T_co]):
    """The items of one group, which can be subscribed to once; ``key`` is what they have in common."""

    __slots__ = ("key",)

    def __init__(self, key: K_co, node: Node) -> None:
        super().__init__(node)
        self.key = key
