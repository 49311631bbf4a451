"""Sources that misbehave on purpose, and that nothing of it gets through a flow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import penstock.operators as op
from penstock.testing import Burst, Cling, End, Leak, Planted, Raise, Sleep, TestSource, Wait, no_leaks, run
from penstock.testing.script import items_of


def played(source: TestSource, flow: Any = None, n: int = 2) -> list[Any]:
    """Return the lists that a run gives, and how it ended; it must leave nothing behind."""

    async def main() -> list[Any]:
        out: list[Any] = []
        async with no_leaks():
            try:
                async with (flow or source).subscribe() as subscription:
                    while items := await subscription.request(n):
                        out += items
                out.append("end")
            except Exception as error:  # noqa: BLE001  compared by its type
                out.append(type(error))
        return out

    return run(main())


def test_an_observable_plays_a_script() -> None:
    """Items, waits and the end arrive; it is opened and closed once."""
    source = TestSource([1, Sleep(2), 2, Wait(3), 3], style="observable")
    assert played(source) == [1, 2, 3, "end"]
    assert (source.counts.opened, source.counts.closed, source.counts.handed) == (1, 1, 3)


@pytest.mark.parametrize(
    "behind", [[2], [Wait(1), 2], [Sleep(1), 2], [End()], [Raise()], [Burst((2, 3))], [2, End(), 3, Raise()]]
)
@pytest.mark.parametrize("end", [End(), Raise()])
def test_what_is_sent_after_the_end_is_not_delivered(end: Any, behind: list[Any]) -> None:
    """After its end or its error a source may send what it likes: its subscriber hears nothing of it."""
    source = TestSource([1, end, *behind], style="observable")
    assert played(source) == [1, "end" if end == End() else Planted]
    assert items_of(source.script) == [1]


@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("flow", [lambda s: s, lambda s: s | op.buffer(2), lambda s: s | op.take(4)])
def test_a_burst_ignores_demand_and_loses_nothing(n: int, flow: Any) -> None:
    """Items that come whatever the demand are delivered as they are asked for, in order."""
    source = TestSource([1, Burst((2, 3, 4, 5)), 6], style="observable")
    came = played(source, flow(source), n)
    assert came == [*range(1, len(came)), "end"]
    assert len(came) >= 5


@pytest.mark.parametrize("style", ["generator", "pages", "seekable", "observable"])
def test_a_source_that_fails_while_closing_is_heard(style: Any) -> None:
    """Its error comes out of closing the run, where nothing else went wrong."""
    source = TestSource([1, 2, 3, 4], style=style, page=(1,), on_close=[Raise()])

    async def main() -> None:
        async with source.subscribe() as subscription:
            assert await subscription.request(1) == [1]

    with pytest.raises(Planted):
        run(main())


@pytest.mark.parametrize("style", ["generator", "pages", "observable"])
def test_a_source_that_clings_is_waited_for(style: Any) -> None:
    """One that ignores its cancellation ends a while later, and closing waits until then."""

    async def main() -> float:
        source = TestSource([1, Cling(3), 2, 3], style=style)
        async with no_leaks():
            async with source.subscribe() as subscription:
                await subscription.request(1)
                pending = asyncio.create_task(subscription.request(1))
                await asyncio.sleep(1)
            await asyncio.gather(pending, return_exceptions=True)
        return asyncio.get_running_loop().time()

    assert run(main()) == 4


def test_pages_may_be_larger_than_they_say() -> None:
    """Nothing is lost then; only law 1 is broken, and not by the flow."""
    source = TestSource(range(7), style="pages", page=(5,), declares=2)
    assert played(source) == [*range(7), "end"]
    assert source.max_in_flight(1) == 2


@pytest.mark.parametrize("style", ["generator", "pages", "observable"])
@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, asyncio.CancelledError])
def test_an_exception_that_means_something_to_python_ends_no_run_silently(style: Any, error: Any) -> None:
    """A source that fails with what ends a loop or a task elsewhere fails like any other."""
    source = TestSource([1, Raise(error)], style=style)
    first, end = played(source)
    assert first == 1
    assert end in {RuntimeError, StopAsyncIteration}


def test_an_open_file_is_a_leak(tmp_path: Any) -> None:
    """A file that is still open, and referred to, is told by its name."""

    async def main() -> None:
        async with no_leaks():
            kept.append((tmp_path / "kept.txt").open("w"))

    kept: list[Any] = []
    with pytest.raises(Leak, match=r"open file: .*kept\.txt"):
        run(main())
    kept[0].close()
