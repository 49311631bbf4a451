"""The seeded loop: what it reorders, what it keeps, and that a seed repeats its schedule."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest

import penstock.operators as op
from penstock.sources.from_iterable import from_iterable
from penstock.testing import Deadlock, Endless, SeededLoop, replay, run


async def workers(log: list[tuple[str, int]]) -> None:
    async def work(name: str) -> None:
        for step in range(3):
            await asyncio.sleep(0)
            log.append((name, step))

    await asyncio.gather(*(work(name) for name in "abc"))


def under(seed: int, main, **options):
    """Return the result of ``main`` under a seed, and the loop."""
    loop = SeededLoop(seed, **options)
    return run(main(), loop_factory=lambda: loop), loop


def test_seed_0_is_plain_asyncio() -> None:
    """Seed 0 has the schedule of plain asyncio."""
    plain: list[tuple[str, int]] = []
    seeded: list[tuple[str, int]] = []
    run(workers(plain))
    _, loop = under(0, partial(workers, seeded))
    assert seeded == plain
    assert loop.deviations == {}


def test_steps_of_tasks_change_places() -> None:
    """Seeds make many orders of the steps of several tasks; each task keeps its own order."""
    orders = set()
    for seed in range(100):
        log: list[tuple[str, int]] = []
        under(seed, partial(workers, log))
        assert [step for name, step in log if name == "a"] == [0, 1, 2]
        orders.add(tuple(log))
    assert len(orders) > 50


def test_plain_callbacks_keep_their_order() -> None:
    """Callbacks of ``call_soon`` run in the order of the calls, under every seed."""

    async def main() -> list[int]:
        log: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(10):
            loop.call_soon(log.append, number)
            asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: None)
        await asyncio.sleep(1)
        return log

    assert all(under(seed, main)[0] == list(range(10)) for seed in range(20))


def test_a_step_keeps_its_context() -> None:
    """A task that runs out of order keeps its own context variables."""

    async def main() -> bool:
        async def own(number: int) -> bool:
            variable.set(number)
            for _ in range(3):
                await asyncio.sleep(0)
            return variable.get() == number

        return all(await asyncio.gather(*(own(number) for number in range(5))))

    variable: ContextVar[int] = ContextVar("variable")
    assert all(under(seed, main)[0] for seed in range(20))


def test_timers_are_late_and_never_early() -> None:
    """A timer may be late by its jitter, so that near deadlines swap, but is never early."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def sleeper(seconds: float) -> tuple[float, float]:
            await asyncio.sleep(seconds)
            return loop.time() - began, seconds

        times = await asyncio.gather(sleeper(1), sleeper(1.2), sleeper(10))
        assert all(asked <= took <= asked * 1.5 + 1e-6 for took, asked in times)
        return [took for took, _ in times]

    came = [under(seed, main)[0] for seed in range(50)]
    assert any(first > second for first, second, _ in came)
    assert under(7, main, jitter=0)[0] == pytest.approx([1, 1.2, 10])


def test_threads_become_delays() -> None:
    """Functions for executors run on the loop without threads, in different orders."""

    async def main() -> tuple[int, ...]:
        order: list[int] = []

        def work(number: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            order.append(number)

        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(3)))
        return tuple(order)

    assert len({under(seed, main)[0] for seed in range(50)}) == 6


def test_an_exception_of_a_thread_is_raised() -> None:
    """Awaiting raises the exception of a function in an executor; ``StopIteration`` is wrapped."""

    async def main(error: BaseException) -> None:
        def work() -> None:
            raise error

        await asyncio.to_thread(work)

    with pytest.raises(ZeroDivisionError):
        under(3, partial(main, ZeroDivisionError()))
    with pytest.raises(RuntimeError, match="StopIteration"):
        under(3, partial(main, StopIteration()))


def test_a_cancelled_thread_may_run_or_not() -> None:
    """A function whose future was cancelled ran or not; its result is dropped."""

    async def main() -> int:
        ran: list[int] = []
        future = asyncio.get_running_loop().run_in_executor(None, ran.append, 1)
        await asyncio.sleep(0.05)
        future.cancel()
        await asyncio.sleep(1)
        assert future.done()
        return len(ran)

    assert {under(seed, main)[0] for seed in range(50)} == {0, 1}


def test_deadlock_and_endlessness_are_found() -> None:
    """A run that cannot go on, and one that never ends, raise errors that name the tasks."""

    async def stuck() -> None:
        await asyncio.get_running_loop().create_future()

    async def spinning() -> None:
        while True:  # noqa: ASYNC110  it should never end
            await asyncio.sleep(0)

    with pytest.raises(Deadlock, match="in stuck"):
        under(5, stuck)
    with pytest.raises(Endless, match="after 500 turns"):
        under(5, spinning, most_turns=500)


def race_of_flows() -> object:
    flow = from_iterable(range(20)) | op.map_async(later, 4, ordered=False) | op.buffer(2)
    return flow.merge(from_iterable(range(5)).buffer(3)).to_list()


async def later(x: int) -> int:
    await asyncio.sleep(random.random() * x)
    return x


def test_a_seed_gives_the_same_schedule_again() -> None:
    """The digest of a seed repeats, whatever else is in memory."""
    first = [digest_of(seed) for seed in range(30)]
    garbage = [object() for _ in range(1000)]
    assert [digest_of(seed) for seed in range(30)] == first
    assert len(set(first)) > 25
    del garbage


@pytest.mark.slow
def test_a_seed_gives_the_same_schedule_in_another_process() -> None:
    """Digests depend neither on addresses nor on the seed of string hashes."""
    code = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[1]); import test_seeded as t\n"
        "print([t.digest_of(seed) for seed in range(10)])"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }  # fmt: skip
    assert len(outs) == 1
    assert len(outs.pop()) > 100


def digest_of(seed: int) -> str:
    """Return the digest of the race of flows, and of a wait for a set of tasks."""
    seen: list[str] = []

    async def main() -> None:
        async def wait(seconds: float) -> None:
            await asyncio.sleep(seconds)

        await asyncio.wait({asyncio.create_task(wait(x % 3)) for x in range(9)})
        await race_of_flows()
        seen.append(asyncio.get_running_loop().digest)

    replay(main, seed)
    return seen[0]


def test_work_takes_time_now_and_then() -> None:
    """The clock of Penstock's work stands still, except for rare sudden steps."""

    async def main() -> list[float]:
        clock = asyncio.get_running_loop().clock
        return [clock.monotonic() for _ in range(300)]

    assert set(replay(main)) == {0}
    strained = replay(main, 5)
    assert strained == sorted(strained)
    assert 2 < len(set(strained)) < 30
