"""The state that all stages of a subscription share, and ``Gate``, where they wait."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

from penstock.errors import SubscriptionClosed
from penstock.runtime.clock import clock_of_the_loop
from penstock.runtime.failures import CLOSED, Failure
from penstock.runtime.tasks import start_task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from penstock.abc import Clock
    from penstock.runtime.node import Node, Vertex

STRETCH = 0.005
"""Seconds that a run may keep the event loop without a pause (law 11)."""

SLICE = 0.001
"""Seconds that one slice of work should take; a shorter one is doubled, a longer one halved (law 11)."""

LARGEST_SLICE = 256

TURNS = 3  # a timer needs up to three turns of the loop: timer, future, task

_running_in: ContextVar[tuple[object, Any] | None] = ContextVar("penstock_running_in", default=None)
"""The marks of the runs whose tasks this code runs in; the tasks that user code starts inherit them.

The mark of the innermost run comes first, then those of the others in the same form: there may be thousands.
"""


class HotInput(Protocol):
    """A stage that misses items if it begins late: it begins with the first request of its run."""

    def enter(self) -> None:
        """Begin, without awaiting; if this takes time, tell ``Run.entering``."""
        ...


class Releasable(Protocol):
    """Something that a run can close before its end."""

    @property
    def instant(self) -> bool:
        """Whether closing it waits for nothing."""
        ...

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Close it."""
        ...


class Run:
    """The state shared by all stages of one subscription."""

    __slots__ = (
        "_hot", "_mark", "_resumed", "at_close", "begun", "clock", "closed", "draining", "drivers",
        "entering", "failure", "gates", "on_failure", "releases", "root", "stretch", "tasks",
        "without_position",
    )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Run: {'closed' if self.closed else 'begun' if self.begun else 'new'}>"

    def __init__(self, clock: Clock | None = None) -> None:
        self.root: Vertex | None = None
        """The last vertex of the graph that this run runs."""
        self.clock = clock or clock_of_the_loop()
        self.closed = False
        self.draining = False
        self.failure: Failure | None = None
        """Why a task of this run died. Every request that waits, or would wait, raises it."""
        self.on_failure: Callable[[Failure], None] | None = None
        self.without_position = ""
        """Why this run has no position any more, if a flow built at run time has taken it."""
        self.stretch = self.clock.monotonic()
        self.gates: dict[Gate, None] = {}  # in the order of waiting; the order of a set would be random
        self.drivers = 1
        """How many tasks that are not among ``tasks`` request from the last stage."""
        self.begun = False
        """Whether the first request has begun; a run that is drained before does not begin."""
        self.entering: dict[asyncio.Future[None], None] = {}
        """Hot inputs that may still miss items, although they have begun."""
        self.at_close: list[Callable[[], Awaitable[None]]] = []
        """What ``aclose`` calls after it has closed all stages."""
        self._hot: list[ref[HotInput]] | None = []  # weak, because a stage holds its run; None once begun
        self.releases: dict[asyncio.Task[None], None] = {}
        self._mark = object()
        self._resumed = False  # whether a task has continued behind a pause in the present turn of the loop
        self.tasks: set[asyncio.Task[Any]] = set()  # without those that the run has cancelled

    def strained(self) -> bool:
        """Whether this run has kept the event loop for longer than ``STRETCH``."""
        return self.clock.monotonic() - self.stretch > STRETCH

    async def breathe(self) -> None:
        """Pause for three turns of the event loop, so that other tasks can run.

        Several tasks of this run may pause at once. In each turn they continue only as long as ``STRETCH``.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0)
        while self._resumed and self.strained():  # noqa: ASYNC110  the event would be the next turn
            await asyncio.sleep(0)
        if not self._resumed:
            self._resumed = True
            self.stretch = self.clock.monotonic()
            asyncio.get_running_loop().call_soon(self._turn_is_over)
        if self._is_over and asyncio.current_task() in self.tasks:
            await self.until_cancelled()
        self.check()

    def _turn_is_over(self) -> None:
        self._resumed = False

    @property
    def _is_over(self) -> bool:
        return self.closed or self.failure is not None

    async def until_cancelled(self) -> None:
        """Wait, in a task of this run that is over, until the stage that owns the task cancels it.

        If the task ended by an error of its own, the cancellation could come while a generator of the user
        awaits something in its ``finally``, and would cut that short.
        """
        await asyncio.get_running_loop().create_future()

    def check(self) -> None:
        """Raise ``SubscriptionClosed`` if the run was closed, or the error of a task that died."""
        if self.closed:
            raise SubscriptionClosed(CLOSED)
        if self.failure is not None:
            self.failure.throw()

    def over(self, error: BaseException) -> bool:
        """Return whether ``error`` means that *this* run was closed; it may come from another run."""
        return self.closed and isinstance(error, SubscriptionClosed)

    def expect(self, stage: HotInput) -> None:
        """Let ``stage`` enter when the first request begins, if none has begun yet."""
        if self._hot is not None:
            self._hot.append(ref(stage))

    def begin(self) -> None:
        """Let all hot inputs enter, before the first request awaits anything."""
        if self.begun or self.draining:
            return
        self.begun = True
        for node in self.shared_nodes():
            node.reserve(self)
        for one in self._hot or ():  # a stage that enters may start others
            if (stage := one()) is not None:
                stage.enter()
        self._hot = None

    def enters(self, future: asyncio.Future[None]) -> None:
        """Remember an input that has begun, until ``future`` says that it can miss no item any more."""
        if not future.done():
            self.entering[future] = None
            future.add_done_callback(lambda _: self.entering.pop(future, None))

    def shared_nodes(self) -> Iterator[Node]:
        """Yield the nodes of the graph that read from a shared run, also those that start later."""
        vertices = () if self.root is None else self.root.within()
        return (vertex.node for vertex in vertices if vertex.node.shared)

    def stands_still(self, others: frozenset[object]) -> bool:
        """Return whether nothing in this run ever moves again, if none of the runs in ``others`` does.

        That is so if a request waits, and every task of the run waits too, at gates that only these tasks or
        ``others`` open. ``False`` may also mean that this is not known.
        """
        if self in others:
            return True
        others |= {self}
        return sum(gate.still(others) for gate in self.gates) >= len(self.tasks) + self.drivers

    def inside(self) -> bool:
        """Return whether the caller runs in a task of this run, or in one that such a task started."""
        within = _running_in.get()
        while within is not None and within[0] is not self._mark:
            within = within[1]
        return within is not None

    def spawn(
        self, work: Coroutine[Any, Any, Any], name: str, *, result_is_read: bool = False
    ) -> asyncio.Task[Any]:
        """Start a task that belongs to this run; the stage that starts it must stop it in ``aclose``.

        A task that dies fails the run, so that no request waits for it for ever: it raises an error, or
        somebody cancels it without ``cancel``. A stage may read the result itself (``result_is_read``); then
        an ``Exception`` of the task does not fail the run.
        """
        outer = _running_in.get()
        token = _running_in.set(outer if outer and outer[0] is self._mark else (self._mark, outer))
        try:
            task = start_task(work, f"penstock {name}")
        finally:
            _running_in.reset(token)
        self.tasks.add(task)
        task.add_done_callback(self._result_read if result_is_read else self._ended)
        return task

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task of this run, on purpose."""
        self.tasks.discard(task)
        task.cancel()

    def _result_read(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and isinstance(task.exception(), Exception):
            self.tasks.discard(task)  # the stage raises it
        else:
            self._ended(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        on_purpose = task not in self.tasks
        self.tasks.discard(task)
        if task.cancelled():
            if not on_purpose:
                what = "was cancelled from outside, or user code in it raised CancelledError"
                self.fail(RuntimeError(f"the task {task.get_name()!r} {what}"))
        elif (error := task.exception()) is not None and not (on_purpose and isinstance(error, Exception)):
            self.fail(error)  # an Exception of a task that was cancelled on purpose is raised by ``stop``

    def has_raised(self, error: BaseException | None) -> bool:
        """Return whether a request has raised ``error``, of a task that died."""
        return self.failure is not None and self.failure.thrown and self.failure.error is error

    def fail(self, error: BaseException) -> None:
        """End the run with ``error``: all requests raise it, at once."""
        if self.closed or self.failure is not None:
            return  # aclose raises the errors of the tasks that it stops
        self.failure = Failure(error)
        self.wake()
        if self.on_failure is not None:
            self.on_failure(self.failure)

    def release(self, stage: Releasable) -> None:
        """Close something, so that no request waits for it; ``aclose`` raises errors of it.

        That needs a task, unless the closing waits for nothing.
        """
        closing = stage.aclose()
        if stage.instant:
            try:
                closing.send(None)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001  a task raises it, for ``aclose``
                closing = _raising(error)
        task = self.spawn(closing, "release", result_is_read=True)
        self.releases[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Forget a release that succeeded: a run may release as many stages as it has items."""
        if not self.closed and not task.cancelled() and task.exception() is None:
            self.releases.pop(task, None)

    def wake(self) -> None:
        """Open every gate, so that each waiting request checks the state of the run again."""
        for gate in tuple(self.gates):
            if not gate.for_task:
                gate.open()


async def _raising(error: Exception) -> None:
    raise error


class Gate:
    """A place where one task waits. It carries no item and no result: after it opens, check the state again.

    A ``request`` awaits only gates (law 7), so a cancelled request loses nothing. A gate that was opened
    while nobody waited lets the next ``wait`` pass at once: with eager tasks, the work may be done before
    the request that started it waits.

    Closing the run opens the gates of requests. Gates ``for_task`` stay shut: the stage that owns the task
    cancels it, and ``aclose`` raises the errors that the task raises then.

    A gate that only code of its own run opens is ``own``: see ``Run.stands_still``.
    """

    __slots__ = ("_future", "_opened", "_own", "_timed", "for_task", "run")

    def __init__(self, run: Run, *, for_task: bool = False, own: bool = False) -> None:
        self.run = run
        self.for_task = for_task
        self._own = own
        self._timed = False
        self._future: asyncio.Future[None] | None = None
        self._opened = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'waiting' if self._future is not None else 'idle'}>"

    def still(self, others: frozenset[object]) -> bool:  # noqa: ARG002  for subclasses
        """Return whether a task waits here for ever, if none of the runs in ``others`` moves."""
        return self._own and not self._timed and self._future is not None and not self._future.done()

    async def wait(self, deadline: float | None = None) -> None:
        """Wait until the gate opens or the loop's time is ``deadline``."""
        run = self.run
        if run.closed or run.failure is not None:
            await self._leave()
        if self._opened:
            self._opened = False
            return
        loop = asyncio.get_running_loop()
        future = self._future = loop.create_future()
        timer = loop.call_at(deadline, self.open) if deadline is not None else None
        self._timed = timer is not None
        run.gates[self] = None
        try:
            await future
        finally:
            run.gates.pop(self, None)
            self._future = None
            if timer is not None:
                timer.cancel()
        run.stretch = run.clock.monotonic()
        if run.closed or run.failure is not None:
            await self._leave()

    async def _leave(self) -> None:
        """End the wait in a run that is over."""
        if self.for_task:
            await self.run.until_cancelled()
        self.run.check()

    def open(self) -> None:
        """Wake the waiting task, or let the next one pass."""
        future = self._future
        if future is None:
            self._opened = True
        elif not future.done() and not future.get_loop().is_closed():  # closed in mid-run: nobody wakes
            future.set_result(None)


class Pace:
    """How many inputs to process before looking at the clock: from 1, doubling to 256 while that is quick.

    Work that calls no function of the user may begin with more than 1.
    """

    __slots__ = ("size",)

    def __init__(self, size: int = 1) -> None:
        self.size = size

    def took(self, seconds: float) -> None:
        """Adapt the size to how long the last slice took."""
        if seconds < SLICE:
            if self.size < LARGEST_SLICE:
                self.size *= 2
        elif self.size > 1:
            self.size //= 2
