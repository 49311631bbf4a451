"""Virtual time: an event loop on which hours pass at once, and tests assert times as exact numbers.

``run(main())`` is ``asyncio.run`` on a loop whose clock stands still while a callback can run, and jumps
to the next timer when none can. When nothing can run and no timer is set, the run would hang for ever; it
raises ``Deadlock`` instead, which names the waiting tasks and their lines.

Threads and sockets are real. While the loop has work outside (``asyncio.to_thread``, an executor, a
registered socket) it really waits, and the clock moves only if the next timer really comes first.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.system.own_loop import loop_runs_here, run_in_own_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

_RESOLUTION = 1e-9
_ASYNCIO = str(Path(asyncio.__file__).parent)


class Deadlock(RuntimeError):
    """Nothing can run, no timer is set, and the main coroutine is not done."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that asks its loop to move the clock instead of waiting for time to pass."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        if loop.begin_turn():
            timeout = 0  # a hook may have made a callback ready, so the clock must not move
        if timeout is not None and timeout <= 0:
            return super().select(0)
        # The loop's own wake-up socket is always registered; a second one is a real input.
        if loop.outside_work or len(self.get_map()) > 1:
            arrived = super().select(timeout)
            if not arrived and timeout is not None:
                loop.advance(timeout)
            return arrived
        arrived = super().select(0)
        if arrived:
            return arrived
        if timeout is None:
            raise Deadlock(_describe_deadlock(loop))
        loop.advance(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The event loop behind ``run``; ``time()`` starts at 0 and is virtual.

    ``turns`` counts the iterations of the loop so far. ``at_turn`` calls a function right before one of
    them: between two steps of tasks, where a cancellation may come.

    Penstock's runs on this loop read ``clock``. So their timestamps are virtual, and their decisions that
    depend on time (how much to request, when to yield) are the same in every run. Computing takes no
    time, unless a test calls ``advance``.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._hooks: dict[int, list[Callable[[], object]]] = {}
        self.turns = 0
        self.outside_work = 0
        self.clock = VirtualClock()
        super().__init__(_JumpingSelector(self))
        self._clock_resolution = _RESOLUTION

    def time(self) -> float:
        """Return the virtual seconds since the loop was created."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += seconds
        # Far from 0 the sum may round to just before the deadline of a timer, which would then never fire.
        self._clock_resolution = max(_RESOLUTION, 4 * math.ulp(self._now))

    def at_turn(self, turn: int, hook: Callable[[], object]) -> None:
        """Call ``hook`` before iteration number ``turn`` (counted by ``turns``)."""
        self._hooks.setdefault(turn, []).append(hook)

    def begin_turn(self) -> bool:
        """Count one iteration and call its hooks; return whether there were any."""
        hooks = self._hooks.pop(self.turns, ())
        self.turns += 1
        for hook in hooks:
            hook()
        return bool(hooks)

    def run_in_executor(  # type: ignore[override]  # typeshed spells the variadic types differently per version
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run ``func`` in a real thread and really wait for it."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self.outside_work += 1
        future.add_done_callback(self._outside_work_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the executor's threads, in real time: asyncio starts a thread for it."""
        self.outside_work += 1
        try:
            await super().shutdown_default_executor(*(() if timeout is None else (timeout,)))
        finally:
            self.outside_work -= 1

    def _outside_work_done(self, _future: asyncio.Future[Any]) -> None:
        self.outside_work -= 1


class VirtualClock:
    """A ``penstock.abc.Clock`` that reads the running loop, for virtual timestamps."""

    def __init__(self, epoch: float = 1_000_000_000.0) -> None:
        self._epoch = epoch

    def __repr__(self) -> str:
        return f"VirtualClock({self._epoch})"

    def time(self) -> float:
        """Return ``epoch`` plus the loop's time, in Unix seconds."""
        return self._epoch + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        """Return the loop's time in seconds."""
        return asyncio.get_running_loop().time()


def run(main: Coroutine[Any, Any, T], *, loop_factory: Callable[[], VirtualTimeLoop] = VirtualTimeLoop) -> T:
    """Run ``main`` to its end in virtual time and return its result.

    Like ``asyncio.run``, it cancels tasks that ``main`` leaves behind. If an event loop is running already,
    as in a notebook, ``main`` runs in a thread, and the caller waits.

    Raises:
        Deadlock: nothing can run any more and ``main`` is not done.
    """
    if loop_runs_here():
        return run_in_own_loop(lambda: main, loop_factory)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def virtual_loop() -> VirtualTimeLoop:
    """Return the running loop, which must be one in virtual time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise RuntimeError("no loop in virtual time is running; start this with penstock.testing.run()")  # noqa: TRY004
    return loop


async def turns(count: int) -> None:
    """Let the event loop turn ``count`` times."""
    for _ in range(count):
        await asyncio.sleep(0)


def _describe_deadlock(loop: VirtualTimeLoop) -> str:
    waiting = [f"  {task.get_name()} at {where(task)}" for task in asyncio.all_tasks(loop)]
    return (
        f"deadlock at {loop.time():g} s of virtual time: nothing can run, no timer is set, and tasks wait:\n"
        + "\n".join(sorted(waiting))
    )


def where(task: asyncio.Task[Any]) -> str:
    """Return the innermost line of a task outside of asyncio, as ``file:line in function``."""
    awaited: Any = task.get_coro()
    place = "an unknown place"
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is None:
            break
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return place
