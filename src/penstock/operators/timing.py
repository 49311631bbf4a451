"""Operators that look at the clock, and flows that do nothing else.

All of them count on the event loop's clock, which a change of the machine's time of day does not touch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.core import pacing, sampling, ticks
from penstock.core import timing as core
from penstock.core.node import assembled_at, positive
from penstock.errors import GraphError
from penstock.flow import Flow
from penstock.operators.attach import attach, node_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same

__all__ = [
    "debounce",
    "delay",
    "elapsed",
    "interval",
    "keep_alive",
    "sample",
    "throttle",
    "timeout",
    "timer",
    "timestamp",
]

T = TypeVar("T")
U = TypeVar("U")


def seconds_for(operator: str, parameter: str, value: object, *, zero: bool = False) -> float:
    """Return a number of seconds, or refuse what is none while the graph is built."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and (value > 0 or (zero and value == 0)):  # type: ignore[arg-type,operator]
        return float(value)  # type: ignore[arg-type]
    least = "not negative" if zero else "greater than 0"
    msg = (
        f"{operator}({parameter}={value!r}) at {assembled_at()}: {parameter} must be a finite number, {least}"
    )
    raise GraphError(msg)


def throttle(rate: float, burst: int = 1, *, per: float = 1.0) -> Same:
    """Let ``rate`` items pass in ``per`` seconds, by asking for no more than that; none is lost.

    A token bucket: it holds ``burst`` tokens at first and at most, and ``rate / per`` flow into it each
    second; an item takes one. So any ``t`` seconds see no more than ``burst + t * rate / per`` items. What
    waits, waits upstream: nothing is held here. That it is the end is learned when the next item would be
    allowed. A resumed run begins with a full bucket.

    What RxPY calls ``throttle_first`` and ``throttle_with_timeout`` drop items: see ``sample``, ``debounce``.
    """
    tokens = seconds_for("throttle", "rate", rate) / seconds_for("throttle", "per", per)
    positive("throttle", "burst", burst)
    return attach(lambda node: pacing.Throttle(inputs=(node,), rate=tokens, burst=burst))


def debounce(seconds: float) -> Same:
    """Let an item pass when no other has come for ``seconds``; drop it if one has.

    At the end the last item passes at once. If upstream fails, the item that waits does not pass, and a
    position stands before it. Upstream is read only while an item is asked for, and quiet is time in which
    it was asked and had nothing: with a slow consumer, items that gather upstream follow each other without
    a pause, and the last of them is the one that passes.
    """
    seconds = seconds_for("debounce", "seconds", seconds)
    return attach(lambda node: sampling.Debounce(inputs=(node,), seconds=seconds))


def sample(every: float | Flow[Any]) -> Same:
    """Let the newest item pass every so many seconds, or whenever another flow gives an item; drop the rest.

    Seconds are counted from the first request. No item passes twice: where none came in between, none
    passes. At the end the last item passes at once; the end of the other flow ends this one too. If
    either fails, the item that waits does not pass, and a position stands before it. Upstream is read
    only while an item is asked for.
    """
    if isinstance(every, Flow):
        other = every.node
        return attach(lambda node: sampling.SampleBy(inputs=(node, other)))
    seconds = seconds_for("sample", "every", every)
    return attach(lambda node: sampling.Sample(inputs=(node,), seconds=seconds))


def delay(seconds: float, capacity: int = 256) -> Same:
    """Let each item pass ``seconds`` after it came, so that the time between items stays what it was.

    Up to ``capacity`` items wait; upstream is not asked for more than that. The end waits as long as an
    item does, an error only for the items before it. A run that is drained still gives each item in its
    time. Positions stand before the items that wait, which a resumed run reads, and delays, again.
    """
    seconds = seconds_for("delay", "seconds", seconds, zero=True)
    positive("delay", "capacity", capacity)
    return attach(lambda node: pacing.Delay(inputs=(node,), seconds=seconds, capacity=capacity))


@overload
def timeout(*, each: float | None = None, first: float | None = None, fallback: None = None) -> Same: ...
@overload
def timeout(
    *, each: float | None = None, first: float | None = None, fallback: Flow[T]
) -> Callable[[Flow[T]], Flow[T]]: ...
def timeout(
    *, each: float | None = None, first: float | None = None, fallback: Flow[Any] | None = None
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Fail if upstream gives nothing for too long, or go on with ``fallback``.

    Counted are seconds in which upstream was asked and had nothing, also over several requests that were
    cancelled: a slow consumer is not upstream's fault. An item that comes at the very moment is late.
    ``retry`` takes the error for one worth trying again.

    Args:
        each: Seconds from one list of items to the next.
        first: Seconds up to the first one; as ``each`` unless given.
        fallback: A flow to continue with instead of failing; upstream is closed then.

    Raises:
        TimeoutError: while running; it names what was waited for, and for how long.
    """
    if each is None and first is None:
        msg = f"timeout() at {assembled_at()} needs each= or first=, in seconds"
        raise GraphError(msg)
    each = None if each is None else seconds_for("timeout", "each", each)
    first = each if first is None else seconds_for("timeout", "first", first)
    if fallback is None:
        return attach(lambda node: core.Timeout(inputs=(node,), first=first, each=each))
    other = node_of("the fallback of timeout", fallback)
    return attach(lambda node: core.TimeoutFallback(inputs=(node, other), first=first, each=each))


class Timed:
    """What ``timestamp`` and ``elapsed`` return: generic in the item."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type[core.Timestamp | core.Elapsed]) -> None:
        self._kind = kind

    def __call__(self, flow: Flow[T], /) -> Flow[tuple[float, T]]:
        """Attach it to a flow."""
        return attach(lambda node: self._kind(inputs=(node,)))(flow)


def timestamp() -> Timed:
    """Pair each item with the Unix time at which the list came that it was in: ``(seconds, item)``."""
    return Timed(core.Timestamp)


def elapsed() -> Timed:
    """Pair each item with the seconds since the item before, or since the first request: ``(seconds, item)``.

    Between items that came in one list no time has passed.
    """
    return Timed(core.Elapsed)


def keep_alive(seconds: float, item: U) -> Callable[[Flow[T]], Flow[T | U]]:
    """Insert ``item`` whenever upstream was asked for ``seconds`` and had nothing.

    So a slow consumer finds no inserted items waiting. They are in no position.
    """
    seconds = seconds_for("keep_alive", "seconds", seconds)
    return attach(lambda node: core.KeepAlive(inputs=(node,), seconds=seconds, item=item))


def interval(seconds: float, *, name: str | None = None) -> Flow[int]:
    """Make 0, 1, 2, ..., one every ``seconds``, counted from the first request, without an end.

    A consumer that was away finds all those that are due, at once: put ``sample`` behind it to have only the
    last. The position is the next number, which in a resumed run comes ``seconds`` after its first request.
    """
    return Flow(ticks.Interval(seconds=seconds_for("interval", "seconds", seconds), name=name))


def timer(seconds: float, *, name: str | None = None) -> Flow[int]:
    """Make one item, 0, ``seconds`` after the first request."""
    return Flow(ticks.Timer(seconds=seconds_for("timer", "seconds", seconds, zero=True), name=name))
