"""A fused stage whose last element yields more items when upstream has completed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from penstock.fusion.fused import FusedStage
from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.functions import plain_result

if TYPE_CHECKING:
    from penstock.fusion.fused import Cursor


class FinishingStage(FusedStage):
    """A fused stage that delivers ``finish(state)`` of its last element behind the last input.

    The ``expanded`` of a cursor counts the outputs of one input. While the outputs of ``finish`` are
    delivered, it is negative: ``-1`` stands before the first of them, ``-2`` behind it, and so on.
    """

    _outputs: Iterator[Any] | None = None

    @property
    def exhausted(self) -> bool:  # type: ignore[override]
        """Whether no item follows: not known, because there may be outputs behind the last input."""
        return False

    async def _turn_page(self, n: int) -> bool:
        more = await super()._turn_page(n)
        if more and self._cell.expanded < 0:  # an earlier run had completed, and now there is more input
            self._cell.expanded = 0
        return more

    async def _finish(self, n: int) -> list[Any]:
        if self._outputs is None:
            if self.run.draining:
                return []  # a drained run has not completed
            self._cell.expanded = min(self._cell.expanded, -1)
            self._outputs = self._begin()
        if self.run.strained():
            await self.run.breathe()
        before = self._cell.expanded
        out: list[Any] = []
        try:
            self._take(self._outputs, out, n)
        except BaseException as error:  # noqa: BLE001  raised again, now or behind the outputs before it
            self._failure = Failure(raised_by_user(error, self._vertices[-1].node.describe()))
            if not out or isinstance(error, KeyboardInterrupt | SystemExit):
                self._failure.throw()
        self._cell.expanded = before - len(out)
        if self._tracked:
            here = self._cursor()
            self._log += [(here[0], here[1], before - i, here[3]) for i in range(1, len(out) + 1)]
        return out

    def _begin(self) -> Iterator[Any]:
        finish: Callable[[Any], Iterable[Any]] | None = cast("Any", self._elements[-1]).finish
        if finish is not None:
            node = self._elements[-1]
            outputs = plain_result(finish(self._cell.states[-1]), node.operator, node.origin, "finish")
            yield from islice(outputs, -1 - self._cell.expanded, None)

    def _take(self, outputs: Iterator[Any], out: list[Any], n: int) -> None:
        """Move up to ``n`` outputs to ``out``; stop early rather than block the event loop (law 11)."""
        clock = self.run.clock.monotonic
        while len(out) < n and not (out and self.run.strained()):
            began, had = clock(), len(out)
            wanted = min(self._pace.size, n - had)
            out.extend(islice(outputs, wanted))
            self._pace.took(clock() - began)
            if len(out) - had < wanted:
                return

    def _cursor(self) -> Cursor:
        if self._outputs is None:
            return super()._cursor()
        offset = self._taken - self._slice.__length_hint__()
        return self._base, offset, self._cell.expanded, self._cell.states
