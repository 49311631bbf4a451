"""The operator ``on_error_resume``: continue with another flow after an error."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.operators.attach import attach, building
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for
from penstock.runtime.built_at_runtime import BuildingNode, BuiltFlow
from penstock.runtime.node import node
from penstock.runtime.order import order_named
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream

T = TypeVar("T")
U = TypeVar("U")


def on_error_resume(
    function: Callable[[Exception], Flow[U]], *, order: str | None = None
) -> Callable[[Flow[T]], Flow[T | U]]:
    """Continue with the flow that ``function(error)`` returns when upstream fails.

    An error of that flow, or of the function, ends the stream; to let the error of upstream through, raise
    it in the function. The returned flow may not hold a checkpoint. Its bound is not known before it is
    built, so ``max_in_flight`` is infinite.

    A position after the error holds the error and the position in the returned flow. A resumed run does not
    start upstream: it calls the function with an error of the same type and arguments, and the function must
    return the same flow. If the class of the error is not loaded, the nearest loaded base class is used.

    Args:
        function: Returns the flow to continue with.
        order: The loosest order that this flow may have, as for ``concat_map``.
    """
    function_for("on_error_resume", function)
    within = order_named("on_error_resume", order)
    build = building("on_error_resume", function)
    return attach(lambda node: OnErrorResume(inputs=(node,), function=build, within=within))


@node
class OnErrorResume(BuildingNode):
    """Continues with the flow that ``function(error)`` returns when upstream fails."""

    operator = "on_error_resume"
    catches_errors = True

    function: Callable[[Exception], Node]


@runs(OnErrorResume)
class _OnErrorResumeStage(FailureStage):
    """Its state is ``None`` before an error; then the error, and the position in the fallback."""

    def __init__(self, site: Site, node: OnErrorResume) -> None:
        super().__init__(site)
        self._node = node
        self._state = site.state
        self._fallback: BuiltFlow | None = None
        self._error: JSON = None

    def upstreams(self) -> Iterator[Upstream[Any]]:
        yield self.upstream
        if self._fallback is not None:
            yield self._fallback.stage

    def marks(self) -> Marks:
        key, above = self.site.vertex.id, self.upstream.marks()
        if self._fallback is None:
            state = self._state
            return lambda i: {**above(i), key: state}
        error, at = self._error, self._fallback.state_at()
        return lambda i: {**above(0), key: {"error": error, "at": at(i)}}

    async def _next(self, n: int) -> list[Any]:
        if self._fallback is None and self._state is not None:
            self._build(error_from(self._state["error"]), self._state["at"])
        stage = self.upstream if self._fallback is None else self._fallback.stage
        return await stage.request(n)

    def _handle(self, error: Exception) -> None:
        if self._fallback is not None or self._state is not None:
            raise error
        self._build(error, None)
        self.run.release(self.upstream)

    def _build(self, error: Exception, state: JSON) -> None:
        build = partial(self._node.function, error)
        tracked, order = self.site.tracked, self._node.within
        self._fallback = BuiltFlow(self.site, build, state, tracked=tracked, order=order)
        self._error = state_of(error)


def state_of(error: Exception) -> JSON:
    """Return an error as JSON: its types, nearest first, and its arguments, or its text instead."""
    args: list[Any] = list(error.args)
    try:
        if json.loads(json.dumps(args)) != args:
            args = [str(error)]
    except (TypeError, ValueError):
        args = [str(error)]
    types = [kind for kind in type(error).__mro__ if issubclass(kind, Exception)]
    return {"types": [f"{kind.__module__}:{kind.__qualname__}" for kind in types], "args": args}


def error_from(state: JSON) -> Exception:
    """Return the error that ``state_of`` described, of its type or of the nearest base that is loaded.

    It imports no module and does not call ``__init__``: the error has its arguments, but no attributes of
    its own.
    """
    for name in state["types"]:
        module, _, path = name.partition(":")
        kind: Any = sys.modules.get(module)
        for part in path.split("."):
            kind = getattr(kind, part, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                error = kind.__new__(kind, *state["args"])
            except Exception:  # noqa: BLE001, S112  the type takes other arguments: try the next base
                continue
            error.args = tuple(state["args"])
            return error
    return Exception(*state["args"])
