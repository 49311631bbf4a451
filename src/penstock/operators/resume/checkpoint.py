"""``checkpoint``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.abc import Commit, Ledger
from penstock.errors import GraphError
from penstock.operators.attach import attach
from penstock.runtime.arguments import at, positive, refuse, text_for
from penstock.runtime.errand import Errand
from penstock.runtime.failures import Failure
from penstock.runtime.graph import position_of, require_resumable, states_of
from penstock.runtime.node import Node, node
from penstock.runtime.stage import Stage, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.operators.attach import Same
    from penstock.runtime.node import Site
    from penstock.runtime.upstream import Marks, Upstream


def checkpoint(ledger: Ledger, *, key: str, every: int = 1) -> Same:
    """Start from the position that ``ledger`` stores for ``key``, and commit new positions there.

    A list of items is acknowledged by the next request or by ``settle()``. A position is committed when
    ``every`` or more items were acknowledged, and at the end. So after a crash, a ``break`` or ``aclose`` the
    last list comes again: at least once.

    Only ``map``, ``filter``, ``starmap``, ``flat_map``, ``choose``, ``tap`` and similar operators (``cast``,
    ``unwrap``, ``unbatch``) may follow. For a sink use ``into(sink, ledger=...)``, which is itself a
    checkpoint.

    Raises:
        NotResumable: upstream has no position; the message names the operator.
    """
    if not isinstance(ledger, Ledger):
        refuse(
            "checkpoint",
            "a Ledger",
            ledger,
            advice="For example: checkpoint(SqliteLedger('run.db'), key=...).",
        )
    text_for("checkpoint", "key", key)
    positive("checkpoint", "every", every)
    return attach(lambda node: Checkpoint(inputs=(node,), ledger=ledger, key=key, every=every))


@node
class Checkpoint(Node):
    """Commits the position behind the acknowledged items to a ledger (law 12)."""

    operator = "checkpoint"
    transparent = True
    restarts = True

    ledger: Ledger
    key: str
    every: int = 1

    def __post_init__(self) -> None:
        Node.__post_init__(self)
        if self.inputs[0].has_checkpoint:
            msg = (
                f"checkpoint{at(self.origin)} stands downstream of another checkpoint, and after a crash "
                "the two positions could disagree. Remove one of the two."
            )
            raise GraphError(msg)
        require_resumable(self.inputs[0], f"checkpoint{at(self.origin)}")

    @property
    def has_checkpoint(self) -> bool:
        return True


@runs(Checkpoint)
class _CheckpointStage(Stage[Any]):
    def __init__(self, site: Site, node: Checkpoint) -> None:
        super().__init__(site)
        self._node = node
        self._inner: Upstream[Any] | None = None
        self._errand = Errand(self.run)
        self._epoch = 0
        self._chunk = 0  # items of the last chunk
        self._arrived = 0  # items of it that were received, until upstream is asked for the next chunk
        self._acknowledged = 0  # items of it that were acknowledged
        self._settled = 0  # items acknowledged since the last commit
        self._marks: Marks | None = None  # behind the last acknowledged item
        self._ended = False
        self._failure: Failure | None = None
        self._sound = True  # whether the last commit succeeded

    def upstreams(self) -> Iterator[Upstream[Any]]:
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
                self._ended = (
                    True  # first: if this request is cancelled in its commit, the next does not repeat it
                )
                self._marks = self._stage.marks()
                self._settled = max(self._settled, 1)
                await self._commit(finished=not self.run.draining)
        except Exception as error:
            if not self.run.over(error):
                self._failure = Failure(error)
            raise
        return items

    @property
    def _stage(self) -> Upstream[Any]:
        if self._inner is None:
            msg = "a checkpoint was used before it was opened"
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
        """Remember that downstream acknowledged the first ``count`` items of the last chunk."""
        if count > self._acknowledged and self._inner is not None:
            marks = self._inner.marks()
            self._marks = lambda _: marks(count)  # evaluated only for a commit: it may be large
            self._settled += count - self._acknowledged
            self._acknowledged = count

    async def _commit(self, *, finished: bool = False) -> None:
        """Commit in a task. If this request is cancelled, the next one waits for the task."""
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
        if self._inner is not None:
            self._acknowledge(min(count, self._chunk))
            await self._errand.result()
            await self._commit()

    async def _stop(self) -> None:
        await self._errand.finish()
        if self._settled and self._marks is not None and self._sound:
            await self._write(self._marks, finished=False)
