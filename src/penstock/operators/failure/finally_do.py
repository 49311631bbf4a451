"""``finally_do``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, node
from penstock.runtime.passing import PassingStage

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Ending", "FinallyDo", "finally_do"]


Ending = Literal["completed", "failed", "cancelled"]
"""How a run ended; ``cancelled`` is one that was closed, or drained, before its end."""


def finally_do(function: Callable[[Ending], object]) -> Same:
    """Call ``function`` once at the end of each run, with ``"completed"``, ``"failed"`` or ``"cancelled"``.

    It is called before downstream learns of the end. A run that was closed before its end is cancelled,
    and then the call comes when everything upstream is closed; so is one that was drained. A run that was
    never asked for an item has not begun, and has no end.

    An error of the function fails a run that had completed, comes out of ``aclose`` of one that was closed,
    and becomes a note on the error of one that had failed.
    """
    function_for("finally_do", function)
    return attach(lambda node: FinallyDo(inputs=(node,), function=function))


@node
class FinallyDo(Node):
    """``function(ending)`` is called once at the end of each run that was begun."""

    operator = "finally_do"

    function: Callable[[Ending], object]

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that passes everything on and waits for the end."""
        return _FinallyStage(site, self)


class _FinallyStage(PassingStage):
    def __init__(self, site: Site, node: FinallyDo) -> None:
        super().__init__(site)
        self._node = node
        self._begun = self._told = False
        self._failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        self._begun = True
        try:
            items = await self.upstream.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            self._failure = Failure(error)
            self._tell("failed", error)
            raise
        if not items:
            try:
                self._tell("cancelled" if self.run.draining else "completed")
            except Exception as error:
                self._failure = Failure(error)
                raise
        return items

    def _tell(self, ending: Ending, failed_with: Exception | None = None) -> None:
        """Call the function, once; its own error never masks the one the run failed with."""
        if self._told or not self._begun:
            return
        self._told = True
        try:
            self._node.function(ending)
        except Exception as error:
            annotate(error, self._node.describe())
            if failed_with is None:
                raise
            failed_with.add_note(f"penstock: the function of {self._node.describe()} failed too: {error!r}")

    async def aclose(self) -> None:
        """Close upstream first, then tell of the end, even when closing has failed."""
        if self._closed:
            return
        try:
            await super().aclose()
        except Exception as error:
            self._tell("cancelled", error)
            raise
        self._tell("cancelled")
