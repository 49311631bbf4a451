"""How a shared run finds out that one of its subscribers is never read again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NoReturn

from penstock.runtime.arguments import positive
from penstock.runtime.failures import annotate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.operators.fanout.shared_run import SharedRun, SubscriberQueue
    from penstock.runtime.run import Run

PATIENCE = 30.0
"""Seconds for which a branch that nobody reads may hold the others back by default."""

FIRST_LOOK = 0.01
"""Seconds until a blocked run is looked at for the first time; each next look takes twice as long to come."""

LOOKS = 20  # the last one after three hours: then a test in virtual time may report a deadlock itself

NOBODY_JOINS = object()
"""Among the runs that do not move: assume that no further subscribers join."""

SLOW = "penstock: %s of %s is full and has held all others back for %s: its reader is slow or stuck"

log = logging.getLogger("penstock.fanout")


def patience_of(operator: str, patience: float | None) -> float | None:
    """Check the option ``patience``, and return it."""
    if patience is not None:
        positive(operator, "patience", patience, least=0, whole=False)
    return patience


class Watch:
    """Looks at a shared run while a full queue keeps it from serving the subscribers that wait.

    A slow reader is no fault: the others wait for it. The run fails in three cases. The graph that reads the
    full queue stands still, because it waits for another subscriber of the same shared run: this is certain,
    so the run fails at once. Nobody has begun to read the full queue for ``patience`` seconds. Or the task
    that read the full queue has waited for another subscriber for as long. Otherwise a warning is logged.
    """

    def __init__(self, patience: float | None) -> None:
        self._patience = patience
        self._since: float | None = None
        self._looks = 0
        self._warned = False

    def deadline(self, shared: SharedRun) -> float | None:
        """Return when to look again; ``None`` if nobody waits, or if another look would find nothing new.

        Raises:
            BranchStuck: the wait can never end, or has lasted for too long.
        """
        full = shared.full() if shared.demands.most() else []
        if not full:
            self._since, self._looks, self._warned = None, 0, False
            return None
        now = shared.loop.time()
        if self._since is None:
            self._since = now
        standing = frozenset({shared.run})
        self._refuse_circle(shared, full, standing)
        due = None
        if self._patience is not None and now < self._since + self._patience:
            due = self._since + self._patience
        elif self._patience is not None:
            self._refuse_circle(shared, full, standing | {NOBODY_JOINS})
            self._give_up(shared, full)
        return self._next_look(now, due)

    def _refuse_circle(
        self, shared: SharedRun, full: Sequence[SubscriberQueue], others: frozenset[object]
    ) -> None:
        """Fail if a run that reads a full queue waits for another subscriber, if ``others`` do not move."""
        for queue in full:
            if queue.owner is not None and _stands_still(queue.owner, others):
                other = _first(shared.waiting(), queue.owner).describe()
                what = f"waits for {other} first, which gets nothing before that"
                self._fail(shared, queue, f", and the flow that reads it {what}.")

    def _next_look(self, now: float, due: float | None) -> float | None:
        if self._looks >= LOOKS:
            return due
        look: float = now + FIRST_LOOK * 2**self._looks
        self._looks += 1
        return look if due is None else min(look, due)

    def _give_up(self, shared: SharedRun, full: Sequence[SubscriberQueue]) -> None:
        """Fail if the full queues will not be read. If that is not known, log a warning."""
        seconds = f"{self._patience:g} s"
        if all(queue.owner is None for queue in full):
            what = f" and holds all others back, but nobody has read from it for {seconds}."
            self._fail(shared, full[0], what)
        tasks = {queue.reader.task: queue for queue in shared.waiting() if queue.reader is not None}
        for queue in full:
            other = tasks.get(queue.reader.task) if queue.reader is not None else None
            if other is not None:
                what = f"has waited for {other.describe()} for {seconds}, which gets nothing before that"
                self._fail(shared, queue, f", and the task that read it {what}.")
        if not self._warned:
            self._warned = True
            log.warning(SLOW, full[0].describe(), shared.where, seconds)

    def _fail(self, shared: SharedRun, full: SubscriberQueue, what: str) -> NoReturn:
        error = full.error(
            f"{full.describe()} of {shared.where} is full ({full.capacity} items){what} {full.remedy}"
        )
        annotate(error, shared.where)
        raise error


def _stands_still(run: Run, others: frozenset[object]) -> bool:
    try:
        return run.stands_still(others)
    except RecursionError:  # some hundred shared runs, one feeding the other
        return False


def _first(waiting: Sequence[SubscriberQueue], owner: Run) -> SubscriberQueue:
    return next((queue for queue in waiting if queue.owner is owner), waiting[0])
