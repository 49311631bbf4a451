"""Laws 6 and 7: overlapping and cancelled requests lose nothing, and want nothing any more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.errors import ConcurrentRequestError
from penstock.testing.laws.runs import Outcome, collect, compare, expected, open_run, require
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.script import Forever, Sleep, Wait
from penstock.testing.time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.abc import Subscription
    from penstock.testing.laws.subject import Trial

__all__ = ["cancel_safe", "serial"]

_LONG = 10_000.0
_TURNS_TO_WITHDRAW = 5
_PACE = (Wait(2), None, Sleep(1))


def serial(subject: Subject, *, schedule: Sequence[int] = (2, 1)) -> None:
    """Law 6: a request while another is pending raises ``ConcurrentRequestError``, and harms nothing."""

    async def main() -> None:
        slow = subject.fed(*subject.inputs, pace=subject.pace or _PACE)
        wanted = await expected(slow)
        trial = slow.start()
        outcome = Outcome()
        async with open_run(trial.flow) as subscription:
            for n in cycle(schedule):
                batch = await _with_intruders(subscription, n, slow.patience, outcome)
                if not batch:
                    break
                outcome.items += batch
        if outcome.error is None and not outcome.stalled:
            await compare("serial", slow, trial.flow.order, wanted, outcome.items)

    judge("serial", main, schedule=schedule, subject=subject)


async def _with_intruders(
    subscription: Subscription[Any], n: int, patience: float, outcome: Outcome
) -> list[Any] | None:
    pending = asyncio.create_task(subscription.request(n))
    for _ in range(4):
        await asyncio.sleep(0)
        if pending.done():
            break
        _intrude(subscription)
    done, _ = await asyncio.wait([pending], timeout=patience)
    if not done:
        _intrude(subscription)
        pending.cancel()
        with suppress(asyncio.CancelledError):
            await pending
        outcome.stalled = True
        return None
    outcome.error = pending.exception()
    return None if outcome.error is not None else pending.result()


def _intrude(subscription: Subscription[Any]) -> None:
    """Request while another request is pending, right here: a task might start too late for that."""
    intruder: Any = subscription.request(1)  # a coroutine, promised as an awaitable
    try:
        intruder.send(None)
    except ConcurrentRequestError:
        return
    except StopIteration as answer:
        message = f"a second request answered {answer.value!r} instead of being refused"
    except Exception as error:  # noqa: BLE001  whatever else it is, it is not what was promised
        message = f"a second request came to {error!r} instead of ConcurrentRequestError"
    else:
        message = "a second request waited instead of being refused at once"
        intruder.close()
    require(holds=False, law="serial", message=message)


def cancel_safe(
    subject: Subject, *, schedule: Sequence[int] = (2, 1, 3), cuts: Sequence[int] | None = None
) -> None:
    """Law 7: a cancelled request loses nothing and repeats nothing, and its demand is withdrawn.

    Args:
        subject: What is checked; unless it has a pace, its sources wait now and then.
        schedule: What is requested, in turn; after a cancellation it goes on with the next.
        cuts: The turns of the loop at which the pending request is cancelled. If ``None``, every single
            turn of the run is tried, one run each.
    """
    slow = subject.fed(*subject.inputs, pace=subject.pace or _PACE)
    for chosen in _each_turn() if cuts is None else [tuple(cuts)]:
        reached = judge("cancel_safe", partial(_cut_run, slow, schedule, chosen), cuts=chosen, subject=slow)
        if cuts is None and not reached:
            break
    for turn in range(0, 40, 3) if cuts is None else cuts:
        judge("cancel_safe", partial(_withdraws, slow, turn), cuts=(turn,), subject=slow)


def _each_turn() -> Iterator[tuple[int, ...]]:
    return ((turn,) for turn in range(10_000))


class _Cutter:
    """Cancels the pending request at chosen turns of the loop, counted from the first request."""

    def __init__(self, cuts: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)  # noqa: S101  judge runs it on one
        self.pending: asyncio.Task[list[Any]] | None = None
        self.reached = 0
        self.cancelled = False
        for cut in cuts:
            loop.at_turn(loop.turns + cut, self.strike)

    def strike(self) -> None:
        self.reached += 1
        if self.pending is not None and self.pending.cancel():
            self.cancelled = True

    async def request(self, subscription: Subscription[Any], n: int, patience: float) -> list[Any] | None:
        """Request in a task that may be struck; ``None`` if it was."""
        self.cancelled = False
        self.pending = asyncio.create_task(subscription.request(n))
        done, _ = await asyncio.wait([self.pending], timeout=patience)
        task, self.pending = self.pending, None
        if not done:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            raise TimeoutError
        if task.cancelled():
            require(self.cancelled, "cancel_safe", "a request was cancelled that nobody had cancelled")
            return None
        if (error := task.exception()) is not None:
            raise error
        text = "a cancelled request returned items instead of raising CancelledError"
        require(not self.cancelled, "cancel_safe", text, came=task.result())
        return task.result()


async def _cut_run(subject: Subject, schedule: Sequence[int], cuts: Sequence[int]) -> bool:
    """Run to the end with cancellations at ``cuts``; say whether it lasted until then."""
    wanted = await expected(subject)
    trial = subject.start()
    outcome = Outcome()
    async with open_run(trial.flow) as subscription:
        cutter = _Cutter(cuts)
        try:
            for n in cycle(schedule):
                batch = await cutter.request(subscription, n, subject.patience)
                if batch == []:
                    break
                outcome.items += batch or []
        except TimeoutError:
            outcome.stalled = True
        except Exception as error:  # noqa: BLE001  a failing subject may be checked too
            outcome.error = error
        reached = cutter.reached > 0
        if not subject.closes_early:
            _check_untouched(trial)
    await compare("cancel_safe", subject, trial.flow.order, wanted, outcome.items)
    return reached


def _check_untouched(trial: Trial) -> None:
    text = "a cancelled request reached into the user's source: an exception was thrown at one of its waits"
    require(not trial.interrupted, "cancel_safe", text)


async def _withdraws(subject: Subject, turn: int) -> None:
    """Cancel one large request, then let time pass: hardly anything may be handed over any more."""
    trial = subject.start()
    async with open_run(trial.flow) as subscription:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)  # noqa: S101  judge runs it on one
        task = asyncio.create_task(subscription.request(1_000))
        loop.at_turn(loop.turns + turn, task.cancel)
        await asyncio.wait([task], timeout=subject.patience)
        if not task.done():
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
        if not task.cancelled():
            return
        for _ in range(_TURNS_TO_WITHDRAW):  # what was under way in the very turn of the cancellation
            await asyncio.sleep(0)
        before = trial.handed
        allowed = trial.flow.max_in_flight(1) + len(trial.sources)  # each may be working on one item
        for _ in range(3):
            await asyncio.sleep(_LONG)
        text = "the demand of a cancelled request was not withdrawn: the sources went on handing over"
        more = trial.handed - before
        require(subject.prefetches or more <= allowed, "cancel_safe", text, handed_on=more, allowed=allowed)
        await _still_goes_on(subject, subscription, trial.flow.order)


async def _still_goes_on(subject: Subject, subscription: Subscription[Any], order: str) -> None:
    """A run whose demand was withdrawn must wake up again."""
    wanted = await expected(subject)
    outcome = await collect(subscription, (2,), patience=subject.patience)
    stalls = any(isinstance(element, Forever) for script in subject.inputs for element in script)
    text = f"after a cancelled request the run {outcome.end} with {len(outcome.items)} of {len(wanted)} items"
    # a consumer that slept is not the instant one for which the items of a timed flow are known
    whole = outcome.completed if order in {"lossy", "timed"} else len(outcome.items) == len(wanted)
    require(stalls or whole, "cancel_safe", text)
