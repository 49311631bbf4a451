"""A loop in virtual time that draws its schedule from a seed; the same seed draws the same schedule.

The seed decides what asyncio leaves open, or what a busy machine would change:

* which ready *task step* runs next. Plain callbacks keep their order;
* how late a timer fires: up to ``jitter`` of its delay, never early. Otherwise different deadlines would
  never swap;
* how long a thread takes. A function for an executor runs on the loop itself, after some virtual time,
  and its result arrives after some more;
* when Penstock notices that it has kept the loop for too long (law 11), by the clock of this loop.

Tasks and futures are hashed by their numbers, because asyncio iterates over sets of them. Digests of
schedules differ between minor versions of Python. A test can still differ from run to run if it iterates
over sets of strings or of other objects that are hashed by their address, or uses real threads or sockets.
"""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from penstock.testing.decisions import Decider, decider_of
from penstock.testing.time import VirtualClock, VirtualTimeLoop, where

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_AMOUNTS = 8
_TURNS_TO_CLEAN_UP = 10_000
_STRAIN = 0.01
"""Seconds that one reading of the clock may add: twice as long as law 11 allows a stage to work."""


class Endless(RuntimeError):
    """A test did not end within the allowed number of turns of the loop."""


class SeededLoop(VirtualTimeLoop):
    """A virtual-time loop whose schedule is decided by ``seed``, or by ``decider``.

    Args:
        seed: Draws the decisions; 0 is the order of plain asyncio.
        decider: Decides instead of the seed.
        jitter: How late a timer may be, as a share of its delay.
        thread_seconds: How long a function in an executor may take before it starts, and again before its
            result arrives.
        most_turns: Turns of the loop after which ``Endless`` is raised.
        trace: A list that gets a line of text for each deviation from plain asyncio.

    ``deviations`` are the decisions so far that differ from plain asyncio, by their ordinals.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        decider: Decider | None = None,
        jitter: float = 0.5,
        thread_seconds: float = 0.1,
        most_turns: int = 1_000_000,
        trace: list[str] | None = None,
    ) -> None:
        self._decider = decider or decider_of(seed)
        self._jitter = jitter
        self._thread_seconds = thread_seconds
        self._most_turns = most_turns
        self._steps: list[_Step] = []
        self._context = Context()
        self._digest = 0
        self._strained = 0.0
        self._made = 0
        self._trace = trace
        self.deviations: dict[int, int] = {}
        self.task_numbers, self.future_numbers = count(1), count(1)
        super().__init__()
        self.clock = _StrainedClock(self.strain)
        self.set_task_factory(_Task.made_by)

    @property
    def digest(self) -> str:
        """Identifies the schedule so far: which task ran when."""
        return f"{self._digest & 0xFFFF_FFFF_FFFF_FFFF:016x}"

    # -- decisions

    def call_soon(  # type: ignore[override]  # typeshed spells the variadic types differently per version
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue ``callback``; a task's step may run before or after other ready steps."""
        task = getattr(callback, "__self__", None)
        if not isinstance(task, asyncio.Task) or not _is_step(callback):
            return super().call_soon(callback, *args, context=context)
        self._steps.append(_Step(task, callback, args, context or copy_context()))
        return super().call_soon(self._take_step, context=self._context)

    def _take_step(self) -> None:
        """Run one of the ready steps: each of them has queued one call of this method."""
        steps = self._steps
        at = 0
        if len(steps) > 1:
            at = self._decider.next_step([hash(step.task) for step in steps])
            self._note(at, _overtakes, steps)
            steps[:] = steps[at:] + steps[:at]  # the steps that were overtaken go last
        step = steps.pop(0)
        self._digest = hash((self._digest, hash(step.task), self.time()))
        step.context.run(step.callback, *step.args)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call ``callback`` at ``when``, or later by up to the jitter."""
        delay = when - self.time()
        if delay > 0 and self._jitter:
            when += delay * self._jitter * self._amount("a timer of %g s is late by %g of it", delay)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Any,  # noqa: ARG002  no executor is used
        func: Callable[..., T],
        *args: Any,
    ) -> asyncio.Future[T]:
        """Run ``func`` on the loop after some virtual time; its result arrives after some more."""
        future: asyncio.Future[T] = self.create_future()
        seconds = self._thread_seconds * self._amount("a thread starts")
        self.call_later(seconds, self._work, future, func, args)
        return future

    def _work(self, future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]) -> None:
        if future.cancelled():
            return
        result: Any = None
        failure: BaseException | None = None
        try:
            result = func(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except StopIteration as error:
            failure = RuntimeError(f"{func!r} raised {error!r}")  # a future refuses StopIteration
        except BaseException as error:  # noqa: BLE001  set on the future
            failure = error
        seconds = self._thread_seconds * self._amount("a thread ends")
        self.call_later(seconds, _deliver, future, result, failure)

    def strain(self) -> float:
        """Return the simulated seconds of work so far; now and then they grow."""
        strained = self._decider.seldom()
        self._note(strained, lambda *_: "the loop was kept for too long")
        self._strained += _STRAIN * strained
        return self._strained

    def _amount(self, what: str, *more: float) -> float:
        """Decide on a share between 0 and 1; plain asyncio is 0."""
        chosen = self._decider.amount(_AMOUNTS)
        share = chosen / _AMOUNTS
        self._note(chosen, lambda *_: what % (*more, share) if more else what)
        return share

    def _note(self, chosen: int, describe: Callable[..., str], *about: Any) -> None:
        if chosen:
            self.deviations[self._made] = chosen
            if self._trace is not None:
                self._trace.append(f"at {self.time():g} s: {describe(chosen, *about)}")
        self._made += 1

    # -- asyncio's hooks

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future that is hashed by its number."""
        return _Future(loop=self)

    def begin_turn(self) -> bool:
        """Count the turn, and raise ``Endless`` after too many."""
        if self.turns >= self._most_turns:
            self._most_turns += _TURNS_TO_CLEAN_UP
            running = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self)))
            raise Endless(f"not done after {self.turns} turns of the loop; still running: {running}")
        return super().begin_turn()


class _StrainedClock(VirtualClock):
    """A virtual clock on which work sometimes takes time."""

    def __init__(self, strain: Callable[[], float]) -> None:
        super().__init__()
        self._strain = strain

    def monotonic(self) -> float:
        return super().monotonic() + self._strain()


class _Step(NamedTuple):
    task: asyncio.Task[Any]
    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: Context


def _is_step(callback: Callable[..., object]) -> bool:
    """Whether this method of a task is its step or wakeup, and not ``cancel`` or another."""
    name = getattr(callback, "__name__", None)
    return name is None or name.endswith(("step", "wakeup"))


def _deliver(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():
        return  # it was cancelled
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)


def _overtakes(at: int, steps: list[_Step]) -> str:
    step, *overtaken = (f"{step.task.get_name()} (at {where(step.task)})" for step in steps[at::-1])
    return f"{step} goes before {' and '.join(overtaken)}"


class _Task(asyncio.Task[Any]):
    """A task that is hashed by its number."""

    def __init__(self, coro: Any, *, loop: SeededLoop, **options: Any) -> None:
        self.number = next(loop.task_numbers)  # before asyncio puts the task into a set
        options["name"] = options.get("name") or f"task {self.number}"
        super().__init__(coro, loop=loop, **options)

    @classmethod
    def made_by(cls, loop: Any, coro: Any, **options: Any) -> _Task:
        return cls(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class _Future(asyncio.Future[Any]):
    """A future that is hashed by its number."""

    def __init__(self, *, loop: SeededLoop) -> None:
        self.number = next(loop.future_numbers)
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number
