"""The operator ``scan_async``, which yields the running results of a fold by an async function."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.operators.attach import attach
from penstock.operators.concurrency.one_by_one import OneByOne, OneByOneStage
from penstock.runtime.arguments import function_for, text_for
from penstock.runtime.missing import MISSING
from penstock.runtime.node import node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Site

T = TypeVar("T")
U = TypeVar("U")


@overload
def scan_async(
    function: Callable[[T, T], Awaitable[T]], *, name: str | None = None
) -> Callable[[Flow[T]], Flow[T]]: ...
@overload
def scan_async(
    function: Callable[[U, T], Awaitable[U]], seed: U, *, name: str | None = None
) -> Callable[[Flow[T]], Flow[U]]: ...
def scan_async(
    function: Callable[[Any, Any], Awaitable[Any]], seed: Any = MISSING, *, name: str | None = None
) -> Any:
    """Yield each result of a fold: ``accumulator = await function(accumulator, item)``.

    The calls are made one at a time, in order. ``seed`` and the rules for the accumulator are those of
    ``scan``.
    """
    function_for("scan_async", function, asynchronous=True)
    text_for("scan_async", "name", name, optional=True)
    return attach(lambda node: ScanAsync(inputs=(node,), function=function, seed=seed, name=name))


@node
class ScanAsync(OneByOne):
    """Replaces each item by ``await function(accumulator, item)``, which is the next accumulator."""

    operator = "scan_async"
    stateful = True

    seed: Any = MISSING


@runs(ScanAsync)
class _ScanAsyncStage(OneByOneStage):
    def __init__(self, site: Site, node: ScanAsync) -> None:
        super().__init__(site, node)
        self.state = site.state[0] if site.state else node.seed

    async def work(self, item: Any) -> None:
        self.state = item if self.state is MISSING else await self.function(self.state, item)
        self.put(self.state)

    def dump(self, state: Any) -> JSON:
        return [] if state is MISSING else [state]
