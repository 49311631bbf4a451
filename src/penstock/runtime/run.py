"""The state that all stages of a subscription share, and ``Gate``, where they wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.errors import SubscriptionClosed
from penstock.runtime.clock import clock_of_the_loop

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from penstock.abc import Clock

STRETCH = 0.005
"""Seconds that a run may keep the event loop without a pause (law 11)."""

SLICE = 0.001
"""Seconds that one slice of work should take; a shorter one is doubled, a longer one halved (law 11)."""

LARGEST_SLICE = 256

TURNS = 3  # a timer needs up to three turns of the loop: timer, future, task

CLOSED = "this subscription was closed with aclose(); subscribe to the flow again for a new run"


class Run:
    """The state shared by all stages of one subscription."""

    __slots__ = ("clock", "closed", "draining", "gates", "releases", "stretch", "tasks")

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or clock_of_the_loop()
        self.closed = False
        self.draining = False
        self.stretch = self.clock.monotonic()
        self.gates: dict[Gate, None] = {}  # in the order of waiting; the order of a set would be random
        self.tasks: set[asyncio.Task[Any]] = set()
        self.releases: list[asyncio.Task[None]] = []

    def strained(self) -> bool:
        """Whether this run has kept the event loop for longer than ``STRETCH``."""
        return self.clock.monotonic() - self.stretch > STRETCH

    async def breathe(self) -> None:
        """Pause for three turns of the event loop, so that other tasks can run."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.stretch = self.clock.monotonic()
        if self.closed:
            raise SubscriptionClosed(CLOSED)

    def over(self, error: BaseException) -> bool:
        """Return whether ``error`` means that *this* run was closed; it may come from another run."""
        return self.closed and isinstance(error, SubscriptionClosed)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a task that belongs to this run; the stage that starts it must stop it in ``aclose``."""
        task = asyncio.get_running_loop().create_task(work, name=f"penstock {name}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def release(self, closing: Coroutine[Any, Any, None]) -> None:
        """Close something in a task, so that no request waits for it; ``aclose`` raises errors of it."""
        task = self.spawn(closing, "release")
        self.releases.append(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Forget a release that succeeded: a run may release as many stages as it has items."""
        if not self.closed and not task.cancelled() and task.exception() is None:
            self.releases.remove(task)

    def wake(self) -> None:
        """Open every gate, so that each waiting request checks ``closed`` and ``draining`` again."""
        for gate in tuple(self.gates):
            gate.open()


class Gate:
    """A place where one task waits. It carries no item and no result: after it opens, check the state again.

    A ``request`` awaits only gates (law 7), so a cancelled request loses nothing.

    Closing the run opens the gates of requests. Gates ``for_task`` stay shut: the stage that owns the task
    cancels it, and ``aclose`` raises the errors that the task raises then.
    """

    __slots__ = ("_for_task", "_future", "_run")

    def __init__(self, run: Run, *, for_task: bool = False) -> None:
        self._run = run
        self._for_task = for_task
        self._future: asyncio.Future[None] | None = None

    async def wait(self, deadline: float | None = None) -> None:
        """Wait until the gate opens or the loop's time is ``deadline``."""
        run = self._run
        if run.closed:
            raise SubscriptionClosed(CLOSED)
        loop = asyncio.get_running_loop()
        future = self._future = loop.create_future()
        timer = loop.call_at(deadline, self.open) if deadline is not None else None
        if not self._for_task:
            run.gates[self] = None
        try:
            await future
        finally:
            run.gates.pop(self, None)
            self._future = None
            if timer is not None:
                timer.cancel()
        run.stretch = run.clock.monotonic()
        if run.closed:
            raise SubscriptionClosed(CLOSED)

    def open(self) -> None:
        """Wake the waiting task, if there is one."""
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)


class Pace:
    """How many inputs to process before looking at the clock: from 1, doubling to 256 while that is quick."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1

    def took(self, seconds: float) -> None:
        """Adapt the size to how long the last slice took."""
        if seconds < SLICE:
            if self.size < LARGEST_SLICE:
                self.size *= 2
        elif self.size > 1:
            self.size //= 2
