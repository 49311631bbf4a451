"""Virtual time: exact sleeps, real threads, named deadlocks."""

from __future__ import annotations

import asyncio
import threading

import pytest

from penstock.testing import Deadlock, VirtualClock, VirtualTimeLoop, run


def test_hours_pass_at_once_and_to_the_second() -> None:
    """A sleep takes exactly its seconds on the loop's clock, however many."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        for seconds in (3600, 0.1, 86_400 * 400, 1e-6):
            await asyncio.sleep(seconds)
            times.append(loop.time())
        return times

    start, *later = run(main())
    assert start == 0
    far = 3600.1 + 86_400 * 400
    assert later == pytest.approx([3600, 3600.1, far, far + 1e-6], rel=1e-15)


def test_timers_fire_in_the_order_of_their_deadlines() -> None:
    """Tasks wake by deadline; those with the same deadline wake in the order in which they slept."""

    async def main() -> list[str]:
        order: list[str] = []

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            order.append(name)

        await asyncio.gather(sleeper("c", 3), sleeper("a", 1), sleeper("b", 2), sleeper("a2", 1))
        return order

    assert run(main()) == ["a", "a2", "b", "c"]


def test_a_tiny_sleep_far_from_zero_ends() -> None:
    """A deadline that is lost by rounding against a large clock still fires."""

    async def main() -> float:
        await asyncio.sleep(1e9)
        await asyncio.sleep(1e-9)
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1e9)


def test_a_timeout_is_virtual() -> None:
    """``asyncio.timeout`` ends at exactly its second."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(42):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run(main()) == 42


def test_threads_are_waited_for_and_take_no_virtual_time() -> None:
    """The result of a thread arrives although a timer is set, and the clock does not move."""
    gate = threading.Event()

    def work() -> int:
        gate.wait(10)
        return 7

    async def main() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(3600, lambda: None)
        thread = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.sleep(0)
        gate.set()
        result = await thread
        timer.cancel()
        return result, loop.time()

    assert run(main()) == (7, 0)


def test_a_deadlock_names_who_waits_and_where() -> None:
    """When nothing can run, the error names the task, the file and the function."""

    async def stuck_here() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        await asyncio.create_task(stuck_here(), name="the stuck one")

    with pytest.raises(Deadlock, match=r"the stuck one at .*test_time\.py:\d+ in stuck_here"):
        run(main())


def test_a_daemon_that_sleeps_is_no_deadlock() -> None:
    """While a timer is set the run goes on; tasks left behind are cancelled at its end."""
    ended: list[str] = []

    async def daemon() -> None:
        try:
            for _ in range(10_000):
                await asyncio.sleep(1)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        asyncio.create_task(daemon())  # noqa: RUF006  main leaves it behind
        await asyncio.sleep(1000)

    run(main())
    assert ended == ["cancelled"]


def test_hooks_run_before_their_turn_and_stop_the_clock() -> None:
    """A hook runs between two steps, and callbacks that it makes ready run before any timer."""

    async def main() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        task = asyncio.create_task(asyncio.sleep(100))
        turn = loop.turns + 1
        loop.at_turn(turn, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        return loop.time(), loop.turns - turn

    time, turns_later = run(main())
    assert time == 0
    assert turns_later <= 3


def test_the_clock_reads_the_loop() -> None:
    """``VirtualClock`` returns Unix time and monotonic time of the loop."""

    async def main() -> tuple[float, float]:
        clock = VirtualClock(epoch=500)
        await asyncio.sleep(2)
        return clock.time(), clock.monotonic()

    assert run(main()) == (502, 2)


def test_exceptions_are_raised_unchanged() -> None:
    """``run`` raises the exception of main."""

    async def main() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main())
