"""The panel of a run in a notebook, and what a terminal shows instead; both in virtual time."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from penstock import BatchProgress, DocumentCompleted, IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import GraphError
from penstock.ledger import MemoryLedger
from penstock.progress import watcher
from penstock.progress.panel import Panel
from penstock.sinks import MemorySink
from penstock.testing import run
from penstock.testing import run as virtually

from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package


class Shown:
    """A display that keeps what it was told to show, and when."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.pages: list[str] = []
        self.times: list[float] = []

    def show(self, html: str, text: str) -> None:
        self.pages.append(html)
        self.texts.append(text)
        self.times.append(asyncio.get_running_loop().time())


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Return the display of a notebook in which the test then seems to run."""
    shown = Shown()
    monkeypatch.setattr(watcher, "display_here", lambda: shown)
    return shown


async def slow(document: Any) -> Any:
    await asyncio.sleep(0.01)
    return document


def pipeline(records: int = 300, **options: Any) -> IngestionPipeline:
    source = ScriptedSource([Record("bad"), *[Record()] * records])
    return IngestionPipeline(
        Adapter(source), process=[slow], ledger=MemoryLedger(), progress_every=10, **options
    )


def test_the_panel_is_throttled_and_stays(display: Shown) -> None:
    """A run of 3 s draws the panel once at its start, then at most four times a second, and once at its end.

    The last drawing has the outcome and the stages: it is what the saved notebook keeps.
    """
    virtually(pipeline().run(MemorySink()))
    waits = [b - a for a, b in zip(display.times, display.times[1:], strict=False)]
    assert len(display.times) >= 3 / 0.3
    assert all(wait >= 0.25 for wait in waits[:-1])
    assert display.texts[0] == "scripted: starting: 0 done, 0 failed, 0 skipped"
    assert re.search(r"scripted: running: \d+ done, 1 failed, 0 skipped, \d+ docs/s", display.texts[5])
    assert re.fullmatch(
        r"scripted: completed: 300 completed, 1 failed, 0 skipped in 3\.0 s, .* docs/s", display.texts[-1]
    )
    assert "it is bad" in display.pages[-1] or "bad" in display.pages[-1]
    assert "<details>" in display.pages[-1]
    assert all("documents" in page for page in display.pages[1:])


def test_the_panel_shows_that_a_run_waits(display: Shown) -> None:
    """While no events come the panel is drawn all the same, and its stages show where the run waits."""

    async def stuck(document: Any) -> Any:
        await asyncio.sleep(60)
        return document

    source = ScriptedSource([Record(), Record()])
    virtually(IngestionPipeline(Adapter(source), process=[stuck]).run(MemorySink()))
    assert len(display.times) > 120 / 0.51


@pytest.mark.parametrize(
    "error", [ValueError("full"), asyncio.CancelledError()], ids=["failed", "interrupted"]
)
def test_the_panel_says_how_a_run_ended(display: Shown, error: BaseException) -> None:
    """A run that fails or is interrupted leaves a panel that says so, and no task."""
    seen = 0

    def fail(events: Any) -> None:
        nonlocal seen
        seen += sum(isinstance(event, DocumentCompleted) for event in events)
        if seen >= 20:
            raise error

    async def main() -> None:
        task = asyncio.create_task(
            pipeline(hooks=[fail] if isinstance(error, ValueError) else []).run(MemorySink())
        )
        if not isinstance(error, ValueError):
            await asyncio.sleep(0.3)
            task.cancel()
        with pytest.raises(type(error)):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    wanted = "failed: ValueError: full" if isinstance(error, ValueError) else "interrupted"
    assert display.texts[-1].startswith(f"scripted: {wanted}: ")


async def test_only_the_last_errors_are_shown() -> None:
    """Of many failures the panel shows the last five, and how many came before."""
    shown = Shown()
    source = ScriptedSource([Record("bad")] * 9)
    events = [event async for event in IngestionPipeline(Adapter(source)).stream_events()]
    async with Panel(shown, "x") as panel:
        panel.take(events)
    assert shown.pages[-1].count('class="bad"') == 5
    assert "4 documents failed before these" in shown.pages[-1]
    assert any(isinstance(event, BatchProgress) for event in events)


def test_a_panel_that_cannot_be_shown_does_not_end_the_run(
    display: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook that refuses the panel, because it went away, leaves the run alone."""

    def refuse(html: str, text: str) -> None:
        raise OSError("the kernel has lost its notebook")

    monkeypatch.setattr(display, "show", refuse)
    assert virtually(pipeline(30).run(MemorySink())).counts["completed"] == 30


def test_progress_false_shows_nothing(display: Shown) -> None:
    """``progress=False`` shows nothing, also in a notebook, and a wrong value is refused."""
    virtually(pipeline(3).run(MemorySink(), progress=False))
    assert display.texts == []
    with pytest.raises(GraphError, match="progress"):
        virtually(pipeline(3).run(MemorySink(), progress="yes"))  # type: ignore[arg-type]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool) -> None:
    """Outside a notebook ``progress=True`` leaves a line with the counts on stderr, and nothing shows by default.

    A terminal has a bar meanwhile; a file or a pipe gets lines.
    """
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    virtually(pipeline(3).run(MemorySink()))
    assert stream.getvalue() == ""
    virtually(pipeline(3).run(MemorySink(), progress=True))
    assert "completed: 3 done, 1 failed, 0 skipped" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) == is_terminal


def test_without_the_extra_lines_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the library of the bar is missing, its install command is shown, and lines instead of the bar."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delitem(sys.modules, "penstock.progress.bar", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    virtually(pipeline(3).run(MemorySink(), progress=True))
    assert re.search(r"The live bar needs an extra: .*pip install", stream.getvalue())
    assert "completed: 3 done" in stream.getvalue()


def test_marimo_replaces_the_output_of_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """In marimo the panel is HTML that replaces the output of the cell.

    The module here has the three names of marimo that are used: marimo itself takes 120 MB.
    """
    shown: list[str] = []
    output = SimpleNamespace(replace=shown.append)
    marimo = SimpleNamespace(
        running_in_notebook=lambda: True, output=output, Html=lambda text: f"html: {text}"
    )
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    virtually(pipeline(3).run(MemorySink()))
    assert shown[0].startswith('html: <div class="penstock">')
    assert "completed" in shown[-1]
    marimo.running_in_notebook = lambda: False
    shown.clear()
    virtually(pipeline(3).run(MemorySink()))
    assert shown == []
