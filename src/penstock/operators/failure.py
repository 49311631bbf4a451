"""Operators for what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from penstock.core import breaking, recovering, repeating, scoping, skipping
from penstock.core.node import assembled_at, positive
from penstock.core.policy import RetryPolicy
from penstock.core.resuming import Retry
from penstock.documents.node import Documents
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.operators.attach import attach, function_for, node_of, order_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from expression import Option

    from penstock.core.node import Node
    from penstock.core.scoping import Ending
    from penstock.operators.attach import Same

__all__ = [
    "DeadLetters",
    "circuit_breaker",
    "finally_do",
    "on_error_resume",
    "on_error_skip",
    "recover",
    "repeat",
    "retry",
]

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


def on_error_resume(function: Callable[[Exception], Flow[U]], *, order: str = "exact") -> Or[U]:
    """When upstream fails, go on with the items of the flow that ``function(error)`` returns.

    An error of that flow, or one that the function raises, ends the stream: raise the error itself to let
    it go on. What the function returns may not hold a checkpoint, and how much it has in flight is not
    known before, so ``max_in_flight`` is infinite.

    A position taken behind the error holds what the flow needs to go on there: a resumed run does not
    start upstream; it calls the function with an error of the same type and arguments (where its class is
    not loaded, of the nearest base class that is), which must return the same flow.

    Args:
        function: Returns the flow to go on with.
        order: The loosest order that flow may have (``"interleaved"`` if it merges, for example), because
            nobody can see it when the graph is built. One that is looser is a ``GraphError``.
    """
    function_for("on_error_resume", function)
    within = order_named("on_error_resume", order)
    return attach(
        lambda node: recovering.OnErrorResume(
            inputs=(node,),
            function=lambda error: node_of("what the function of on_error_resume returns", function(error)),
            within=within,
        )
    )


class DeadLetters(Flow[skipping.Skipped]):
    """The flow of what ``on_error_skip(letters)`` left out: ``Skipped(item, error)``, as it happens.

    Any number of runs may write to it; it completes when all that did have ended and everything was read.
    Each failure goes to one reader. While ``capacity`` failures are unread, the runs that write wait before
    they ask upstream for more; so read it at the same time, on the same event loop. It has no position.
    """

    __slots__ = ("letters",)

    def __init__(self, capacity: int = 100) -> None:
        positive("DeadLetters", "capacity", capacity)
        self.letters = skipping.Letters(capacity)
        super().__init__(skipping.FromLetters(letters=self.letters))


def on_error_skip(
    function: Callable[[Exception, Any], object] | DeadLetters, *, limit: int | None = None
) -> Same:
    """Leave out the items on which a function upstream fails, and tell ``function(error, item)`` of each.

    ``item`` is what the failing function was given. It is dropped as a filter in that place would drop it:
    state and position go on, nothing is started again, and of a ``flat_map`` what came out of the item
    before stays. This holds for all operators upstream that call a plain function of each item, and for
    ``map_async`` and its relatives. An error that is not of one item, such as that of a source, still ends
    the run, and so does one that ``function`` raises: raise the error itself to let it through.

    It reaches up to the next ``retry``, ``recover``, ``on_error_resume``, ``circuit_breaker`` or
    ``on_error_skip``, which answer the errors above them, and not into flows that are built while running. A
    resumed run may tell of failures again that come right behind its position.

    Args:
        function: Called for each failure, or the ``DeadLetters`` that it goes to.
        limit: How many items a run may leave out; the next failure ends it. ``None`` sets no limit.

    Raises:
        GraphError: nothing upstream can be skipped.
    """
    if limit is not None:
        positive("on_error_skip", "limit", limit, least=0)
    letters: skipping.Letters | None = None
    told: Any = function
    if isinstance(function, DeadLetters):
        letters = function.letters
        told = letters.put
    function_for("on_error_skip", told)
    return attach(
        lambda node: skipping.OnErrorSkip(inputs=(node,), function=told, limit=limit, letters=letters)
    )


def circuit_breaker(
    failures: int = 5,
    reset_after: float = 30.0,
    *,
    counts: Callable[[Exception], object] | None = None,
) -> Same:
    """Leave upstream alone for ``reset_after`` seconds when ``failures`` runs of it in a row have failed.

    The breaker is *closed* at first: each run is let through. A run that gives an item, or completes, has
    worked and ends a row of failures. After ``failures`` of them it is *open*: a run fails at its first
    request with ``CircuitOpen``, without starting upstream. After ``reset_after`` seconds it is *half-open*:
    one run is let through; if that works the breaker is closed, and if it fails, open again.

    What this operator is called for is one breaker: every run of a flow that has it counts, each attempt
    of a ``retry`` behind it, and all flows that the same ``guard = circuit_breaker(...)`` was put behind.
    ``CircuitOpen`` is retryable and says how long to wait, so ``circuit_breaker() | retry(...)`` waits just
    until the breaker is half-open.

    Args:
        failures: How many in a row open it.
        reset_after: Seconds that it stays open.
        counts: Which errors count as failures of upstream; all, by default.
    """
    positive("circuit_breaker", "failures", failures)
    positive("circuit_breaker", "reset_after", reset_after, least=0, whole=False)
    if counts is not None:
        function_for("circuit_breaker", counts)
    breaker = breaking.Breaker(failures, reset_after, counts or (lambda _: True))
    return attach(lambda node: breaking.CircuitBreaker(inputs=(node,), breaker=breaker))


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
