"""``flow.sync`` and ``pipeline.sync``: flows for code that is not async, with and without a running loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
from penstock.flow.terminals import Terminals
from penstock.sinks import MemorySink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


async def rows() -> AsyncIterator[int]:
    for x in range(1000):
        await asyncio.sleep(0)
        yield x


def in_a_script(function: Callable[[], Any]) -> Any:
    return function()


def in_a_notebook(function: Callable[[], Any]) -> Any:
    """Call a function while an event loop runs in this thread."""

    async def cell() -> Any:
        return function()

    return asyncio.run(cell())


@pytest.mark.parametrize("place", [in_a_script, in_a_notebook])
def test_a_flow_without_await(place: Callable[[Callable[[], Any]], Any]) -> None:
    """Iterating and the terminals give what their async forms give."""
    flow = ps.from_async_iterable(rows).filter(lambda x: x % 2 == 1)
    assert place(lambda: [*flow.sync]) == [*range(1, 1000, 2)]
    assert place(flow.sync.to_list) == [*range(1, 1000, 2)]
    assert place(flow.sync.count) == 500
    assert place(lambda: flow.sync.reduce(max, 0)) == 999
    assert place(lambda: ps.empty().sync.first("none")) == "none"
    sink = MemorySink()
    documents = ps.just(1, 2).map(lambda x: ps.Document(doc_id=str(x), source="s"))
    place(lambda: documents.sync.into(sink))
    assert [document.doc_id for document in sink.documents] == ["1", "2"]


@pytest.mark.parametrize("place", [in_a_script, in_a_notebook])
def test_leaving_an_iteration_closes_the_run(place: Callable[[Callable[[], Any]], Any]) -> None:
    """After ``break``, and after an error in the body, the run is closed before the next line."""
    ended: list[str] = []
    flow = ps.from_async_iterable(rows).finally_do(ended.append)

    def leave() -> None:
        for item in flow.sync:
            if item == 5:
                break
        assert ended == ["cancelled"]
        with suppress(ZeroDivisionError):
            for item in flow.sync:
                item / 0
        assert ended == ["cancelled"] * 2

    place(leave)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("penstock sync")]


@pytest.mark.parametrize("place", [in_a_script, in_a_notebook])
def test_errors_reach_the_caller(place: Callable[[Callable[[], Any]], Any]) -> None:
    """An error of the run is raised by the terminal and by the iteration, behind the items before it."""
    flow = ps.range_(5).map(lambda x: 6 // (3 - x))
    got: list[int] = []
    with pytest.raises(ZeroDivisionError):
        place(lambda: got.extend(flow.sync))
    assert got == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        place(flow.sync.to_list)


def test_every_terminal_has_a_form_without_await() -> None:
    """The terminals of ``Flow`` and of ``flow.sync`` have the same names and parameters."""
    for name, terminal in vars(Terminals).items():
        if inspect.iscoroutinefunction(terminal) and not name.startswith("_"):
            form = getattr(type(ps.empty().sync), name)
            assert [*inspect.signature(form).parameters] == [*inspect.signature(terminal).parameters], name


SCRIPT = """
    import asyncio, signal, sys
    import penstock as ps

    async def rows():
        try:
            yield 1
            print("waiting", flush=True)
            await asyncio.sleep(60)
        finally:
            print("closed", flush=True)

    def main():
        try:
            for item in ps.from_async_iterable(rows).sync:
                print(item, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)

    async def cell():
        if sys.argv[1] == "notebook":  # a kernel leaves Ctrl-C to Python; asyncio.run cancels the task
            signal.signal(signal.SIGINT, signal.default_int_handler)
        main()

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
    try:
        main() if sys.argv[1] == "script" else asyncio.run(cell())
    except KeyboardInterrupt:
        print("interrupted later", flush=True)
"""


@pytest.mark.parametrize(
    ("place", "last"),
    [("script", "interrupted\n"), ("notebook", "interrupted\n"), ("asyncio.run", "interrupted later\n")],
)
def test_ctrl_c_closes_the_run(place: str, last: str) -> None:
    """A SIGINT ends the run properly, then it reaches the code that iterates, or its ``asyncio.run``."""
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT), place]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(2)] == ["1\n", "waiting\n"]
        os.kill(child.pid, signal.SIGINT)
        assert child.stdout.read() == "closed\n" + last
