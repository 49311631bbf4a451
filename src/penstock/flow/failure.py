"""Operators for what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.flow.face import Face

if TYPE_CHECKING:
    from collections.abc import Callable

    from expression import Option

    import penstock.operators as op
    from penstock.core.policy import RetryPolicy
    from penstock.core.scoping import Ending
    from penstock.flow.flow import Flow
    from penstock.operators.failure import DeadLetters
else:
    from penstock.flow.late import op

__all__ = ["Failure"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Failure(Face[T_co]):
    """The methods of this family; each is the operator of the same name."""

    __slots__ = ()

    def retry(
        self, policy: RetryPolicy | None = None, *, attempts: int | None = None, budget: float | None = None
    ) -> Flow[T_co]:
        """Start upstream again from its position when it fails."""
        return op.retry(policy, attempts=attempts, budget=budget)(self._flow)

    @overload
    def recover(self, function: Callable[[Exception], Option[U]]) -> Flow[T_co | U]: ...
    @overload
    def recover(self, function: Callable[[Exception], U]) -> Flow[T_co | U]: ...
    def recover(self, function: Callable[[Exception], Any]) -> Flow[Any]:
        """Deliver ``function(error)`` as the last item when upstream fails."""
        return op.recover(function)(self._flow)

    def on_error_resume(
        self, function: Callable[[Exception], Flow[U]], *, order: str = "exact"
    ) -> Flow[T_co | U]:
        """Go on with the flow that ``function(error)`` returns when upstream fails."""
        return op.on_error_resume(function, order=order)(self._flow)

    def on_error_skip(
        self, function: Callable[[Exception, Any], object] | DeadLetters, *, limit: int | None = None
    ) -> Flow[T_co]:
        """Leave out the items on which a function upstream fails, and tell ``function`` of each."""
        return op.on_error_skip(function, limit=limit)(self._flow)

    def circuit_breaker(
        self,
        failures: int = 5,
        reset_after: float = 30.0,
        *,
        counts: Callable[[Exception], object] | None = None,
    ) -> Flow[T_co]:
        """Leave upstream alone for a while when several runs of it in a row have failed."""
        return op.circuit_breaker(failures, reset_after, counts=counts)(self._flow)

    def repeat(self, times: int | None = None) -> Flow[T_co]:
        """Run upstream ``times`` times, or for ever."""
        return op.repeat(times)(self._flow)

    def finally_do(self, function: Callable[[Ending], object]) -> Flow[T_co]:
        """Call ``function`` once at the end of each run with how it ended."""
        return op.finally_do(function)(self._flow)
