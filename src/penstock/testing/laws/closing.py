"""Law 8: closing works in every state, closes every source once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from functools import partial
from itertools import count, cycle
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.errors import SubscriptionClosed
from penstock.testing.laws.runs import collect, stop
from penstock.testing.laws.subject import LawViolation, Subject, judge, require
from penstock.testing.leaks import Leak, no_leaks
from penstock.testing.script import Forever, Planted, Raise, Sleep
from penstock.testing.time import virtual_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from penstock.abc import Subscription
    from penstock.testing.laws.subject import Trial
    from penstock.testing.script import Instruction

T = TypeVar("T")

_MOST_REQUESTS = 100_000


def closing(
    subject: Subject, *, schedule: Sequence[int] = (2, 1), turns: Sequence[int] | None = None
) -> None:
    """Law 8: ``aclose`` is idempotent, works in every state, and leaves nothing behind.

    Closes a run before its first request, between requests, after it completed, after it failed, and
    with a request pending, at each of ``turns`` of the loop, in ascending order, up to the end of the run
    (``None``: at every turn). With a request pending it closes once, twice at the same time, with the
    closing task cancelled, and with a source that takes time while it is closed. Each time every opened
    source must be closed once, requests must raise ``SubscriptionClosed``, and no task, generator or
    unretrieved exception may be left. ``async with`` must raise the error of its block, whatever happens
    in closing.
    """
    failing = subject.fed(*([*script, Raise()] for script in subject.inputs))
    states: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
        "unused": partial(_closed_after, subject, schedule, 0),
        "between requests": partial(_closed_after, subject, schedule, 2),
        "completed": partial(_closed_after, subject, schedule, _MOST_REQUESTS),
        "failed": partial(_closed_after, failing, schedule, _MOST_REQUESTS),
        "error in the block": partial(_closed_with_error, subject, schedule, ()),
        "errors in the block and in closing": partial(
            _closed_with_error, subject, schedule, (Raise(lambda: ValueError("close")),)
        ),
    }
    for state, closed in states.items():
        judge("closing", partial(_collected, closed), state=state, subject=subject)
    for how in (_plainly, _twice_at_once, _cancelled):
        for turn in count() if turns is None else turns:
            for on_close in ((), (Sleep(1),)):
                closed = partial(_closed_pending, subject, schedule, turn, how, on_close)
                replay = {"how": how.__name__[1:], "turns": (turn,), "on_close": on_close, "subject": subject}
                pending = judge("closing", partial(_leaving_nothing, closed), **replay)
            if not pending:
                break


async def _leaving_nothing(closed: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what ``closed()`` returns; raise if it leaves anything behind."""
    try:
        async with no_leaks():
            return await closed()
    except Leak as leak:
        raise LawViolation("closing", str(leak)) from leak


async def _collected(closed: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Do the same, and raise if the subscription to which ``closed()`` returns a reference still exists."""
    held = await _leaving_nothing(closed)
    text = "a closed subscription that nobody uses should be collected; something still refers to it"
    require(held is None or held() is None, "closing", text)


async def _closed_after(subject: Subject, schedule: Sequence[int], requests: int) -> Any:
    """Close a run after some requests; return a weak reference to it."""
    trial = subject.start()
    subscription = trial.flow.subscribe()
    patience = subject.patience if requests == _MOST_REQUESTS else 10
    outcome = await collect(subscription, schedule, requests=requests, patience=patience)
    trial.expect_close()
    await _close_twice(trial, subscription)
    text = "aclose before the first request should open no source; it did"
    require(requests > 0 or trial.opened == 0, "closing", text)
    fails = any(isinstance(element, Raise) for script in subject.inputs for element in script)
    if fails or outcome.error is not None:
        return None  # an error may be kept, and refers to the frames that it went through
    with suppress(TypeError):  # a class with slots may allow no weak reference
        return weakref.ref(subscription)
    return None


async def _closed_with_error(
    subject: Subject, schedule: Sequence[int], on_close: Sequence[Instruction]
) -> None:
    trial = subject.start(on_close=on_close)
    subscription = trial.flow.subscribe()
    planted = Planted("planted in the block")
    came: BaseException | None = None
    try:
        async with subscription:
            await collect(subscription, schedule, requests=2, patience=10)
            trial.expect_close()
            raise planted  # noqa: TRY301  an error of the user's block
    except BaseException as error:  # noqa: BLE001  compared by identity
        came = error
    text = f"async with should raise the error of its block; closing put {came!r} in its place"
    require(came is planted, "closing", text)
    await _close_twice(trial, subscription)


async def _close_twice(trial: Trial, subscription: Subscription[Any]) -> None:
    for _ in range(2):
        await subscription.aclose()
    await _after(trial, subscription)


async def _after(trial: Trial, subscription: Subscription[Any]) -> None:
    """Check the promises of every closed run."""
    for n in (1, 3):
        try:
            answer = await subscription.request(n)
        except SubscriptionClosed:
            continue
        except Exception as error:  # noqa: BLE001  any other error breaks the promise
            came = f"raised {error!r}"
        else:
            came = f"returned {answer!r}"
        raise LawViolation("closing", f"after aclose a request should raise SubscriptionClosed; it {came}")
    trial.require_closed()


async def _closed_pending(
    subject: Subject,
    schedule: Sequence[int],
    turn: int,
    how: Callable[[Subscription[Any]], Coroutine[Any, Any, None]],
    on_close: Sequence[Instruction],
) -> bool:
    """Close at a turn of the loop, while requests go on; return whether the run was still going by then."""
    scripts = [[*script, Forever()] for script in subject.inputs]
    trial = subject.fed(*scripts).slowed().start(on_close=on_close)
    loop = virtual_loop()
    subscription = trial.flow.subscribe()
    reader = asyncio.create_task(_read_on(subscription, schedule))
    closer = _Closer(partial(how, subscription), trial)
    loop.at_turn(loop.turns + turn, closer.strike)
    await asyncio.wait([reader], timeout=100)
    before_end = closer.task is not None
    await closer.strike()
    answer = await _answer_of(reader)
    text = f"aclose should make a pending request raise SubscriptionClosed; it raised {answer!r}"
    require(answer is None or isinstance(answer, SubscriptionClosed), "closing", text)
    await _after(trial, subscription)
    return before_end


class _Closer:
    """Closes a run in a task, once."""

    def __init__(self, close: Callable[[], Coroutine[Any, Any, None]], trial: Trial) -> None:
        self.close = close
        self.trial = trial
        self.task: asyncio.Task[None] | None = None

    def strike(self) -> asyncio.Task[None]:
        if self.task is None:
            self.trial.expect_close()
            self.task = asyncio.get_running_loop().create_task(self.close())
        return self.task


async def _read_on(subscription: Subscription[Any], schedule: Sequence[int]) -> None:
    for n in cycle(schedule):
        if not await subscription.request(n):
            return


async def _answer_of(reader: asyncio.Task[None]) -> BaseException | None:
    done, _ = await asyncio.wait([reader], timeout=1_000)
    if not done:
        await stop(reader)
        text = "aclose should make a pending request raise SubscriptionClosed; it still waits"
        raise LawViolation("closing", text)
    return reader.exception() if not reader.cancelled() else asyncio.CancelledError()


async def _plainly(subscription: Subscription[Any]) -> None:
    await subscription.aclose()
    await subscription.aclose()


async def _twice_at_once(subscription: Subscription[Any]) -> None:
    await asyncio.gather(subscription.aclose(), subscription.aclose())


async def _cancelled(subscription: Subscription[Any]) -> None:
    """Cancel the task that closes, then close again: the second ``aclose`` must wait for the first."""
    closer = asyncio.create_task(subscription.aclose())
    await asyncio.sleep(0)
    closer.cancel()
    with suppress(asyncio.CancelledError):
        await closer
    await subscription.aclose()
