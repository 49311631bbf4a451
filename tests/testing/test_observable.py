"""Sources that misbehave on purpose; a flow hides that from its consumer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import penstock.operators as op
from penstock.testing import Burst, Cling, End, Planted, Raise, Sleep, TestSource, Wait, no_leaks, run
from penstock.testing.script import items_of


def played(source: TestSource, flow: Any = None, n: int = 2) -> list[Any]:
    """Return the items of a run, and how it ended; the run must leave nothing behind."""

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
    """Items, waits and the end arrive; the source is opened and closed once."""
    source = TestSource([1, Sleep(2), 2, Wait(3), 3], style="observable")
    assert played(source) == [1, 2, 3, "end"]
    assert (source.counts.opened, source.counts.closed, source.counts.handed) == (1, 1, 3)


@pytest.mark.parametrize(
    "behind", [[2], [Wait(1), 2], [Sleep(1), 2], [End()], [Raise()], [Burst((2, 3))], [2, End(), 3, Raise()]]
)
@pytest.mark.parametrize("end", [End(), Raise()])
def test_items_sent_after_the_end_are_not_delivered(end: Any, behind: list[Any]) -> None:
    """A consumer receives nothing that a source sends after its end or its error."""
    source = TestSource([1, end, *behind], style="observable")
    assert played(source) == [1, "end" if end == End() else Planted]
    assert items_of(source.script) == [1]


@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("flow", [lambda s: s, lambda s: s | op.buffer(2), lambda s: s | op.take(4)])
def test_a_burst_ignores_demand_and_loses_nothing(n: int, flow: Any) -> None:
    """Items that come without demand are delivered when they are requested, in order."""
    source = TestSource([1, Burst((2, 3, 4, 5)), 6], style="observable")
    came = played(source, flow(source), n)
    assert came == [*range(1, len(came)), "end"]
    assert len(came) >= 5


@pytest.mark.parametrize("style", ["generator", "pages", "seekable", "observable"])
def test_closing_raises_the_error_of_a_source(style: Any) -> None:
    """Closing the run raises the error of a source that fails while it is closed."""
    source = TestSource([1, 2, 3, 4], style=style, page=(1,), on_close=[Raise()])

    async def main() -> None:
        async with source.subscribe() as subscription:
            assert await subscription.request(1) == [1]

    with pytest.raises(Planted):
        run(main())


@pytest.mark.parametrize("style", ["generator", "pages", "observable"])
def test_closing_waits_for_a_source_that_clings(style: Any) -> None:
    """Closing waits for a source that ignores its cancellation for a while."""

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


def test_pages_may_be_larger_than_declared() -> None:
    """Pages larger than declared break law 1, but lose nothing."""
    source = TestSource(range(7), style="pages", page=(5,), declares=2)
    assert played(source) == [*range(7), "end"]
    assert source.max_in_flight(1) == 2


@pytest.mark.parametrize("style", ["generator", "pages", "observable"])
@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration, asyncio.CancelledError])
def test_no_exception_ends_a_run_silently(style: Any, error: Any) -> None:
    """A source that raises ``StopIteration`` or ``CancelledError`` fails like any other."""
    source = TestSource([1, Raise(error)], style=style)
    first, end = played(source)
    assert first == 1
    assert end in {RuntimeError, StopAsyncIteration}
