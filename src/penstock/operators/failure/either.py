"""The type of operators that add items of another type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")
U_co = TypeVar("U_co", covariant=True)


class Or(Protocol[U_co]):
    """An operator whose flow has items of another type too."""

    def __call__(self, flow: Flow[T], /) -> Flow[T | U_co]:
        """Attach the operator to a flow."""
        ...
