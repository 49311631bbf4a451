"""The operator ``finally_do``: call a function when a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import calling
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site

Ending = Literal["completed", "failed", "cancelled"]
"""How a run ended; ``cancelled`` means that it was closed or drained before its end."""


def finally_do(function: Callable[[Ending], object]) -> Same:
    """Call ``function`` once when a run ends: with "completed", "failed" or "cancelled".

    The call comes before downstream sees the end. A run that is closed or drained before its end is
    "cancelled"; on closing, the call comes after everything upstream is closed. A run without a request
    never began, so the function is not called.

    An error of the function fails a completed run, is raised by ``aclose`` of a closed run, and becomes a
    note on the error of a failed run.
    """
    function_for("finally_do", function)
    return attach(lambda node: FinallyDo(inputs=(node,), function=function))


@node
class FinallyDo(Node):
    """Calls ``function(ending)`` once at the end of each run that began."""

    operator = "finally_do"

    function: Callable[[Ending], object]


@runs(FinallyDo)
class _FinallyStage(FailureStage):
    def __init__(self, site: Site, node: FinallyDo) -> None:
        super().__init__(site)
        self._node = node
        self._begun = self._called = False

    async def _next(self, n: int) -> list[Any]:
        self._begun = True
        items = await self.upstream.request(n)
        if not items:
            self._call("cancelled" if self.run.draining else "completed")
        return items

    def _handle(self, error: Exception) -> None:
        self._call("failed", error)
        raise error

    def _call(self, ending: Ending, failed_with: Exception | None = None) -> None:
        """Call the function, once; its own error never masks ``failed_with``."""
        if self._called or not self._begun:
            return
        self._called = True
        try:
            with calling(self._node):
                plain_result(self._node.function(ending), "finally_do", self._node.origin)
        except Exception as error:
            if failed_with is None:
                raise
            failed_with.add_note(f"penstock: the function of {self._node.describe()} failed too: {error!r}")

    async def aclose(self) -> None:
        """Close upstream, then call the function, even if closing failed."""
        if self._closed:
            return
        try:
            await super().aclose()
        except Exception as error:
            self._call("cancelled", error)
            raise
        self._call("cancelled")
