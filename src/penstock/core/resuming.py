"""Stages that start their upstream themselves, from a position: ``retry`` and ``checkpoint``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.abc import Commit, Ledger
from penstock.core.graph import position_of, require_resumable, states_of
from penstock.core.node import Node
from penstock.core.notes import Failure, annotate
from penstock.core.passing import PassingStage
from penstock.core.policy import Series
from penstock.core.run import Gate
from penstock.core.stage import Stage
from penstock.errors import GraphError, NotResumable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from penstock.core.graph import Site
    from penstock.core.policy import RetryPolicy
    from penstock.core.run import Run
    from penstock.core.stage import Marks

__all__ = ["Checkpoint", "Errand", "Retry", "refuse_once"]


class Errand:
    """Work that may wait, done for a request in a task of its own; a cancelled request finds it again."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._done = Gate(run)
        self._task: asyncio.Task[Any] | None = None

    @property
    def running(self) -> bool:
        """Whether something was begun that nobody has taken the result of."""
        return self._task is not None

    def begin(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Start ``work``; there may be only one at a time."""
        self._task = self._run.spawn(work, name)
        self._task.add_done_callback(lambda _: self._done.open())

    async def result(self) -> Any:
        """Wait for the work that was begun and return its result, or raise its error."""
        task = self._task
        if task is None:
            return None
        while not task.done():
            await self._done.wait()
        self._task = None
        return task.result()

    async def finish(self) -> None:
        """Let the work come to its end while closing, and raise its error."""
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait([task])
            task.result()


def refuse_once(node: Node) -> None:
    """Refuse, for a node that starts its upstream again, an upstream that can be read only once."""
    once = node.once
    if once is not None:
        msg = (
            f"{node.describe()} starts its upstream again, but {once.describe()} can be read only "
            "once: pass a function that makes a new iterator each time, rows instead of rows()"
        )
        raise NotResumable(msg)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint(Node):
    """Positions are committed to a ledger as far as downstream has acknowledged items (law 12)."""

    operator = "checkpoint"
    transparent = True

    ledger: Ledger
    key: str
    every: int = 1

    def __post_init__(self) -> None:
        """Refuse an upstream that cannot resume, or that has a checkpoint already."""
        Node.__post_init__(self)
        if self.inputs[0].settles:
            msg = (
                f"checkpoint at {self.origin} stands behind another checkpoint, and after a crash the two "
                "would disagree about where to go on. Leave one of them out."
            )
            raise GraphError(msg)
        require_resumable(self.inputs[0], f"checkpoint at {self.origin}")

    @property
    def settles(self) -> bool:
        """Everything behind this stands behind a checkpoint."""
        return True

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that opens the ledger, and its upstream from there, at the first request."""
        return _CheckpointStage(site, self)


class _CheckpointStage(Stage[Any]):
    def __init__(self, site: Site, node: Checkpoint) -> None:
        super().__init__(site)
        self._node = node
        self._inner: Stage[Any] | None = None
        self._errand = Errand(self.run)
        self._epoch = 0
        self._chunk = 0  # items of the last chunk
        self._arrived = 0  # how many, while upstream has not been asked for the next chunk
        self._acknowledged = 0  # how many of them have arrived where they were going
        self._settled = 0  # items acknowledged since the last commit
        self._marks: Marks | None = None  # where the acknowledged ones end
        self._ended = False
        self._failure: Failure | None = None
        self._sound = True  # whether the last commit that was begun worked

    def upstreams(self) -> Iterator[Stage[Any]]:
        if self._inner is not None:
            yield self._inner

    def marks(self) -> Marks:
        if self._inner is not None:
            inner, arrived = self._inner.marks(), self._arrived
            return (lambda i: inner(arrived + i)) if arrived else inner
        states = dict(self.site.states)
        return lambda _: states

    async def _request(self, n: int) -> list[Any]:
        if self._failure is not None:
            self._failure.throw()
        try:
            if self._inner is None:
                await self._open()
            self._acknowledge(self._chunk)
            self._arrived = self._chunk
            await self._errand.result()
            if self._settled >= self._node.every:
                await self._commit()
            self._chunk = self._acknowledged = self._arrived = 0
            items = await self._stage.request(n)
            self._chunk = len(items)
            if not items and not self._ended:
                self._ended = True  # said first: a request cancelled during the last commit has begun it
                self._marks = self._stage.marks()
                self._settled = max(self._settled, 1)
                await self._commit(finished=not self.run.draining)
        except Exception as error:
            if not self.run.over(error):
                self._failure = Failure(error)
            raise
        return items

    @property
    def _stage(self) -> Stage[Any]:
        if self._inner is None:
            msg = "a checkpoint was asked before it was opened"
            raise AssertionError(msg)
        return self._inner

    async def _open(self) -> None:
        if not self._errand.running:
            self._errand.begin(self._node.ledger.open(self._node.key), "checkpoint")
        opened = await self._errand.result()
        self._epoch = opened.epoch
        states = dict(self.site.states)
        if not states and opened.position is not None:
            states = states_of(self.site.vertex.inputs[0], opened.position)
        self._inner = self.site.input(states=states, tracked=True)

    def _acknowledge(self, count: int) -> None:
        """Take note that the first ``count`` items of the last chunk have arrived where they were going."""
        if count > self._acknowledged and self._inner is not None:
            marks = self._inner.marks()
            self._marks = lambda _: marks(count)  # looked at only when it is committed: it may be large
            self._settled += count - self._acknowledged
            self._acknowledged = count

    async def _commit(self, *, finished: bool = False) -> None:
        """Commit in a task; a cancelled request leaves it running, and the next one waits for it."""
        if self._settled and self._marks is not None:
            self._errand.begin(self._write(self._marks, finished=finished), "commit")
            self._settled = 0
            await self._errand.result()

    async def _write(self, marks: Marks, *, finished: bool) -> None:
        self._sound = False
        self._epoch += 1
        position = position_of(self.site.vertex.inputs[0], marks(0))
        await self._node.ledger.commit(self._node.key, Commit(self._epoch, position))
        if finished:
            await self._node.ledger.finish(self._node.key, "completed")
        self._sound = True

    async def settle(self, count: int) -> None:
        """Commit what downstream has acknowledged, now."""
        if self._inner is not None:
            self._acknowledge(min(count, self._chunk))
            await self._errand.result()
            await self._commit()

    async def _stop(self) -> None:
        await self._errand.finish()
        if self._settled and self._marks is not None and self._sound:
            await self._write(self._marks, finished=False)
