"""The operator ``retry``: restart a failed upstream from its position."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.failure.failure_stage import FailureStage
from penstock.runtime.arguments import at, positive, refuse
from penstock.runtime.errand import Errand
from penstock.runtime.graph import refuse_single_use, require_resumable
from penstock.runtime.node import Node, node
from penstock.runtime.policy import RetryPolicy, Series
from penstock.runtime.run import Gate
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site


def retry(
    policy: RetryPolicy | None = None, *, attempts: int | None = None, budget: float | None = None
) -> Same:
    """Restart upstream from its position when it fails; delivered items are not repeated.

    Upstream must yield the same items again: those that were delivered are read and dropped. A live feed
    yields others; write ``feed.on_error_resume(lambda error: empty()).repeat(every=5)`` for it.

    The policy decides which errors to retry and how long to wait. The default retries only lost connections,
    timeouts and busy servers, also those of httpx, aiohttp, requests and grpc, and errors marked with
    ``is_retryable = True``; so a ``ValueError`` is raised at once. An error that is not retried has a note
    that says why.

    Each delivered item resets the attempts and the budget. The failed upstream is closed before the restart;
    an error while closing counts as another failed attempt. A run that is being drained is not retried.

    Behind an adapter, the event stage also retries by the same policy: a document whose parsing or
    processing fails with a retryable error is tried again, and each failed attempt is one
    ``DocumentFailed``.

    Args:
        policy: The default makes three attempts, for lost connections and timeouts.
        attempts: The number of attempts, including the first; replaces that of the policy.
        budget: Seconds for all attempts since the last item; replaces that of the policy.

    Raises:
        NotResumable: upstream has no position; the message names the operator.
    """
    policy = RetryPolicy() if policy is None else policy
    if not isinstance(policy, RetryPolicy):
        advice = "Right: retry(attempts=3)." if isinstance(policy, int | float) else ""
        refuse("retry", "a RetryPolicy", policy, advice=advice)
    if attempts is not None:
        positive("retry", "attempts", attempts)
        policy = replace(policy, attempts=attempts)
    if budget is not None:
        positive("retry", "budget", budget, least=0, whole=False)
        policy = replace(policy, budget=budget)

    return attach(lambda node: node.retrying(policy) or Retry(inputs=(node,), policy=policy))


@node
class Retry(Node):
    """Restarts upstream from its position when it fails."""

    operator = "retry"
    catches_errors = True
    restarts = True

    policy: RetryPolicy

    def __post_init__(self) -> None:
        """Refuse an upstream that cannot resume."""
        Node.__post_init__(self)
        require_resumable(self.inputs[0], f"retry{at(self.origin)}")
        refuse_single_use(self)


@runs(Retry)
class _RetryStage(FailureStage):
    def __init__(self, site: Site, node: Retry) -> None:
        super().__init__(site)
        self._series = Series(node.policy)
        self._deadline: float | None = None  # when the next attempt starts; None while upstream runs
        self._gate = Gate(self.run)
        self._closing = Errand(self.run)

    async def _next(self, n: int) -> list[Any]:
        if self._deadline is not None:
            await self._restart()
        items = await self.upstream.request(n)
        if items:
            self._series.worked()
        return items

    def _handle(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        delay = None if self.run.draining else self._series.failed(error, now)
        if delay is None:
            self._series.explain(error, self.site.vertex.node.describe(), drained=self.run.draining)
            raise error
        self._deadline = now + delay
        self._closing.begin(self.upstream.aclose(), "retry")

    async def _restart(self) -> None:
        """Wait for the deadline and for the old upstream to close; a cancelled request keeps both."""
        loop = asyncio.get_running_loop()
        while self._deadline is not None and loop.time() < self._deadline and not self.run.draining:
            await self._gate.wait(self._deadline)
        await self._closing.result()
        states = self.upstream.marks()(0)
        self.upstream = self.site.input(states={**self.site.states, **states}, tracked=self.site.tracked)
        self._deadline = None

    async def _stop(self) -> None:
        await self._closing.finish()
