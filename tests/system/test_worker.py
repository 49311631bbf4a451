"""The thread for blocking calls."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from penstock.system import Worker


def fail():
    raise ValueError("no")


async def test_calls_are_made_in_order_on_one_thread():
    """Calls run in the order of ``run``, all on one thread, which is not the thread of the loop."""
    worker, made = Worker("test"), []
    calls = [worker.run(lambda n=n: made.append((n, threading.get_ident()))) for n in range(20)]
    await asyncio.gather(*calls)
    assert [n for n, _ in made] == list(range(20))
    assert len({thread for _, thread in made}) == 1
    assert made[0][1] != threading.get_ident()
    await worker.aclose(lambda: made.append("last"))
    assert made[-1] == "last"


async def test_results_and_errors_come_back():
    """``run`` returns the result or raises the error of its call; the next call runs."""
    worker = Worker("test")
    assert await worker.run(lambda: 7) == 7
    with pytest.raises(ValueError, match="no"):
        await worker.run(fail)
    assert await worker.run(lambda: 8) == 8
    await worker.aclose(lambda: None)


async def test_the_thread_starts_late_and_ends():
    """No thread runs before the first call or after closing."""
    worker = Worker("penstock-test")
    await worker.aclose(fail)

    def threads():
        return [thread for thread in threading.enumerate() if thread.name.startswith("penstock-test")]

    assert threads() == []
    await worker.run(lambda: None)
    (thread,) = threads()
    await worker.aclose(lambda: None)
    await worker.aclose(lambda: None)
    thread.join()
    assert threads() == []
    assert await worker.run(lambda: 9) == 9
    await worker.aclose(lambda: None)


async def cancelled(call):
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_cancelled_call_is_made_in_its_turn():
    """A cancelled call runs even if it still waited for its turn; the next call comes after it."""
    worker, made, gate = Worker("test"), [], threading.Event()
    await cancelled(worker.run(gate.wait))
    await cancelled(worker.run(lambda: made.append(1)))
    gate.set()
    await worker.run(lambda: made.append(2))
    assert made == [1, 2]
    await worker.aclose(lambda: None)


async def test_the_error_of_a_cancelled_call_is_raised_by_the_next():
    """The next ``run`` raises the error once, instead of making its own call."""
    worker, made, gate = Worker("test"), [], threading.Event()
    await cancelled(worker.run(gate.wait))
    await cancelled(worker.run(fail))
    gate.set()
    with pytest.raises(ValueError, match="no"):
        await worker.run(lambda: made.append(1))
    await worker.run(lambda: made.append(2))
    assert made == [2]
    await worker.aclose(lambda: None)


async def test_a_cancelled_close_goes_on_in_the_background():
    """The next thread begins when the previous one has ended."""
    worker, made, gate = Worker("test"), [], threading.Event()
    await cancelled(worker.run(gate.wait))
    await cancelled(worker.aclose(lambda: made.append("closed")))
    again = asyncio.ensure_future(worker.run(lambda: made.append("again")))
    closing = asyncio.ensure_future(worker.aclose(lambda: made.append("closed again")))
    await asyncio.sleep(0)
    assert made == []
    gate.set()
    await again
    await closing
    assert made == ["closed", "again", "closed again"]


def test_a_loop_that_ended_before_its_call():
    """The call still runs, and the next loop can use the worker."""
    worker, made, gate = Worker("test"), [], threading.Event()
    asyncio.run(cancelled(worker.run(gate.wait)))
    asyncio.run(cancelled(worker.run(lambda: made.append(1))))
    gate.set()
    asyncio.run(worker.run(lambda: made.append(2)))
    assert made == [1, 2]
    asyncio.run(worker.aclose(lambda: None))


def test_a_worker_that_is_collected_with_its_run_makes_the_last_call() -> None:
    """Its coroutine is dropped with the closed loop and closes it, as part of the garbage that is collected."""
    made: list[str] = []

    async def use(reached: asyncio.Event) -> None:
        worker = Worker("kept")
        me = [asyncio.current_task()]  # a cycle: the task, its coroutine, and this list
        me.append(me)  # type: ignore[arg-type]
        try:
            await worker.run(lambda: made.append("used"))
            reached.set()
            await asyncio.get_running_loop().create_future()
        finally:
            await worker.aclose(lambda: made.append("closed"))

    def leave() -> None:
        loop, reached = asyncio.new_event_loop(), asyncio.Event()
        task = loop.create_task(use(reached))
        loop.run_until_complete(reached.wait())
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()

    leave()
    gc.collect()
    assert made == ["used", "closed"]
