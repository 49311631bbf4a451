"""Isolated hooks: what they get, what their faults cost the run, and how long it may wait for them."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from penstock import DocumentStarted, IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import GraphError
from penstock.sinks import MemorySink
from penstock.telemetry import isolated
from penstock.testing import run as virtually

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock import PipelineEvent

EVENTS = [DocumentStarted(float(n), "run", f"d{n}", "a") for n in range(10)]
ALL = 22
"""The events of a run over ten documents: two for each, and two changes of state; progress comes on top."""


def pipeline(*hooks: Any) -> IngestionPipeline:
    return IngestionPipeline(Adapter(ScriptedSource([Record()] * 10)), hooks=hooks)


def test_every_event_arrives_in_order_before_the_run_returns() -> None:
    """Plain and async hooks have had all events, in order, when ``run`` returns."""
    seen: dict[str, list[PipelineEvent]] = {"direct": [], "plain": [], "later": []}

    async def later(events: Sequence[PipelineEvent]) -> None:
        await asyncio.sleep(0.01)
        seen["later"].extend(events)

    hooks = [isolated(seen["plain"].extend), isolated(later)]
    virtually(pipeline(seen["direct"].extend, *hooks).run(MemorySink()))
    assert len(seen["direct"]) >= ALL
    assert seen["plain"] == seen["later"] == seen["direct"]
    assert [(hook.delivered, hook.dropped, hook.failures) for hook in hooks] == [
        (len(seen["direct"]), 0, 0)
    ] * 2


def test_a_hook_that_raises_is_counted_and_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """The run completes, each failure is counted, and one warning tells of them; also a hidden coroutine fails."""

    def fails(_: Sequence[PipelineEvent]) -> None:
        raise OSError("no room")

    async def fails_later(_: Sequence[PipelineEvent]) -> None:
        raise asyncio.CancelledError

    hooks = [isolated(fails), isolated(fails_later), isolated(lambda *events: fails_later(*events))]  # noqa: PLW0108
    with caplog.at_level(logging.WARNING, "penstock.telemetry"):
        summary = virtually(pipeline(*hooks).run(MemorySink()))
    assert summary.counts["completed"] == 10
    assert [hook.delivered for hook in hooks] == [0, 0, 0]
    assert all(hook.failures > 0 for hook in hooks)
    assert len(caplog.records) == 3


def test_an_async_hook_that_hangs_delays_only_the_end_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    """The run goes on beside it, waits ``seconds`` at its end, and then drops and reports what is queued."""

    async def hangs(_: Sequence[PipelineEvent]) -> None:
        await asyncio.Event().wait()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        await pipeline(hook).run(MemorySink())
        return loop.time()

    hook = isolated(hangs, seconds=3)
    assert virtually(main()) == 3.0
    assert hook.delivered == 0
    assert hook.dropped + hook.failures >= 2
    assert any("lost" in record.message for record in caplog.records)


def test_one_call_of_an_async_hook_may_take_its_seconds() -> None:
    """A call that takes longer is cancelled and counted; the next list is delivered."""
    calls: list[int] = []

    async def hook(events: Sequence[PipelineEvent]) -> None:
        calls.append(len(events))
        await asyncio.sleep(100 if len(calls) == 1 else 0)

    async def main() -> float:
        one(EVENTS[:3])
        await asyncio.sleep(2)
        one(EVENTS[3:])
        await one.settle()
        return asyncio.get_running_loop().time()

    one = isolated(hook, seconds=2)
    assert virtually(main()) == 2.0
    assert (calls, one.delivered, one.failures) == ([3, 7], 7, 1)


def test_a_full_queue_drops_events_and_counts_them() -> None:
    """An async hook never makes the run wait: lists that do not fit into the queue are dropped."""
    seen: list[PipelineEvent] = []

    async def hook(events: Sequence[PipelineEvent]) -> None:
        await asyncio.sleep(1)
        seen.extend(events)

    async def main() -> None:
        for n in range(0, 10, 2):
            one(EVENTS[n : n + 2])
        assert asyncio.get_running_loop().time() == 0
        await one.settle()

    one = isolated(hook, queue=4)
    virtually(main())
    assert seen == EVENTS[:4]
    assert (one.delivered, one.dropped) == (4, 6)


def test_a_plain_hook_that_hangs_does_not_hold_the_run() -> None:
    """With ``seconds=0`` nobody waits for it: the run completes while the hook still stands."""
    released = threading.Event()

    def hangs(_: Sequence[PipelineEvent]) -> None:
        released.wait(60)

    hook = isolated(hangs, queue=5, seconds=0)
    summary = asyncio.run(pipeline(hook).run(MemorySink()))
    assert summary.counts["completed"] == 10
    assert not released.is_set()
    assert hook.dropped > 0  # also if the thread of the hook has not begun yet
    released.set()
    while hook._held:
        threading.Event().wait(0.001)


def test_a_slow_plain_hook_makes_the_run_wait_rather_than_lose_events() -> None:
    """Within the bound a full queue waits for room, so a recording has no gap."""
    seen: list[PipelineEvent] = []
    hook = isolated(seen.extend, queue=1, seconds=60)
    for event in EVENTS:
        hook([event])
    hook.close()
    assert seen == EVENTS
    assert hook.dropped == 0


def test_arguments_are_checked() -> None:
    """A wrong argument is refused when the hook is made."""
    for wrong in ({"queue": 0}, {"seconds": -1}, {"seconds": float("inf")}):
        with pytest.raises(GraphError, match="isolated"):
            isolated(print, **wrong)
    with pytest.raises(GraphError, match="a function"):
        isolated(3)  # type: ignore[arg-type]
