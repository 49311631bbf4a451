"""``map_process`` with real processes: pickling, errors, processes that die, and closing."""

from __future__ import annotations

import asyncio
import functools
import operator
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock.operators as op
from penstock import from_iterable
from penstock.errors import GraphError, WorkerDied
from penstock.testing import TestSource

HUNDRED = functools.partial(operator.add, 100)


def children() -> set[int]:
    """Return the processes that this one has started and that still run."""
    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


async def started(count: int, before: set[int]) -> set[int]:
    """Wait until there are ``count`` new processes, and return them."""
    while len(new := children() - before) < count:  # noqa: ASYNC110  the system sets no event
        await asyncio.sleep(0.01)
    return new


async def read(subscription: Any, out: list[Any]) -> None:
    while items := await subscription.request(10):
        out += items


@settings(max_examples=8)
@given(st.lists(st.integers(), max_size=200), st.integers(1, 3), st.booleans())
def test_it_is_map(items: list[int], processes: int, ordered: bool) -> None:
    """It yields all results, in order if ``ordered``, and leaves no process behind."""

    async def main() -> list[int]:
        return await from_iterable(items).map_process(HUNDRED, processes, ordered=ordered).to_list()

    before = children()
    came = asyncio.run(main())
    assert (came if ordered else sorted(came)) == [x + 100 for x in (items if ordered else sorted(items))]
    assert children() == before


@pytest.mark.slow
@settings(max_examples=5)
@given(st.integers(0, 30), st.lists(st.integers(0, 6), max_size=3), st.booleans())
def test_a_run_can_be_cut_anywhere_and_resumed(total: int, cuts: list[int], ordered: bool) -> None:
    """Law 10 with real processes; the catalogue checks all laws without processes, in virtual time."""

    async def main() -> list[int]:
        flow = from_iterable(range(total)) | op.map_process(HUNDRED, 2, ordered=ordered, window=8)
        came: list[int] = []
        position = None
        for requests in [*cuts, total + 1]:
            async with flow.subscribe(position) as subscription:
                for _ in range(requests):
                    came += await subscription.request(3)
                position = subscription.position
        return came

    assert sorted(asyncio.run(main())) == [x + 100 for x in range(total)]


@pytest.mark.parametrize("inline", [False, True])
async def test_an_exception_keeps_its_type_and_brings_its_traceback_as_a_note(inline: bool) -> None:
    """Results before the failing item are delivered; notes name the operator and the line in the worker."""
    flow = from_iterable([5, 2, 0, 1]) | op.map_process(
        functools.partial(operator.floordiv, 10), 0 if inline else 2
    )
    async with flow.subscribe() as subscription:
        out: list[int] = []
        with pytest.raises(ZeroDivisionError) as caught:
            await read(subscription, out)
    assert out == [2, 5]
    notes = "\n".join(caught.value.__notes__)
    assert "map_process at " in notes
    assert "ZeroDivisionError: integer" in notes


class Unpicklable(Exception):
    """An exception that can be pickled but not unpickled."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


def fails_oddly(_: int) -> None:
    raise Unpicklable("this", "that")


async def test_an_exception_that_cannot_cross_is_told_of_by_its_text() -> None:
    """An exception that cannot be unpickled becomes a RuntimeError with its type, text and traceback."""
    with pytest.raises(RuntimeError, match=r"Unpicklable: this and that"):
        await from_iterable([1]).map_process(functools.partial(_by_path, "fails_oddly"), 0).to_list()


def _by_path(name: str, *arguments: Any) -> Any:
    return globals()[name](*arguments)


async def test_what_cannot_be_pickled_fails_alone() -> None:
    """An item or result that cannot be pickled is an error; the results before it are delivered."""
    for items, function in (([1, lambda: 0], str), ([0], sys._getframe)):
        flow = from_iterable(items) | op.map_process(function, 1)
        async with flow.subscribe() as subscription:
            with pytest.raises(Exception, match=r".") as caught:  # of many types, by version
                await read(subscription, [])
            assert any("map_process" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_process_that_exits_is_an_error_that_names_what_was_lost(ordered: bool) -> None:
    """``WorkerDied`` says how the process ended and which items were lost; the position stands before them."""
    before = children()
    flow = from_iterable([7, 8]) | op.map_process(os._exit, 1, ordered=ordered)
    async with flow.subscribe() as subscription:
        with pytest.raises(WorkerDied, match=r"map_process at .* died \(exit code 7\).*lost with it: 7"):
            await subscription.request(5)
        position = subscription.position
    assert children() == before
    mended = from_iterable([7, 8]) | op.map_process(operator.neg, 1, ordered=ordered)
    async with mended.subscribe(position) as subscription:
        assert await mended.to_list() == [-7, -8]


async def test_a_process_that_is_killed_is_an_error_within_a_moment() -> None:
    """A worker killed from outside, as when memory runs out, ends the run; the error names the signal."""
    before = children()
    flow = from_iterable([30.0, 30.0]) | op.map_process(time.sleep, 2)
    async with flow.subscribe() as subscription:
        request = asyncio.create_task(subscription.request(1))
        os.kill(min(await started(2, before)), signal.SIGKILL)
        with pytest.raises(WorkerDied, match=r"killed by SIGKILL.*lost with it: 30\.0"):
            await asyncio.wait_for(request, 60)
    assert children() == before


async def test_closing_ends_processes_that_are_at_work() -> None:
    """Closing kills the processes, and does not wait for a call that takes half a minute."""
    before, began = children(), time.monotonic()
    flow = from_iterable([30.0] * 4) | op.map_process(time.sleep, 2)
    subscription = flow.subscribe()
    request = asyncio.create_task(subscription.request(1))
    await started(2, before)
    await subscription.aclose()
    with pytest.raises(Exception, match="closed"):
        await request
    assert children() == before
    assert time.monotonic() - began < 25


async def test_a_cancelled_request_loses_nothing() -> None:
    """The calls of a cancelled request go on, and the next request returns their results."""
    flow = from_iterable([0.05, 0.0, 0.1]) | op.map_process(time.sleep, 2)
    async with flow.subscribe() as subscription:
        out: list[Any] = []
        for _ in range(200):
            try:
                async with asyncio.timeout(0.02):
                    got = await subscription.request(1)
            except TimeoutError:
                continue
            if not got:
                break
            out += got
    assert out == [None] * 3


def test_functions_without_a_name_are_refused_when_the_graph_is_built() -> None:
    """A lambda and a function within a function are refused; the error says what to do."""

    def inner(x: int) -> int:
        return x

    for function in (lambda x: x, inner):
        with pytest.raises(GraphError, match=r"map_process\(.* at .*top of a module"):
            op.map_process(function)
    with pytest.raises(GraphError, match="map_async"):
        op.map_process(asyncio.sleep)
    with pytest.raises(GraphError, match="at least 0"):
        op.map_process(abs, -1)
    with pytest.raises(GraphError, match="the window must hold"):
        op.map_process(abs, 4, window=3)


GUARDED = """
    import asyncio, dataclasses
    import penstock

    @dataclasses.dataclass
    class Job:
        x: int

    def work(job):
        return Job(job.x * 2)

    async def main():
        jobs = penstock.from_iterable([Job(1), Job(2)])
        print(await jobs.map_process(work, 2).to_list())

    """


@pytest.mark.parametrize("guard", [True, False])
def test_a_script_may_define_the_function_if_it_is_guarded(guard: bool, tmp_path: Path) -> None:
    """Functions and classes of a guarded script work as in multiprocessing; a script without guard is an error."""
    end = 'if __name__ == "__main__":\n    asyncio.run(main())\n' if guard else "asyncio.run(main())\n"
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(GUARDED) + end)
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    if guard:
        assert ran.stdout == "[Job(x=2), Job(x=4)]\n"
    else:
        assert ran.returncode == 1
        assert 'if __name__ == "__main__"' in ran.stderr


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """A parent that dies without closing anything leaves no process behind."""
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, time, penstock\n"
        "async def main():\n"
        "    async for _ in penstock.from_iterable([0.0] + [1.0] * 100).map_process(time.sleep, 2):\n"
        "        print('running', flush=True)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        workers = psutil.Process(parent.pid).children()
        assert workers
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


async def test_each_process_gets_a_part() -> None:
    """Slow calls are spread over the processes: two are at work at a time."""
    flow = from_iterable([0.3] * 4) | op.map_process(time.sleep, 2)
    before, most = children(), 0
    request = asyncio.create_task(flow.to_list())
    while not request.done():
        most = max(most, len(children() - before))
        await asyncio.sleep(0.01)
    assert (await request, most) == ([None] * 4, 2)


async def test_items_are_not_taken_beyond_the_window() -> None:
    """Upstream is never more than the window ahead, even if calls are quick."""
    source = TestSource(range(1000), style="iterable")
    async with (source | op.map_process(operator.neg, 2, window=10)).subscribe() as subscription:
        assert await subscription.request(1) == [0]
        await asyncio.sleep(0.2)
        assert source.counts.handed <= 11


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("ordered", [True, False])
async def test_on_error_skip_leaves_out_the_failing_item_of_a_list(processes: int, ordered: bool) -> None:
    """The items behind a failing one in its list are sent again, and each failure is reported once."""
    items = [x % 7 for x in range(300)]
    told: list[int] = []
    flow = from_iterable(items) | op.map_process(
        functools.partial(operator.floordiv, 10), processes, ordered=ordered
    )
    came = await (flow | op.on_error_skip(lambda _, item: told.append(item))).to_list()
    assert told == [0] * items.count(0)
    wanted = [10 // x for x in items if x]
    assert (came if ordered else sorted(came)) == (wanted if ordered else sorted(wanted))
