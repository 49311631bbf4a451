"""What every part of ``Flow`` stands on: the node, and the flow that it is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from aioreactive import AsyncObservable

if TYPE_CHECKING:
    from penstock.core.node import Node
    from penstock.flow.flow import Flow

__all__ = ["Face"]

T_co = TypeVar("T_co", covariant=True)


class Face(AsyncObservable[T_co]):
    """A part of ``Flow``: the methods of one family of operators, or the terminals. Never used alone."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node = node

    @property
    def _flow(self) -> Flow[T_co]:
        """This object, by its whole type: operators take and give flows."""
        return cast("Flow[T_co]", self)
