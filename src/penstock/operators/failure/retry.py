"""``retry``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.documents.stage import Documents
from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.graph import refuse_once, require_resumable
from penstock.runtime.node import Node, assembled_at, node
from penstock.runtime.passing import PassingStage
from penstock.runtime.policy import RetryPolicy, Series
from penstock.runtime.run import Gate

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


__all__ = ["Retry", "retry"]


def retry(
    policy: RetryPolicy | None = None, *, attempts: int | None = None, budget: float | None = None
) -> Same:
    """Start upstream again from its position when it fails; what was delivered is not delivered again.

    Which errors are worth it and how long to wait says the policy; its attempts and its budget start again
    after each delivered item. What had failed is closed before it is started again; an error of that closing
    counts as another failed attempt. A drained run is not tried again.

    Behind an adapter, retrying also happens within the event stage, by the same policy: a document whose
    parsing or processing fails with a retryable error is tried again, and each failed attempt is one
    ``DocumentFailed``.

    Args:
        policy: By default three attempts for lost connections and timeouts.
        attempts: How many attempts in all, as a short form.
        budget: Seconds for all attempts since the last item, as a short form.

    Raises:
        NotResumable: upstream has no position; the message names the operator.
    """
    policy = RetryPolicy() if policy is None else policy
    if not isinstance(policy, RetryPolicy):
        msg = (
            f"retry takes a RetryPolicy, not {type(policy).__name__}, at {assembled_at()}. "
            "Wrong: flow | op.retry. Right: flow | op.retry()."
        )
        raise GraphError(msg)
    if attempts is not None:
        policy = replace(policy, attempts=attempts)
    if budget is not None:
        policy = replace(policy, budget=budget)

    def make(node: Node) -> Node:
        if isinstance(node, Documents):
            return node.with_settings(retry=policy)
        return Retry(inputs=(node,), policy=policy)

    return attach(make)


@node
class Retry(Node):
    """Upstream is started again from its position when it fails; what was delivered stays delivered."""

    operator = "retry"
    answers = True

    policy: RetryPolicy

    def __post_init__(self) -> None:
        """Refuse an upstream that cannot resume."""
        Node.__post_init__(self)
        require_resumable(self.inputs[0], f"retry at {self.origin}")
        refuse_once(self)

    def start(self, site: Site) -> Stage[Any]:
        """Start with the first attempt."""
        return _RetryStage(site, self.policy)


class _RetryStage(PassingStage):
    def __init__(self, site: Site, policy: RetryPolicy) -> None:
        super().__init__(site)
        self._series = Series(policy)
        self._deadline: float | None = None
        self._gate = Gate(self.run)
        self._closing = Errand(self.run)
        self._failure: Failure | None = None

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        while True:
            try:
                if self._deadline is not None:
                    await self._start_again()
                items = await self.upstream.request(n)
            except Exception as error:
                if self.run.over(error):
                    raise
                self._deadline = self._next_attempt(error)
                self._closing.begin(self.upstream.aclose(), "retry")
                continue
            if items:
                self._series.worked()
            return items

    def _next_attempt(self, error: Exception) -> float:
        """Return when to try again, or raise what this flow fails with."""
        now = asyncio.get_running_loop().time()
        try:
            delay = None if self.run.draining else self._series.failed(error, now)
        except Exception as own:
            annotate(own, self.site.vertex.node.describe())  # of a function of the policy
            self._failure = Failure(own)
            raise
        if delay is None:
            self._failure = Failure(error)
            self._failure.throw()
        return now + delay

    async def _start_again(self) -> None:
        """Wait for the deadline, however often that is interrupted, and for the old upstream to close."""
        loop = asyncio.get_running_loop()
        while self._deadline is not None and loop.time() < self._deadline and not self.run.draining:
            await self._gate.wait(self._deadline)
        await self._closing.result()
        states = self.upstream.marks()(0)
        self.upstream = self.site.input(states={**self.site.states, **states}, tracked=self.site.tracked)
        self._deadline = None

    async def _stop(self) -> None:
        await self._closing.finish()
