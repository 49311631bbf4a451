"""The operators ``map_error`` and ``tap_error``, which replace an error or look at it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.errors import NotAwaited
from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import calling
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, node
from penstock.runtime.skipping import Skipping
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.run import Gate
    from penstock.runtime.skipping import Instead


def map_error(function: Callable[[Exception], Exception]) -> Same:
    """Fail with ``function(error)`` instead of ``error`` when upstream fails.

    The new error is raised from the old one, so a traceback shows both. If the function returns the error
    that it got, that is raised. An error that the function itself raises ends the run. ``on_error_skip``
    downstream gets the new error, too.
    """
    function_for("map_error", function)
    return attach(lambda node: MapError(inputs=(node,), function=function))


def tap_error(function: Callable[[Exception], object]) -> Same:
    """Call ``function(error)`` when upstream fails, then fail with that error.

    An error of the function becomes a note on the error of upstream. The function is not called for items
    that ``on_error_skip`` skips, nor when a run is closed.
    """
    function_for("tap_error", function)
    return attach(lambda node: TapError(inputs=(node,), function=function))


@node
class MapError(Node):
    """Replaces an error of upstream by ``function(error)``."""

    operator = "map_error"

    function: Callable[[Exception], Exception]


@node
class TapError(Node):
    """Calls ``function(error)`` with an error of upstream."""

    operator = "tap_error"

    function: Callable[[Exception], object]


@runs(MapError)
class _MapErrorStage(FailureStage):
    def __init__(self, site: Site, node: MapError) -> None:
        self._node = node
        self.mapped: BaseException | None = None
        """An error that ``on_error_skip`` downstream refused to skip; it was mapped before."""
        outer = site.skipping
        super().__init__(site if outer is None else replace(site, skipping=_MappedSkipping(self, outer)))

    async def _next(self, n: int) -> list[Any]:
        return await self.upstream.request(n)

    def forget_failures(self) -> None:
        super().forget_failures()
        self.mapped = None

    def _handle(self, error: Exception) -> None:
        if error is self.mapped:
            raise error
        new = self.map(error)
        if new is error:
            raise error
        raise new from error

    def map(self, error: Exception) -> Exception:
        """Return the error that replaces ``error``."""
        new: Any = plain_result(self._node.function(error), "map_error", self._node.origin)
        if isinstance(new, Exception):
            return new
        msg = f"the function of map_error must return an exception; it returned {type(new).__name__}"
        raise TypeError(msg) from error


class _MappedSkipping(Skipping):
    """The ``on_error_skip`` downstream, which gets mapped errors."""

    __slots__ = ("_outer", "_stage")

    def __init__(self, stage: _MapErrorStage, outer: Skipping) -> None:
        self._stage = stage
        self._outer = outer

    @property
    def full(self) -> bool:
        return self._outer.full

    async def pause(self, gate: Gate) -> None:
        await self._outer.pause(gate)

    def handle(self, error: Exception, item: Any, node: Node) -> BaseException | Instead | None:
        stage = self._stage
        if isinstance(error, NotAwaited):
            return error  # a mistake of the flow: see on_error_skip
        try:
            with calling(stage.site.vertex.node):
                new = stage.map(error)
        except BaseException as own:  # noqa: BLE001  the stage that asked raises it
            stage.mapped = own
            return own
        if new is not error:
            new.__cause__ = error
        answer = self._outer.handle(new, item, node)
        stage.mapped = answer if isinstance(answer, BaseException) else None
        return answer


@runs(TapError)
class _TapErrorStage(FailureStage):
    def __init__(self, site: Site, node: TapError) -> None:
        super().__init__(site)
        self._node = node

    async def _next(self, n: int) -> list[Any]:
        return await self.upstream.request(n)

    def _handle(self, error: Exception) -> None:
        try:
            with calling(self._node):
                plain_result(self._node.function(error), "tap_error", self._node.origin)
        except Exception as own:  # noqa: BLE001  it never masks the error of upstream
            error.add_note(f"penstock: the function of {self._node.describe()} failed too: {own!r}")
        raise error
