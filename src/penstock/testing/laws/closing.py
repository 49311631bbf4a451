"""Law 8: closing works in every state, reaches every source once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from penstock.errors import SubscriptionClosed
from penstock.testing.laws.runs import collect, require
from penstock.testing.laws.subject import Subject, judge
from penstock.testing.leaks import Leak, no_leaks
from penstock.testing.script import Forever, Planted, Raise, Sleep, Wait
from penstock.testing.time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from penstock.abc import Subscription
    from penstock.testing.laws.subject import Trial
    from penstock.testing.script import Instruction

__all__ = ["closing"]

_PACE = (Wait(2), None, Sleep(1))
_ALL_TURNS = 10_000


def closing(
    subject: Subject, *, schedule: Sequence[int] = (2, 1), turns: Sequence[int] | None = None
) -> None:
    """Law 8: ``aclose`` is idempotent, works in every state, and leaves nothing behind.

    Closed are: a run before its first request, one between requests, one that completed, one that
    failed, and one with a request pending, at each of ``turns`` of the loop, in ascending order, up to
    the end of the run (``None``: at every turn). Pending ones are closed plainly, twice at once, with the
    closing task cancelled, and with a source that takes time or fails while it is closed. Each time every
    opened source must be closed once, requests must raise ``SubscriptionClosed``, and no task, generator or
    unretrieved exception may be left. An error in flight must leave ``async with``, whatever closing does.
    """
    for state in (_unused, _between, _completed, _failed, _with_error, _with_error_and_failing_close):
        judge("closing", partial(_closed_in, state, subject, schedule), state=state.__name__, subject=subject)
    for how in (_plainly, _twice_at_once, _cancelled):
        for turn in range(_ALL_TURNS) if turns is None else turns:
            for on_close in ((), (Sleep(1),)):
                pending = judge(
                    "closing",
                    partial(_closed_pending, subject, schedule, turn, how, on_close),
                    how=how.__name__,
                    turn=turn,
                    on_close=on_close,
                    subject=subject,
                )
            if not pending:
                break


async def _closed_in(
    state: Callable[[Subject, Sequence[int]], Awaitable[tuple[Trial, Subscription[Any]]]],
    subject: Subject,
    schedule: Sequence[int],
) -> None:
    held: Any = None
    try:
        async with no_leaks():
            trial, subscription = await state(subject, schedule)
            for _ in range(2):
                await subscription.aclose()
            await _after(trial, subscription)
            if state not in _FAILING:
                with suppress(TypeError):  # a class with slots may allow no weak reference
                    held = weakref.ref(subscription)
            del subscription
    except Leak as leak:
        require(holds=False, law="closing", message=str(leak))
    text = "a closed subscription is still referred to, although nobody uses it any more"
    require(held is None or held() is None, "closing", text)


async def _unused(subject: Subject, _schedule: Sequence[int]) -> tuple[Trial, Subscription[Any]]:
    trial = subject.start()
    subscription = trial.flow.subscribe()
    await subscription.aclose()
    require(trial.opened == 0, "closing", "closing a run that was never asked opened its source")
    return trial, subscription


async def _between(subject: Subject, schedule: Sequence[int]) -> tuple[Trial, Subscription[Any]]:
    trial = subject.start()
    subscription = trial.flow.subscribe()
    await collect(subscription, schedule, requests=2, patience=10)
    _expect_close(trial)
    return trial, subscription


async def _completed(subject: Subject, schedule: Sequence[int]) -> tuple[Trial, Subscription[Any]]:
    trial = subject.start()
    subscription = trial.flow.subscribe()
    await collect(subscription, schedule, patience=subject.patience)
    _expect_close(trial)
    return trial, subscription


async def _failed(subject: Subject, schedule: Sequence[int]) -> tuple[Trial, Subscription[Any]]:
    scripts = [[*script, Raise()] for script in subject.inputs]
    return await _completed(subject.fed(*scripts), schedule)


async def _with_error(
    subject: Subject, schedule: Sequence[int], on_close: Sequence[Instruction] = ()
) -> tuple[Trial, Subscription[Any]]:
    trial = subject.start(on_close=on_close)
    subscription = trial.flow.subscribe()
    planted = Planted("planted in the block")
    try:
        await _fail_within(trial, subscription, schedule, planted)
    except BaseException as error:  # noqa: BLE001  compared by identity
        require(error is planted, "closing", f"closing masked the error in flight with {error!r}")
    else:
        require(holds=False, law="closing", message="closing swallowed the error in flight")
    return trial, subscription


async def _fail_within(
    trial: Trial, subscription: Subscription[Any], schedule: Sequence[int], error: Exception
) -> None:
    async with subscription:
        await collect(subscription, schedule, requests=2, patience=10)
        _expect_close(trial)
        raise error


async def _with_error_and_failing_close(
    subject: Subject, schedule: Sequence[int]
) -> tuple[Trial, Subscription[Any]]:
    return await _with_error(subject, schedule, on_close=(Raise(lambda: ValueError("planted in the close")),))


_FAILING = (_failed, _with_error, _with_error_and_failing_close)
"""States whose error may be kept by somebody, and refers to the frames that it went through."""


def _expect_close(trial: Trial) -> None:
    for source in trial.sources:
        source.expect_close()


async def _after(trial: Trial, subscription: Subscription[Any]) -> None:
    """Check what must hold of every closed run."""
    for n in (1, 3):
        try:
            answer = await subscription.request(n)
        except SubscriptionClosed:
            continue
        except Exception as error:  # noqa: BLE001  whatever else it is, it is not what was promised
            require(holds=False, law="closing", message=f"after aclose a request raised {error!r}")
        else:
            require(holds=False, law="closing", message=f"after aclose a request answered {answer!r}")
    for source in trial.sources:
        counts = source.counts
        text = "a source was opened and not closed exactly once"
        require(counts.opened == counts.closed, "closing", text, opened=counts.opened, closed=counts.closed)


async def _closed_pending(
    subject: Subject,
    schedule: Sequence[int],
    turn: int,
    how: Callable[[Subscription[Any]], Coroutine[Any, Any, None]],
    on_close: Sequence[Instruction],
) -> bool:
    """Close at a turn of the loop, while requests go on; say whether the run was not over by then."""
    scripts = [[*script, Forever()] for script in subject.inputs]
    trial = subject.fed(*scripts, pace=subject.pace or _PACE).start(on_close=on_close)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)  # noqa: S101  judge runs it on one
    before_end = False
    try:
        async with no_leaks():
            subscription = trial.flow.subscribe()
            reader = asyncio.create_task(_read_on(subscription, schedule))
            closer = _Closer(partial(how, subscription), trial)
            loop.at_turn(loop.turns + turn, closer.strike)
            await asyncio.wait([reader], timeout=100)
            before_end = closer.task is not None
            await closer.strike()
            answer = await _answer_of(reader)
            text = f"a pending request came to {answer!r} instead of SubscriptionClosed"
            require(answer is None or isinstance(answer, SubscriptionClosed), "closing", text)
            await _after(trial, subscription)
            del subscription, reader, answer, closer
    except Leak as leak:
        require(holds=False, law="closing", message=str(leak))
    return before_end


class _Closer:
    """Closes a run in a task, once."""

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]], trial: Trial) -> None:
        self.close = close
        self.trial = trial
        self.task: asyncio.Task[None] | None = None

    def strike(self) -> asyncio.Task[None]:
        if self.task is None:
            _expect_close(self.trial)
            self.task = asyncio.get_running_loop().create_task(self.close())
        return self.task


async def _read_on(subscription: Subscription[Any], schedule: Sequence[int]) -> None:
    for n in cycle(schedule):
        if not await subscription.request(n):
            return


async def _answer_of(reader: asyncio.Task[None]) -> BaseException | None:
    done, _ = await asyncio.wait([reader], timeout=1_000)
    if not done:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
        require(holds=False, law="closing", message="a pending request still waits after aclose")
    return reader.exception() if not reader.cancelled() else asyncio.CancelledError()


async def _plainly(subscription: Subscription[Any]) -> None:
    await subscription.aclose()
    await subscription.aclose()


async def _twice_at_once(subscription: Subscription[Any]) -> None:
    await asyncio.gather(subscription.aclose(), subscription.aclose())


async def _cancelled(subscription: Subscription[Any]) -> None:
    """Cancel the task that closes, then close again: that must wait for what is still going on."""
    closer = asyncio.create_task(subscription.aclose())
    await asyncio.sleep(0)
    closer.cancel()
    with suppress(asyncio.CancelledError):
        await closer
    await subscription.aclose()
