"""The operators ``take_while_async`` and ``skip_while_async``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.operators.concurrency.one_by_one import OneByOne, OneByOneStage
from penstock.runtime.arguments import flag_for, function_for
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.node import Site

T = TypeVar("T")


def take_while_async(
    function: Callable[[T], Awaitable[object]], *, inclusive: bool = False
) -> Callable[[Flow[T]], Flow[T]]:
    """Complete before the first item for which ``await function(item)`` is false.

    With ``inclusive``, complete after that item. The calls are made one at a time, in order.
    """
    function_for("take_while_async", function, asynchronous=True)
    flag_for("take_while_async", inclusive=inclusive)
    return attach(lambda node: TakeWhileAsync(inputs=(node,), function=function, inclusive=inclusive))


def skip_while_async(function: Callable[[T], Awaitable[object]]) -> Callable[[Flow[T]], Flow[T]]:
    """Drop items until ``await function(item)`` is false; keep that item and all later ones.

    The calls are made one at a time, in order.
    """
    function_for("skip_while_async", function, asynchronous=True)
    return attach(lambda node: SkipWhileAsync(inputs=(node,), function=function))


@node
class TakeWhileAsync(OneByOne):
    """Completes when ``await function(item)`` is false; the state says whether it was."""

    operator = "take_while_async"
    stateful = True

    inclusive: bool = False


@runs(TakeWhileAsync)
class _TakeWhileAsyncStage(OneByOneStage):
    def __init__(self, site: Site, node: TakeWhileAsync) -> None:
        super().__init__(site, node)
        self.state = self._ended = bool(site.state)
        self._inclusive = node.inclusive

    async def work(self, item: Any) -> None:
        going_on = await self.function(item)
        if going_on or self._inclusive:
            self.put(item)
        if not going_on:
            self.state = True
            self.end()


class SkipWhileAsync(OneByOne):
    """Drops items while ``await function(item)`` is true; the state says whether it still does."""

    operator = "skip_while_async"
    stateful = True


@runs(SkipWhileAsync)
class _SkipWhileAsyncStage(OneByOneStage):
    def __init__(self, site: Site, node: SkipWhileAsync) -> None:
        super().__init__(site, node)
        self.state = site.state is None or bool(site.state)

    async def work(self, item: Any) -> None:
        if self.state and await self.function(item):
            return
        self.state = False
        self.put(item)
