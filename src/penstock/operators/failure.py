"""Operators for what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from penstock.core import recovering, repeating, scoping
from penstock.core.documents import Documents
from penstock.core.node import assembled_at, positive
from penstock.core.policy import RetryPolicy
from penstock.core.resuming import Retry
from penstock.errors import GraphError
from penstock.operators.attach import attach, function_for, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from expression import Option

    from penstock.core.node import Node
    from penstock.core.scoping import Ending
    from penstock.flow import Flow
    from penstock.operators.attach import Same

__all__ = ["finally_do", "on_error_resume", "recover", "repeat", "retry"]

T = TypeVar("T")
U = TypeVar("U")
U_co = TypeVar("U_co", covariant=True)


class Or(Protocol[U_co]):
    """An operator whose flow has items of another type too."""

    def __call__(self, flow: Flow[T], /) -> Flow[T | U_co]:
        """Attach the operator to a flow."""
        ...


def retry(
    policy: RetryPolicy | None = None, *, attempts: int | None = None, budget: float | None = None
) -> Same:
    """Start upstream again from its position when it fails; what was delivered is not delivered again.

    Which errors are worth it and how long to wait says the policy; its attempts and its budget start again
    after each delivered item. What had failed is closed before it is started again; an error of that closing
    counts as another failed attempt. A drained run is not tried again.

    Behind an adapter, retrying also happens within the event stage, by the same policy: a document whose
    parsing or processing fails with a retryable error is tried again, and each failed attempt is one
    ``DocumentFailed``.

    Args:
        policy: By default three attempts for lost connections and timeouts.
        attempts: How many attempts in all, as a short form.
        budget: Seconds for all attempts since the last item, as a short form.

    Raises:
        NotResumable: upstream has no position; the message names the operator.
    """
    policy = RetryPolicy() if policy is None else policy
    if not isinstance(policy, RetryPolicy):
        msg = (
            f"retry takes a RetryPolicy, not {type(policy).__name__}, at {assembled_at()}. "
            "Wrong: flow | op.retry. Right: flow | op.retry()."
        )
        raise GraphError(msg)
    if attempts is not None:
        policy = replace(policy, attempts=attempts)
    if budget is not None:
        policy = replace(policy, budget=budget)

    def make(node: Node) -> Node:
        if isinstance(node, Documents):
            return node.with_settings(retry=policy)
        return Retry(inputs=(node,), policy=policy)

    return attach(make)


@overload
def recover(function: Callable[[Exception], Option[U]]) -> Or[U]: ...
@overload
def recover(function: Callable[[Exception], U]) -> Or[U]: ...
def recover(function: Callable[[Exception], Any]) -> Or[Any]:
    """When upstream fails, deliver ``function(error)`` as the last item and complete.

    What came before the error is delivered before it. A function that returns an ``Option`` picks: the
    value of ``Some(value)`` is the last item, and with ``Nothing`` the error goes on as it was. An error
    that the function raises takes the place of the other. To complete without an item, use
    ``on_error_resume(lambda error: empty())``.
    """
    function_for("recover", function)
    return attach(lambda node: recovering.Recover(inputs=(node,), function=function))


def on_error_resume(function: Callable[[Exception], Flow[U]]) -> Or[U]:
    """When upstream fails, go on with the items of the flow that ``function(error)`` returns.

    An error of that flow, or one that the function raises, ends the stream: raise the error itself to let
    it go on. What the function returns may not hold a checkpoint, and how much it has in flight is not
    known before, so ``max_in_flight`` is infinite.

    A position taken behind the error holds what the flow needs to go on there: a resumed run does not
    start upstream; it calls the function with an error of the same type and arguments (where its class is
    not loaded, of the nearest base class that is), which must return the same flow.
    """
    function_for("on_error_resume", function)
    return attach(
        lambda node: recovering.OnErrorResume(
            inputs=(node,),
            function=lambda error: node_of("what the function of on_error_resume returns", function(error)),
        )
    )


def repeat(times: int | None = None) -> Same:
    """Run upstream ``times`` times in all, each from its beginning when the one before has completed.

    ``None`` is for ever, 0 completes at once. A round is closed before the next one starts. An error in
    any round ends the stream; what upstream has of the state of items (``scan``, ``take``) starts afresh.

    Raises:
        NotResumable: upstream can be read only once; the message names the source.
    """
    if times is not None:
        positive("repeat", "times", times, least=0)
    return attach(lambda node: repeating.Repeat(inputs=(node,), times=times))


def finally_do(function: Callable[[Ending], object]) -> Same:
    """Call ``function`` once at the end of each run, with ``"completed"``, ``"failed"`` or ``"cancelled"``.

    It is called before downstream learns of the end. A run that was closed before its end is cancelled,
    and then the call comes when everything upstream is closed; so is one that was drained. A run that was
    never asked for an item has not begun, and has no end.

    An error of the function fails a run that had completed, comes out of ``aclose`` of one that was closed,
    and becomes a note on the error of one that had failed.
    """
    function_for("finally_do", function)
    return attach(lambda node: scoping.FinallyDo(inputs=(node,), function=function))
