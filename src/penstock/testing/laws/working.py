"""Law 11: a busy run lets other tasks run. Work is counted, not timed, so any machine finds the same."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.testing.laws.runs import collect, open_run
from penstock.testing.laws.subject import Subject, judge, require
from penstock.testing.time import virtual_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from penstock.testing.time import VirtualTimeLoop

_ITEM = 0.0002
"""Virtual seconds that a source needs for one item: 25 items are the 5 ms after which a stage must return."""

_LINE = 0.00001
"""Virtual seconds that one line of Python takes: 500 lines are these 5 ms."""

_MOST_ITEMS = 75
"""Items between two turns of the loop: three times what the law allows, for the slice that overruns."""

_MOST_LINES = 1_800
"""Lines between two turns of the loop: the same."""

_MOST_LINES_OF_EAGER_TASKS = 2_400
"""The same if tasks are eager: those of several inputs begin in the turn that starts them."""

_REQUESTS = 10
_LINES = 50_000
"""So many requests, or lines, show what a stage does with a page; then the run is cancelled."""

_NO_WORK = (
    str(Path(asyncio.__file__).parent),
    str(Path(weakref.__file__).with_name("_weakrefset")),
    str(Path(__file__).parents[1]),
)
"""Where lines do not count: the event loop, its set of all tasks in the process, the sources of the laws."""


def fair(subject: Subject, *, items: int = 200, page: int = 2_000, n: int = 1_000_000) -> None:
    """Law 11: a run that never has to wait still lets the event loop turn.

    The check requests ``n`` and counts what is done between two turns of the loop, in two runs:

    * The first input has ``items`` integers, and needs a fifth of a millisecond for each. Items are counted.
    * The first input has ``page`` integers, which come at once, as one page; ten requests are made. Each line
      of Python that works on them needs a hundredth of a millisecond. Lines are counted, with
      ``sys.settrace``: breakpoints of a debugger do not work meanwhile.

    This time is virtual. So a flow must read the time from the loop that runs.
    """
    slow, full = (
        subject.with_input(0, range(count), pace=()) if subject.inputs else subject for count in (items, page)
    )

    async def one_by_one() -> None:
        loop = virtual_loop()
        most = _Most(loop)

        def handed() -> None:
            loop.advance(_ITEM)
            most.add()

        async with open_run(slow.start(on_handed=handed).flow) as subscription:
            await collect(subscription, (n,), patience=subject.patience)
        text = (
            f"{most.worst} items of {_ITEM * 1000:g} ms each passed without a turn of the event loop; "
            "after 5 ms of work a stage should return what it has, and yield"
        )
        require(most.worst <= _MOST_ITEMS, "fair", text)

    async def at_once() -> None:
        loop = virtual_loop()
        most = _Most(loop)

        def line() -> None:
            loop.advance(_LINE)
            most.add()
            if most.total == _LINES:
                reading.cancel()

        trial = replace(full, style="pages", page=(page,)).start()
        async with open_run(trial.flow) as subscription:
            reading = asyncio.ensure_future(
                collect(subscription, (n,), patience=subject.patience, requests=_REQUESTS)
            )
            with _lines(line):
                await asyncio.wait([reading])
        text = (
            f"a page of {page} items came at once, and {most.worst} lines of Python ran without a turn of "
            "the event loop; a stage should work on slices of it, and yield between them"
        )
        is_eager = loop.get_task_factory() is not None
        require(most.worst <= (_MOST_LINES_OF_EAGER_TASKS if is_eager else _MOST_LINES), "fair", text)

    for main in (one_by_one, at_once):
        judge("fair", main, items=items, page=page, n=n, subject=subject)


class _Most:
    """The most that was done between two turns of the loop."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.loop = loop
        self.turn = self.since = self.worst = self.total = 0

    def add(self) -> None:
        """Count one piece of work."""
        if self.turn != self.loop.turns:
            self.turn, self.since = self.loop.turns, 0
        self.since += 1
        self.total += 1
        self.worst = max(self.worst, self.since)


@contextmanager
def _lines(line: Callable[[], None]) -> Iterator[None]:
    """Call ``line`` for each line of Python that runs, but those of asyncio and of the sources."""
    counts: dict[CodeType, bool] = {}

    def called(frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG001  as Python calls it
        code = frame.f_code
        counted = counts.get(code)
        if counted is None:
            counted = counts[code] = not code.co_filename.startswith(_NO_WORK)
        return ran if counted else None

    def ran(frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG001
        if event == "line":
            line()
        return ran

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # finalizers of other tests' objects are no work of this flow
    sys.settrace(called)
    try:
        yield
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
