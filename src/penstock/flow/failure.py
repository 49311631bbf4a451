"""Operators for what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from penstock.flow.face import Face

if TYPE_CHECKING:
    import penstock.operators as op
    from penstock.core.policy import RetryPolicy
    from penstock.flow.flow import Flow
else:
    from penstock.flow.late import op

__all__ = ["Failure"]

T_co = TypeVar("T_co", covariant=True)


class Failure(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def retry(self, policy: RetryPolicy | None = None, *, attempts: int | None = None) -> Flow[T_co]:
        """Start upstream again from its position when it fails."""
        return op.retry(policy, attempts=attempts)(self._flow)
