"""``on_error_resume``."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, order_named
from penstock.runtime.built_at_runtime import BuildingNode, BuiltFlow
from penstock.runtime.failures import Failure
from penstock.runtime.node import node
from penstock.runtime.stage import Stage
from penstock.runtime.stream import node_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.operators.failure.either import Or
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream


__all__ = ["OnErrorResume", "on_error_resume"]

U = TypeVar("U")


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
        lambda node: OnErrorResume(
            inputs=(node,),
            function=lambda error: node_of("what the function of on_error_resume returns", function(error)),
            within=within,
        )
    )


@node
class OnErrorResume(BuildingNode):
    """When upstream fails, the stream goes on with the flow that ``function(error)`` returns."""

    operator = "on_error_resume"
    answers = True

    function: Callable[[Exception], Node]

    def start(self, site: Site) -> Stage[Any]:
        """Start with upstream, or with what a position says it went on with."""
        return _OnErrorResumeStage(site, self)


class _OnErrorResumeStage(Stage[Any]):
    """Its state is ``None`` before an error; then the error, and the position of what it went on with."""

    def __init__(self, site: Site, node: OnErrorResume) -> None:
        super().__init__(site)
        self._node = node
        self._state = site.state
        self._upstream = site.input(tracked=site.tracked)
        self._fallback: BuiltFlow | None = None
        self._kept: JSON = None
        self._failure: Failure | None = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self._upstream
        if self._fallback is not None:
            yield self._fallback.stage

    def marks(self) -> Marks:
        key, kept, above = self.site.vertex.id, self._kept, self._upstream.marks()
        if self._fallback is None:
            state = self._state
            return lambda i: {**above(i), key: state}
        at = self._fallback.state_at()
        return lambda i: {**above(0), key: {"error": kept, "at": at(i)}}

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        if self._state is not None and self._fallback is None:
            self._go_on(rebuilt(self._state["error"]), self._state["at"])
        if self._fallback is not None:
            return await self._fallback.stage.request(n)
        try:
            return await self._upstream.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            self._go_on(error, None)
            self.run.release(self._upstream.aclose())
        return await self._request(n)

    def _go_on(self, error: Exception, state: JSON) -> None:
        try:
            self._fallback = BuiltFlow(
                self.site, partial(self._node.function, error), state,
                tracked=self.site.tracked, order=self._node.within,
            )  # fmt: skip
        except Exception as own:
            self._failure = Failure(own)
            raise
        self._kept = kept(error)


def kept(error: Exception) -> JSON:
    """Return what a position keeps of an error: its types, nearest first, and its arguments or its text."""
    args: list[Any] = list(error.args)
    try:
        if json.loads(json.dumps(args)) != args:
            args = [str(error)]
    except (TypeError, ValueError):
        args = [str(error)]
    return {
        "types": [f"{kind.__module__}:{kind.__qualname__}" for kind in _exceptions(type(error))],
        "args": args,
    }


def _exceptions(kind: type[Exception]) -> list[type[Exception]]:
    return [one for one in kind.__mro__ if issubclass(one, Exception)]


def rebuilt(state: JSON) -> Exception:
    """Make an error of what ``kept`` gave: of its own type, or of the nearest base that is loaded.

    Nothing is imported for it, and its ``__init__`` is not called: it has the arguments, and no attributes
    of its own.
    """
    for name in state["types"]:
        module, _, path = name.partition(":")
        kind: Any = sys.modules.get(module)
        for part in path.split("."):
            kind = getattr(kind, part, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                error = kind.__new__(kind, *state["args"])
            except Exception:  # noqa: BLE001, S112  a type that wants other arguments: the next base may do
                continue
            error.args = tuple(state["args"])
            return error
    return Exception(*state["args"])
