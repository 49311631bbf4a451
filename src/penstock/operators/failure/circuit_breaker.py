"""``circuit_breaker``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.errors import CircuitOpen
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, positive
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import Node, node
from penstock.runtime.passing import PassingStage

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Breaker", "CircuitBreaker", "circuit_breaker"]


EARLY = 1e-9
"""Seconds by which a wait may have been rounded down."""


def circuit_breaker(
    failures: int = 5,
    reset_after: float = 30.0,
    *,
    counts: Callable[[Exception], object] | None = None,
) -> Same:
    """Leave upstream alone for ``reset_after`` seconds when ``failures`` runs of it in a row have failed.

    The breaker is *closed* at first: each run is let through. A run that gives an item, or completes, has
    worked and ends a row of failures. After ``failures`` of them it is *open*: a run fails at its first
    request with ``CircuitOpen``, without starting upstream. After ``reset_after`` seconds it is *half-open*:
    one run is let through; if that works the breaker is closed, and if it fails, open again.

    What this operator is called for is one breaker: every run of a flow that has it counts, each attempt
    of a ``retry`` behind it, and all flows that the same ``guard = circuit_breaker(...)`` was put behind.
    ``CircuitOpen`` is retryable and says how long to wait, so ``circuit_breaker() | retry(...)`` waits just
    until the breaker is half-open.

    Args:
        failures: How many in a row open it.
        reset_after: Seconds that it stays open.
        counts: Which errors count as failures of upstream; all, by default.
    """
    positive("circuit_breaker", "failures", failures)
    positive("circuit_breaker", "reset_after", reset_after, least=0, whole=False)
    if counts is not None:
        function_for("circuit_breaker", counts)
    breaker = Breaker(failures, reset_after, counts or (lambda _: True))
    return attach(lambda node: CircuitBreaker(inputs=(node,), breaker=breaker))


class Breaker:
    """Whether runs are let through; times are those of the loop's clock.

    It is *closed* (all are) until so many have failed in a row, then *open* (none is) for a time, then
    *half-open*: one is let through, and what becomes of it decides between the two.
    """

    __slots__ = ("_counts", "_failed", "_limit", "_reset_after", "_trial", "_until")

    def __init__(self, failures: int, reset_after: float, counts: Callable[[Exception], object]) -> None:
        self._limit = failures
        self._reset_after = reset_after
        self._counts = counts
        self._failed = 0  # in a row
        self._until: float | None = None  # when it is half-open; None while it is closed
        self._trial = False

    def __repr__(self) -> str:
        state = "closed" if self._until is None else "half-open" if self._trial else "open"
        return f"<Breaker {state}, {self._failed} of {self._limit} failures>"

    def admit(self, now: float) -> bool:
        """Let a run through, and say whether it is the one on trial.

        Raises:
            CircuitOpen: it is open, or half-open with another run on trial.
        """
        if self._until is None:
            return False
        left = min(self._until - now, self._reset_after)
        if self._trial or left > EARLY:
            raise CircuitOpen(self._failed, self._reset_after if self._trial else left)
        self._trial = True
        return True

    def worked(self) -> None:
        """Close, and forget what has failed: a run gave an item, or completed."""
        self._failed, self._until, self._trial = 0, None, False

    def failed(self, error: Exception, now: float, *, trial: bool) -> None:
        """Count a failure; open if there were enough, or if it was the trial."""
        if trial:
            self._trial = False
        if not self._counts(error):
            return
        self._failed += 1
        if trial or self._failed >= self._limit:
            self._until = now + self._reset_after

    def gave_up(self) -> None:
        """Take the run on trial back: it was closed before anything came of it."""
        self._trial = False


@node
class CircuitBreaker(Node):
    """Upstream is started only while the breaker lets it; runs of this node share the breaker."""

    operator = "circuit_breaker"
    answers = True

    breaker: Breaker

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that asks the breaker at its first request."""
        return _CircuitStage(site, self.breaker)


class _CircuitStage(PassingStage):
    def __init__(self, site: Site, breaker: Breaker) -> None:
        super().__init__(site)
        self._breaker = breaker
        self._admitted = self._trial = False
        self._failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        try:
            if not self._admitted:
                self._trial = self._breaker.admit(asyncio.get_running_loop().time())
                self._admitted = True
            items = await self.upstream.request(n)
        except Exception as error:
            if not self.run.over(error):
                self._failed(error)
            raise
        if items or not self.run.draining:
            self._breaker.worked()
            self._trial = False
        return items

    def _failed(self, error: Exception) -> None:
        annotate(error, self.site.vertex.node.describe())
        self._failure = Failure(error)
        if self._admitted:
            trial, self._trial = self._trial, False
            self._breaker.failed(error, asyncio.get_running_loop().time(), trial=trial)

    async def _stop(self) -> None:
        if self._trial:
            self._trial = False
            self._breaker.gave_up()
