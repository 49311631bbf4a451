"""Who watches one run of a pipeline: nobody, a view of a terminal, or the panel of a notebook."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

from penstock.errors import MissingExtra
from penstock.notebook.display import display_here
from penstock.progress.view import PlainProgress, ProgressView, is_live_terminal, summary_line

if TYPE_CHECKING:
    from typing import TextIO

    from penstock.ingest.plan import Hook
    from penstock.ingest.run import Ingestion
    from penstock.ingest.summary import RunSummary


class Watcher:
    """Watches one run, inside an ``async with`` block; this one shows nothing."""

    hooks: tuple[Hook, ...] = ()
    """What the run must call with its events."""

    def begin(self, run: Ingestion) -> None:
        """Take the run that is watched."""

    def end(self, summary: RunSummary) -> None:
        """Take the outcome of the run."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Show nothing more."""


class InTerminal(Watcher):
    """Shows a view of a terminal, and a line that stays in the end."""

    def __init__(self, view: ProgressView) -> None:
        self.hooks = (view,)
        self._view = view
        self._state = ""

    def begin(self, run: Ingestion) -> None:
        """Show what this run waits for."""
        self._view.watch(run.statistics)

    def end(self, summary: RunSummary) -> None:
        """Say in the end how the run ended."""
        self._state = "nothing to do" if summary.nothing_to_do else summary.state

    async def __aenter__(self) -> Self:
        self._view.__enter__()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Remove the bar, and leave a line with the counts."""
        state = self._state or ("failed" if isinstance(error, Exception) else "interrupted")
        self._view.__exit__(None, None, None)
        self._view.say(f"{state}: {summary_line(self._view.tally)}")


def watcher(name: str, *, progress: bool | None) -> Watcher:
    """Return who watches a run of the pipeline ``name``.

    With ``None`` that is a panel in a notebook, and nobody elsewhere. With ``True``, elsewhere it is the bar
    of the terminal, or plain lines if stderr is no terminal, or if the extra for the bar is missing.
    """
    display = None if progress is False else display_here()
    if display is not None:
        from penstock.progress.panel import Panel

        return Panel(display, name)
    return InTerminal(_view(sys.stderr)) if progress else Watcher()


def _view(stream: TextIO) -> ProgressView:
    if not is_live_terminal(stream, os.environ.get("TERM")):
        return PlainProgress(stream)
    try:
        from penstock.progress.bar import LiveProgress
    except MissingExtra as error:
        view = PlainProgress(stream)
        view.say(f"{error} (lines are shown meanwhile)")
        return view
    return LiveProgress(stream)
