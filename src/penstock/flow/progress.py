"""Operators of the event stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable

    import penstock.operators as op
    from penstock.document import Document
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Progress"]

T_co = TypeVar("T_co", covariant=True)


class Progress(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def where(self, function: Callable[[Document], object]) -> Flow[T_co]:
        """Skip the documents of an event stream for which ``function(document)`` is false."""
        return op.where(function)(self._flow)

    def batch_progress(self, every: int = 1000) -> Flow[T_co]:
        """Say how far an event stream is, every so many documents."""
        return op.batch_progress(every)(self._flow)
