"""The laws of a run under seeded schedules, with everything that can come at a bad moment.

Each seed draws one kind of run, its schedule of requests, how the sources wait, and which requests are
cancelled and when. What must hold of it are laws 3 to 8 and 10.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penstock.errors import ConcurrentRequestError, SubscriptionClosed
from penstock.testing.exploring import Explored, explore
from penstock.testing.laws.runs import alone, expected, is_subsequence, multiset_difference, require
from penstock.testing.laws.subject import LawViolation, judge
from penstock.testing.leaks import Leak, no_leaks
from penstock.testing.script import Planted, Raise, Sleep, Wait

if TYPE_CHECKING:
    from penstock.abc import Position, Subscription
    from penstock.testing.laws.subject import Subject, Trial

__all__ = ["racing"]

_PACES = (None, None, Wait(1), Wait(3), Sleep(1))
_SIZES = (1, 1, 2, 3, 100)
_LONG = 10_000.0


def racing(
    subject: Subject, *, seeds: int = 100, first: int = 0, skip: Collection[str] = (), **options: Any
) -> Explored:
    """Check runs of the subject under seeded schedules: whole, failing, closed, resumed, and two at once.

    Requests are cancelled and overlap now and then. What comes is compared as strictly as ``flow.order``
    says; of a *timed* flow only how it ends, because its items depend on time.

    Args:
        subject: What is checked; unless it has a pace, its sources wait as the seed says.
        seeds: How many seeds to try.
        first: The first of them.
        skip: Laws that do not apply: without ``cold`` no two runs, without ``position`` none is resumed,
            and without ``chunk_invariance`` no items are compared.
        options: Further arguments of ``SeededLoop``.

    Raises:
        RaceFound: a run broke a law, did not end, or left something behind; it names the law.
    """
    known = judge("racing", lambda: _known(subject, skip))
    kinds: list[_Kind] = [_whole, _closed, _failing]
    kinds += [_resumed] if known.resumable else []
    kinds += [_two_at_once] if "cold" not in skip else []
    return explore(lambda: _run(subject, known, kinds), seeds=seeds, first=first, **options)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a plain run of the subject says about all others."""

    wanted: list[Any]
    alone: list[list[Any]]
    order: str
    exact: bool
    resumable: bool
    comparable: bool


async def _known(subject: Subject, skip: Collection[str]) -> _Known:
    flow = subject.start().flow
    several = flow.order == "interleaved" and subject.keeps_order and len(subject.inputs) > 1
    apart = await alone(subject) if several else []
    resumable, comparable = flow.resumable and "position" not in skip, "chunk_invariance" not in skip
    return _Known(await expected(subject), apart, flow.order, flow.exact, resumable, comparable)


async def _run(subject: Subject, known: _Known, kinds: list[_Kind]) -> None:
    """Draw one run from ``random``, which a seed has set, and check it."""
    drawn = tuple(random.choices(_PACES, k=random.randint(1, 4)))  # noqa: S311  a schedule is no secret
    paced = subject.fed(*subject.inputs, pace=subject.pace or drawn)
    kind = random.choice(kinds)  # noqa: S311
    try:
        async with no_leaks(collect=False):
            await kind(paced, known)
            await asyncio.sleep(_LONG)
    except Leak as leak:
        raise LawViolation("closing", f"{kind.__name__[1:]} run: {leak}") from leak


_Kind = Callable[["Subject", _Known], Coroutine[Any, Any, None]]


class _Reader:
    """Reads a subscription with requests of drawn sizes, some of which are cancelled or intruded upon."""

    def __init__(self, subscription: Subscription[Any], patience: float) -> None:
        self.subscription = subscription
        self.patience = patience
        self.items: list[Any] = []
        self.end = "was stopped"
        self.error: BaseException | None = None

    async def read(self, requests: int = 1_000_000) -> None:
        """Read until the end, an error, or a stall; or as many requests as given."""
        for _ in range(requests):
            if self.end != "was stopped":
                return
            await self._request(random.choice(_SIZES))  # noqa: S311

    async def _request(self, n: int) -> None:
        pending = _asked(self.subscription, n)
        struck = random.random() < 0.3 and await self._cancelled(pending)  # noqa: PLR2004, S311
        done, _ = await asyncio.wait([pending], timeout=self.patience)
        if not done:
            pending.cancel()
            await asyncio.wait([pending])
            self.end = "waits for ever"
        elif pending.cancelled():
            require(struck, "cancel_safe", "a request was cancelled that nobody had cancelled")
        elif (error := pending.exception()) is not None:
            self.end, self.error = f"failed with {error!r}", error
        else:
            self._take(pending.result(), n, struck=struck)

    def _take(self, items: list[Any], n: int, *, struck: bool) -> None:
        text = "a cancelled request returned items instead of raising CancelledError"
        require(not struck, "cancel_safe", text, came=items)
        require(len(items) <= n, "demand", f"request({n}) returned {len(items)} items", came=items)
        self.items += items
        if not items:
            self.end = "completed"

    async def _cancelled(self, pending: asyncio.Task[list[Any]]) -> bool:
        """Cancel a request after some turns, or intrude on it; say whether it was cancelled in time."""
        for _ in range(random.randint(0, 6)):  # noqa: S311
            await asyncio.sleep(0)
        if random.random() < 0.5:  # noqa: PLR2004, S311
            return pending.cancel()
        if not pending.done() and _has_begun(pending):
            await self._intrude(pending)
        return False

    async def _intrude(self, pending: asyncio.Task[list[Any]]) -> None:
        intruder: Any = self.subscription.request(1)
        try:
            intruder.send(None)
        except ConcurrentRequestError:
            return
        except (StopIteration, SubscriptionClosed) as answer:
            message = f"a second request came to {answer!r} instead of being refused"
        else:
            intruder.close()
            message = "a second request waited instead of being refused at once"
        pending.cancel()
        await asyncio.wait([pending])
        require(holds=False, law="serial", message=message)


def _asked(subscription: Subscription[Any], n: int) -> asyncio.Task[list[Any]]:
    """Request in a task of its own; if a violation is found first, nobody will look at its outcome."""
    task = asyncio.create_task(subscription.request(n))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _has_begun(task: asyncio.Task[Any]) -> bool:
    """Whether a task has taken its first step, so that it waits for something now."""
    coroutine: Any = task.get_coro()
    return coroutine.cr_await is not None


async def _whole(subject: Subject, known: _Known) -> None:
    trial = subject.start()
    async with trial.flow.subscribe() as subscription:
        reader = _Reader(subscription, subject.patience)
        await reader.read()
        _expect_close(trial)
    _compare("chunk_invariance", subject, known, reader)
    _all_closed(trial)


async def _two_at_once(subject: Subject, known: _Known) -> None:
    trial = subject.start()
    async with trial.flow.subscribe() as first, trial.flow.subscribe() as second:
        readers = [_Reader(subscription, subject.patience) for subscription in (first, second)]
        await asyncio.gather(*(reader.read() for reader in readers))
        _expect_close(trial)
    for reader in readers:
        _compare("cold", subject, known, reader)
    _all_closed(trial)


async def _resumed(subject: Subject, known: _Known) -> None:
    came: list[Any] = []
    position: Position | None = None
    while True:
        trial = subject.start()
        flow = trial.flow
        async with flow.subscribe() if position is None else flow.subscribe(position) as subscription:
            reader = _Reader(subscription, subject.patience)
            await reader.read(random.randint(0, 4))  # noqa: S311
            position = json.loads(json.dumps(subscription.position))
            _expect_close(trial)
        _all_closed(trial)
        came += reader.items
        if reader.end != "was stopped":
            break
    reader.items = came
    if known.exact:
        _compare("position", subject, known, reader)


async def _closed(subject: Subject, known: _Known) -> None:  # noqa: ARG001  a kind of run
    trial = subject.start()
    subscription = trial.flow.subscribe()
    reader = _Reader(subscription, subject.patience)
    await reader.read(random.randint(0, 3))  # noqa: S311
    pending = _asked(subscription, random.choice(_SIZES))  # noqa: S311
    for _ in range(random.randint(0, 8)):  # noqa: S311
        await asyncio.sleep(0)
    answered = await _close(trial, subscription, pending)
    done, _ = await asyncio.wait([pending], timeout=_LONG)
    require(bool(done), "closing", "a pending request still waits after aclose")
    answer = pending.exception() or pending.result()
    text = f"a request that was pending came to {answer!r} instead of SubscriptionClosed"
    require(answered or isinstance(answer, SubscriptionClosed), "closing", text)
    answer = await _answer(subscription)
    text = f"after aclose a request came to {answer!r}"
    require(isinstance(answer, SubscriptionClosed), "closing", text)
    _all_closed(trial)


async def _close(trial: Trial, subscription: Subscription[Any], pending: asyncio.Task[Any]) -> bool:
    """Close once or twice at a time, or cancelled; say whether the request was over before it began."""
    answered: list[bool] = []

    async def close() -> None:
        answered.append(pending.done())
        await subscription.aclose()

    _expect_close(trial)
    closers = [asyncio.create_task(close()) for _ in range(random.randint(1, 2))]  # noqa: S311
    if random.random() < 0.3:  # noqa: PLR2004, S311
        await asyncio.sleep(0)
        closers[0].cancel()
    await asyncio.wait(closers)
    await close()
    return answered[0]


async def _failing(subject: Subject, known: _Known) -> None:
    places = list(subject.places())
    if not places:
        return
    failing = subject.ending(*random.choice(places), Raise())  # noqa: S311
    trial = failing.start()
    async with trial.flow.subscribe() as subscription:
        reader = _Reader(subscription, subject.patience)
        await reader.read()
        _expect_close(trial)
        if reader.error is not None:
            again = [await _answer(subscription) for _ in range(2)]
            text = f"after {reader.error!r} the next requests came to {again}"
            require(all(answer is reader.error for answer in again), "ending", text)
        position = subscription.position if known.resumable else None
    _all_closed(trial)
    if position is not None and known.exact and reader.error is not None:
        await _mended(subject, known, reader.items, position)
    foretold = failing.foretold()
    if foretold is None or known.order != "exact":
        return
    reader.end = "completed"
    _compare("prefix", failing, replace(known, wanted=foretold), reader)


async def _mended(subject: Subject, known: _Known, before: list[Any], position: Position) -> None:
    """Go on from where a run failed, on inputs that are whole."""
    async with subject.start().flow.subscribe(position) as subscription:
        rest = _Reader(subscription, subject.patience)
        await rest.read()
    rest.items = before + rest.items
    _compare("position", subject, known, rest)


async def _answer(subscription: Subscription[Any]) -> Any:
    try:
        return await subscription.request(1)
    except Exception as error:  # noqa: BLE001  compared by identity
        return error


def _expect_close(trial: Trial) -> None:
    for source in trial.sources:
        source.expect_close()


def _all_closed(trial: Trial) -> None:
    for source in trial.sources:
        counts = source.counts
        text = "a source was opened and not closed exactly once"
        require(counts.opened == counts.closed, "closing", text, opened=counts.opened, closed=counts.closed)
    text = "a cancelled request reached into the user's source: an exception was thrown at one of its waits"
    require(trial.subject.closes_early or not trial.interrupted, "cancel_safe", text)


def _compare(law: str, subject: Subject, known: _Known, reader: _Reader) -> None:
    """Hold what came against what was wanted; an error that is not planted is one too many."""
    if not known.comparable:
        return
    require(reader.error is None or isinstance(reader.error, Planted), law, f"the run {reader.end}")
    wanted, came = [[subject.same(item) for item in items] for items in (known.wanted, reader.items)]
    if known.order == "exact":
        require(wanted == came, law, f"the run {reader.end}", wanted=wanted, came=came)
    elif known.order == "lossy":
        require(is_subsequence(came, wanted), law, "this is no subsequence", wanted=wanted, came=came)
    elif known.order == "interleaved":
        missing, extra = multiset_difference(wanted, came)
        text = f"lost {missing!r}, gained {extra!r}; the run {reader.end}"
        require(not missing and not extra, law, text, wanted=wanted, came=came)
        for index, items in enumerate(known.alone):
            kept = is_subsequence([subject.same(item) for item in items], came)
            require(kept, law, f"the order of input {index} was not kept", wanted=items, came=came)
