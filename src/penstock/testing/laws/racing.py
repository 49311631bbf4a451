"""Checks runs under seeded schedules, with cancellations, failures and closes at random moments.

Each seed draws one kind of run, its schedule of requests, the waits of its sources, and which requests
are cancelled and when. The runs are checked for laws 3 to 8 and 10.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.errors import SubscriptionClosed
from penstock.runtime.order import traits
from penstock.testing.exploring import Explored, explore
from penstock.testing.laws.runs import Outcome, alone, compare_items, expected, intrude, open_run, receive
from penstock.testing.laws.subject import LawViolation, judge, require
from penstock.testing.leaks import Leak, no_leaks
from penstock.testing.script import Planted, Raise, Sleep, Wait
from penstock.testing.time import turns

if TYPE_CHECKING:
    from penstock.abc import Position, Subscription
    from penstock.testing.laws.subject import Subject, Trial

_PACES = (None, None, Wait(1), Wait(3), Sleep(1))
_SIZES = (1, 1, 2, 3, 100)
_LONG = 10_000.0
_MOST_REQUESTS = 1_000_000


def racing(
    subject: Subject, *, seeds: int = 100, first: int = 0, skip: Collection[str] = (), **options: Any
) -> Explored:
    """Check runs of the subject under seeded schedules: whole, failing, closed, resumed, two at once.

    Some requests are cancelled, and some overlap. Items are compared as strictly as ``flow.order`` says.
    Of a *timed* flow only the end is checked, because its items depend on time.

    Args:
        subject: The subject; unless it has a pace, the seed decides how its sources wait.
        seeds: How many seeds to try.
        first: The first seed.
        skip: Laws that do not apply: without ``cold`` there are no two runs at once, without
            ``position`` no run is resumed, and without ``chunk_invariance`` no items are compared.
        options: Further arguments of ``SeededLoop``.

    Raises:
        RaceFound: a run broke a law, did not end, or left something behind.
    """
    known = judge("racing", lambda: _known(subject, skip))
    kinds: list[_Kind] = [_whole, _closed, _failing]
    kinds += [_resumed] if known.resumable else []
    kinds += [_two_at_once] if "cold" not in skip else []
    return explore(lambda: _run(subject, known, kinds), seeds=seeds, first=first, **options)


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts from a plain run of the subject, to which other runs are compared."""

    wanted: list[Any]
    alone: list[list[Any]]
    order: str
    resumable: bool
    comparable: bool


async def _known(subject: Subject, skip: Collection[str]) -> _Known:
    flow = subject.start().flow
    apart = await alone(subject) if flow.order == "interleaved" else []
    resumable, comparable = flow.resumable and "position" not in skip, "chunk_invariance" not in skip
    return _Known(await expected(subject), apart, flow.order, resumable, comparable)


async def _run(subject: Subject, known: _Known, kinds: list[_Kind]) -> None:
    """Draw one run from ``random``, which the seed has set, and check it."""
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
    """Reads a subscription with requests of random sizes; some are cancelled, and some overlap."""

    def __init__(self, subscription: Subscription[Any], patience: float) -> None:
        self.subscription = subscription
        self.patience = patience
        self.outcome = Outcome()

    async def read(self, requests: int = _MOST_REQUESTS) -> Outcome:
        """Read until the end, an error, a stall, or ``requests`` requests."""
        for _ in range(requests):
            if self.outcome.ended:
                break
            await self._request(random.choice(_SIZES))  # noqa: S311
        return self.outcome

    async def _request(self, n: int) -> None:
        before = len(self.outcome.items)
        pending = _asked(self.subscription, n)
        struck = random.random() < 0.3 and await self._strike(pending)  # noqa: PLR2004, S311
        await receive(self.outcome, pending, self.patience, struck=lambda: struck)
        came = len(self.outcome.items) - before
        require(came <= n, "demand", f"request({n}) should return at most {n} items; it returned {came}")

    async def _strike(self, pending: asyncio.Task[list[Any]]) -> bool:
        """Cancel a request after some turns, or overlap it; return whether it was cancelled in time."""
        await turns(random.randint(0, 6))  # noqa: S311
        if random.random() < 0.5:  # noqa: PLR2004, S311
            return pending.cancel()
        coroutine: Any = pending.get_coro()
        if not pending.done() and coroutine.cr_await is not None:  # it has begun, and waits
            intrude(self.subscription)
        return False


def _asked(subscription: Subscription[Any], n: int) -> asyncio.Task[list[Any]]:
    """Request in a task. Its exception counts as retrieved, as a violation may be raised before it is."""
    task = asyncio.create_task(subscription.request(n))
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


@asynccontextmanager
async def _reading(subject: Subject, position: Position | None = None) -> AsyncIterator[_Reader]:
    """Yield a reader of a fresh run; then close the run, and check its sources."""
    trial = subject.start()
    async with open_run(trial.flow, position) as subscription:
        yield _Reader(subscription, subject.patience)
        trial.expect_close()
    _check_sources(trial)


async def _whole(subject: Subject, known: _Known) -> None:
    async with _reading(subject) as reader:
        outcome = await reader.read()
    _compare("chunk_invariance", subject, known, outcome)


async def _two_at_once(subject: Subject, known: _Known) -> None:
    trial = subject.start()
    async with trial.flow.subscribe() as first, trial.flow.subscribe() as second:
        readers = [_Reader(subscription, subject.patience) for subscription in (first, second)]
        outcomes = await asyncio.gather(*(reader.read() for reader in readers))
        trial.expect_close()
    for outcome in outcomes:
        _compare("cold", subject, known, outcome)
    _check_sources(trial)


async def _resumed(subject: Subject, known: _Known) -> None:
    items: list[Any] = []
    position: Position | None = None
    outcome = Outcome()
    while not outcome.ended:
        async with _reading(subject, position) as reader:
            outcome = await reader.read(random.randint(0, 4))  # noqa: S311
            position = json.loads(json.dumps(reader.subscription.position))
        items += outcome.items
    outcome.items = items
    _compare("position", subject, known, outcome)


async def _closed(subject: Subject, known: _Known) -> None:  # noqa: ARG001  a kind of run
    trial = subject.start()
    subscription = trial.flow.subscribe()
    await _Reader(subscription, subject.patience).read(random.randint(0, 3))  # noqa: S311
    pending = _asked(subscription, random.choice(_SIZES))  # noqa: S311
    await turns(random.randint(0, 8))  # noqa: S311
    answered = await _close(trial, subscription, pending)
    done, _ = await asyncio.wait([pending], timeout=_LONG)
    text = "aclose should make a {} request raise SubscriptionClosed; it {}"
    require(bool(done), "closing", text.format("pending", "still waits"))
    answer = pending.exception() or pending.result()
    came = text.format("pending", f"came to {answer!r}")
    require(answered or isinstance(answer, SubscriptionClosed), "closing", came)
    answer = await _answer(subscription)
    came = text.format("later", f"came to {answer!r}")
    require(isinstance(answer, SubscriptionClosed), "closing", came)
    _check_sources(trial)


async def _close(trial: Trial, subscription: Subscription[Any], pending: asyncio.Task[Any]) -> bool:
    """Close once or twice at a time, or cancelled; return whether the request was over before that."""
    answered: list[bool] = []

    async def close() -> None:
        answered.append(pending.done())
        await subscription.aclose()

    trial.expect_close()
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
    async with _reading(failing) as reader:
        outcome = await reader.read()
        if outcome.error is not None:
            again = [await _answer(reader.subscription) for _ in range(2)]
            text = f"after {outcome.error!r} each request should raise that same object; they came to {again}"
            require(all(answer is outcome.error for answer in again), "ending", text)
        position = reader.subscription.position if known.resumable else None
    if position is not None and outcome.error is not None:
        async with _reading(subject, position) as reader:  # on inputs that do not fail
            rest = await reader.read()
        rest.items = outcome.items + rest.items
        _compare("position", subject, known, rest)
    foretold = failing.foretold()
    if foretold is not None and known.order == "exact":
        _compare("prefix", failing, known, outcome, foretold)


async def _answer(subscription: Subscription[Any]) -> Any:
    try:
        return await subscription.request(1)
    except Exception as error:  # noqa: BLE001  compared by identity
        return error


def _check_sources(trial: Trial) -> None:
    trial.require_closed()
    trial.require_untouched()


def _compare(
    law: str, subject: Subject, known: _Known, outcome: Outcome, wanted: list[Any] | None = None
) -> None:
    """Compare the items with ``wanted``, or those of the plain run; only a planted error may end a run."""
    if not known.comparable:
        return
    note = f"; the run {outcome.end}"
    require(outcome.error is None or isinstance(outcome.error, Planted), law, f"an unexpected error{note}")
    if "timed" not in traits(known.order):
        items = known.wanted if wanted is None else wanted
        compare_items(law, subject, known.order, items, outcome.items, alone=known.alone, note=note)
