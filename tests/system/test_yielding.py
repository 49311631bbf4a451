"""Threads have their turns beside a busy loop."""

from __future__ import annotations

import asyncio
import gc
import os
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
from penstock.system import Worker
from penstock.system.threads import in_thread
from penstock.system.yielding import yielding_to_threads
from penstock.testing import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLS = 50
TURNS_PER_CALL = 100
"""Of 1 ms each; 5 are usual, and a thread that is starved needs thousands."""


def system_calls() -> int:
    """Give the interpreter's lock away CALLS times, as whoever reads, writes or asks a database does."""
    end, other = os.pipe()
    try:
        for _ in range(CALLS):
            os.write(other, b"x")
            os.read(end, 1)
    finally:
        os.close(end)
        os.close(other)
    return CALLS


async def by_worker() -> int:
    worker = Worker("test")
    try:
        return await worker.run(system_calls)
    finally:
        await worker.aclose(lambda: None)


async def by_executor() -> int:
    return await in_thread(system_calls)


async def by_operator() -> int:
    flow = ps.from_iterable([0]).map_thread(lambda _: system_calls())
    return await flow.first()


@pytest.mark.parametrize("work", [by_worker, by_executor, by_operator])
def test_a_busy_loop_starves_no_thread(work: Callable[[], Awaitable[int]]) -> None:
    """A loop that is busy for 1 ms again and again lets a thread make its system calls all the same."""

    async def main() -> int:
        task, turns = asyncio.ensure_future(work()), 0
        while not task.done():
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            turns += 1
            assert turns <= CALLS * TURNS_PER_CALL, "the thread is starved"
            await asyncio.sleep(0)
        assert task.result() == CALLS
        return turns

    assert asyncio.run(main()) > 0


def test_it_ends_with_the_last_thread_and_keeps_no_loop() -> None:
    """No timer is left when nobody is entered any more, however they were nested, and the loop is free to go."""
    loop = asyncio.new_event_loop()
    scheduled: list[Any] = loop._scheduled  # type: ignore[attr-defined]  # the timers, cancelled ones too

    async def main() -> None:
        with yielding_to_threads():
            with yielding_to_threads():
                pass
            assert [timer.cancelled() for timer in scheduled] == [False]
        assert all(timer.cancelled() for timer in scheduled)

    loop.run_until_complete(main())
    loop.close()
    gone = weakref.ref(loop)
    scheduled = []
    del loop
    gc.collect()
    assert gone() is None


def test_virtual_time_does_not_pass_by_it() -> None:
    """On a loop with a clock of its own nothing is set, which would move that."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        with yielding_to_threads():
            await asyncio.sleep(0)
            await asyncio.to_thread(time.sleep, 0.02)
        return loop.time()

    assert run(main()) == 0
