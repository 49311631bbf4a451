"""``timeout``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from penstock.errors import GraphError
from penstock.operators.attach import attach, joined
from penstock.runtime.arguments import at, seconds_for
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, node
from penstock.runtime.order import Order
from penstock.runtime.stage import Stage, behind, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow
    from penstock.operators.attach import Joinable, Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, States, Upstream

T = TypeVar("T")


@overload
def timeout(seconds: float | None = None, *, first: float | None = None, fallback: None = None) -> Same: ...
@overload
def timeout(
    seconds: float | None = None, *, first: float | None = None, fallback: Joinable[T]
) -> Callable[[Flow[T]], Flow[T]]: ...
def timeout(
    seconds: float | None = None, *, first: float | None = None, fallback: Joinable[Any] | None = None
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Fail, or continue with ``fallback``, if upstream emits nothing for too long.

    Only seconds in which a request to upstream waits count, added up over requests that were cancelled: time
    that the consumer needs does not count. An item that comes exactly at the deadline is late. ``retry``
    tries again after this error by default.

    Args:
        seconds: Seconds to the first list of items, and from one list to the next.
        first: Seconds to the first list, if they are others.
        fallback: A flow to continue with instead of failing; upstream is closed then.

    Raises:
        TimeoutError: while running; it names the operator that was waited for, and the seconds.
    """
    if seconds is None and first is None:
        msg = f"timeout(){at()} needs seconds: timeout(5), or timeout(first=5)"
        raise GraphError(msg)
    each = None if seconds is None else seconds_for("timeout", "seconds", seconds)
    first = each if first is None else seconds_for("timeout", "first", first)
    if fallback is None:
        return attach(lambda node: Timeout(inputs=(node,), first=first, seconds=each))
    other = joined("the fallback of timeout", fallback)
    return attach(lambda node: TimeoutFallback(inputs=(node, other), first=first, seconds=each))


class TimeLimit:
    """How many seconds upstream has left to answer; they pass only while a request waits.

    When they are over, the request is cancelled. By law 7 that loses no item and withdraws the demand, so no
    task is needed between two stages.
    """

    __slots__ = ("left",)

    def __init__(self, seconds: float | None) -> None:
        self.left = seconds
        """``None`` means no limit."""

    async def ask(self, stage: Upstream[Any], n: int) -> list[Any] | None:
        """Return the items of ``stage.request(n)``, or ``None`` if the time is over first."""
        if self.left is None:
            return await stage.request(n)
        loop, failure, items = asyncio.get_running_loop(), None, None
        began = loop.time()
        try:
            async with asyncio.timeout_at(began + max(self.left, 0.0)):
                try:
                    items = await stage.request(n)
                except Exception as error:  # noqa: BLE001  raised below: it may be a TimeoutError of upstream
                    failure = Failure(error)
        except TimeoutError:
            return None
        finally:
            self.left -= loop.time() - began
        if failure is not None:
            failure.throw()
        return items


@node
class Timeout(Node):
    """An error, if a request to upstream waits longer than ``first`` or ``seconds`` seconds."""

    operator = "timeout"

    first: float | None
    seconds: float | None


@node
class TimeoutFallback(Timeout):
    """The items of the second input instead of the error."""

    stateful = True
    own_order = Order.TIMED

    @property
    def structure(self) -> str:
        return "(fallback)"

    @property
    def repeatable(self) -> bool:
        """False: the next item's input depends on time."""
        return False

    def bound(self, n: int) -> float:
        return max(node.bound(n) for node in self.inputs)


@runs(Timeout)
class _TimeoutStage(Stage[Any]):
    """Its state, if it has one, is whether it has switched to the second input."""

    def __init__(self, site: Site, node: Timeout) -> None:
        super().__init__(site)
        self._node = node
        self._over = bool(site.state)
        self._current = site.input(1 if self._over else 0, tracked=site.tracked)
        self._time_limit = TimeLimit(None if self._over else node.first)
        self._limit = node.first
        self._others: States = site.given(0 if self._over else 1) if node.stateful else {}
        self._left: tuple[Marks, ...] = ()  # the last marks of the first input, after the switch
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._current

    def marks(self) -> Marks:
        above = self._current.marks()
        if not self._node.stateful:
            return above
        key, others, left, over = self.site.vertex.id, self._others, self._left, self._over
        return lambda i: {**others, **behind(left), **above(i), key: over}

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        items = await self._time_limit.ask(self._current, n)
        if items is not None:
            if not self._over:
                self._time_limit.left = self._limit = self._node.seconds
            return items
        if not self._node.stateful:
            self._fail()
        if self.run.draining:
            return []
        self._left = (self._current.marks(),)
        self.run.release(self._current)
        self._current = self.site.input(1, tracked=self.site.tracked)
        self._over, self._time_limit = True, TimeLimit(None)
        return await self._current.request(n)

    def _fail(self) -> NoReturn:
        error = TimeoutError(f"{self._current.title()} gave no item within {self._limit:g} s")
        annotate(error, self._node.describe())
        self._failure = Failure(error)
        self._failure.throw()
