"""The operator ``circuit_breaker``: stop calling a service that keeps failing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.errors import CircuitOpen
from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, node
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site

ROUNDING = 1e-9
"""Seconds by which rounding may have shortened a wait."""


def circuit_breaker(
    failures: int = 5, reset_after: float = 30.0, *, counts: Callable[[Exception], object] | None = None
) -> Same:
    """Stop starting upstream for ``reset_after`` seconds after ``failures`` failed runs in a row.

    A breaker begins *closed*: every run may start. A run that delivers an item or completes resets the
    count of failures. After ``failures`` failed runs in a row the breaker is *open*: a run fails at its
    first request with ``CircuitOpen`` and does not start upstream. After ``reset_after`` seconds it is
    *half-open*: one run may start as a trial. If the trial works, the breaker closes; if it fails, the
    breaker opens again.

    Each call of this function creates one breaker. It counts every run of a flow that has it, each attempt
    of a ``retry`` downstream of it, and the runs of all flows in which the same
    ``guard = circuit_breaker(...)`` was put. ``CircuitOpen`` is retryable and says how long to wait, so
    ``circuit_breaker() | retry(...)`` waits until the breaker is half-open.

    Args:
        failures: How many failed runs in a row open the breaker.
        reset_after: Seconds that it stays open.
        counts: Which errors count as failures of upstream; the default is all.
    """
    positive("circuit_breaker", "failures", failures)
    positive("circuit_breaker", "reset_after", reset_after, least=0, whole=False)
    if counts is not None:
        function_for("circuit_breaker", counts, "counts")
    breaker = Breaker(failures, reset_after, (lambda _: True) if counts is None else counts)
    return attach(lambda node: CircuitBreaker(inputs=(node,), breaker=breaker))


class Breaker:
    """Decides which runs may start; times are those of the event loop's clock."""

    __slots__ = ("_counts", "_failed", "_limit", "_reset_after", "_trial", "_until")

    def __init__(self, failures: int, reset_after: float, counts: Callable[[Exception], object]) -> None:
        self._limit = failures
        self._reset_after = reset_after
        self._counts = counts
        self._failed = 0  # in a row
        self._until: float | None = None  # when it becomes half-open; None while it is closed
        self._trial = False

    def __repr__(self) -> str:
        state = "closed" if self._until is None else "half-open" if self._trial else "open"
        return f"<Breaker {state}, {self._failed} of {self._limit} failures>"

    def admit(self, now: float) -> bool:
        """Admit a run; return whether it is the trial.

        Raises:
            CircuitOpen: the breaker is open, or it is half-open and another run is the trial.
        """
        if self._until is None:
            return False
        left = min(self._until - now, self._reset_after)
        if self._trial or left > ROUNDING:
            raise CircuitOpen(self._failed, self._reset_after if self._trial else left)
        self._trial = True
        return True

    def worked(self) -> None:
        """Close: a run delivered an item or completed."""
        self._failed, self._until, self._trial = 0, None, False

    def failed(self, error: Exception, now: float, *, trial: bool) -> None:
        """Count a failed run; open if the limit is reached or the run was the trial."""
        if trial:
            self._trial = False
        if not plain_result(self._counts(error), "circuit_breaker", what="counts"):
            return
        self._failed += 1
        if trial or self._failed >= self._limit:
            self._until = now + self._reset_after

    def gave_up(self) -> None:
        """End a trial that was closed before it had a result."""
        self._trial = False


@node
class CircuitBreaker(Node):
    """Starts upstream only if its breaker admits the run; all runs of this node share the breaker."""

    operator = "circuit_breaker"
    catches_errors = True

    breaker: Breaker


@runs(CircuitBreaker)
class _CircuitStage(FailureStage):
    def __init__(self, site: Site, node: CircuitBreaker) -> None:
        super().__init__(site)
        self._breaker = node.breaker
        self._admitted = self._trial = False

    async def _next(self, n: int) -> list[Any]:
        if not self._admitted:
            self._trial = self._breaker.admit(asyncio.get_running_loop().time())
            self._admitted = True
        items = await self.upstream.request(n)
        if items or not self.run.draining:
            self._breaker.worked()
            self._trial = False
        return items

    def _handle(self, error: Exception) -> None:
        if self._admitted:
            trial, self._trial = self._trial, False
            self._breaker.failed(error, asyncio.get_running_loop().time(), trial=trial)
        raise error

    async def _stop(self) -> None:
        if self._trial:
            self._trial = False
            self._breaker.gave_up()
