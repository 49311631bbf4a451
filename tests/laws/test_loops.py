"""The laws hold on other kinds of event loops: with eager tasks, in debug mode, and on uvloop."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from penstock.testing import run
from penstock.testing.time import VirtualTimeLoop

from ..length import cases  # noqa: TID252  tests are no installed package
from .catalogue import ENTRIES
from .everyday import NAMES, keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from .entry import Entry

NOT_SO_SIMPLE = {"map_thread", "map_process", "fail", "timestamp", "elapsed"}
"""Operators that start threads or processes, that fail, or that measure time."""


def eager(loop: asyncio.AbstractEventLoop) -> None:
    """Run the first step of each task at once, when it is created."""
    factory: Any = getattr(asyncio, "eager_task_factory", None)
    loop.set_task_factory(factory)


def debug(loop: asyncio.AbstractEventLoop) -> None:
    """Let asyncio check more."""
    loop.set_debug(True)
    loop.slow_callback_duration = 10


KINDS: dict[str, Callable[[asyncio.AbstractEventLoop], None]] = {"debug": debug}
if sys.version_info >= (3, 12):
    KINDS["eager"] = eager


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entry", cases(ENTRIES[::12], ENTRIES), ids=lambda entry: entry.name)
def test_the_laws_hold_with_other_tasks(entry: Entry, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every day one entry of twelve keeps one law; the laws take turns."""
    original, prepare = VirtualTimeLoop.__init__, KINDS[kind]

    def init(self: VirtualTimeLoop) -> None:
        original(self)
        prepare(self)

    monkeypatch.setattr(VirtualTimeLoop, "__init__", init)
    for law in cases([NAMES[ENTRIES.index(entry) // 12 % len(NAMES)]], NAMES):
        if law not in entry.skip and (kind, law) != (
            "debug",
            "fair",
        ):  # it counts lines of asyncio's checks too
            keep(law, entry)


@pytest.mark.parametrize("kind", ["eager", "uvloop"])
def test_every_flow_that_takes_no_time_delivers_its_items(kind: str) -> None:
    """Flows that never wait for time deliver the items of their models on real loops, too."""
    if kind == "uvloop":
        create = pytest.importorskip("uvloop", reason="uvloop is not installed").new_event_loop
    elif sys.version_info < (3, 12):
        pytest.skip("eager tasks are new in Python 3.12")
    else:
        create = asyncio.new_event_loop

    async def timed(entry: Entry) -> float:
        await entry.subject.start().flow.to_list()  # type: ignore[attr-defined]
        return asyncio.get_running_loop().time()

    async def items(entry: Entry) -> list[Any]:
        if kind == "eager":
            eager(asyncio.get_running_loop())
        flow: Any = entry.subject.start().flow
        return await asyncio.wait_for(flow.to_list(), 10)

    checked = 0
    for entry in ENTRIES:
        if entry.model is None or NOT_SO_SIMPLE & {*entry.operators}:
            continue
        flow = run(built(entry))
        if flow.order != "exact" or run(timed(entry)):
            continue
        with asyncio.Runner(loop_factory=create) as runner:
            assert runner.run(items(entry)) == list(entry.model(*map(iter, entry.inputs))), entry.name
        checked += 1
    assert checked > len(ENTRIES) / 4


async def built(entry: Entry) -> Any:
    """Return the flow of an entry; some can be built only in a running loop."""
    return entry.subject.start().flow
