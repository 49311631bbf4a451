"""The live progress bar, drawn with rich. Imported only if stderr is a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import MissingExtra
from penstock.progress.view import ProgressView
from penstock.text import count, duration

try:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text
except ImportError as error:  # pragma: no cover - proved in a subprocess by tests/cli/test_cli.py
    raise MissingExtra("The live bar", "cli") from error

if TYPE_CHECKING:
    from typing import Self, TextIO

    from rich.console import RenderableType

_FRAMES_PER_SECOND = 8
_WIDEST_BAR = 40
_SMALLEST_BAR = 6
_AROUND = 5
"""Columns of the spinner and of the blanks between spinner, bar and words."""


class LiveProgress(ProgressView):
    """A live bar: done, failed, skipped, documents per second, time left.

    The hook only counts. A thread of rich redraws the bar, also while no events arrive.
    """

    def __init__(self, stream: TextIO, *, width: int | None = None) -> None:
        super().__init__(stream)
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False, width=width)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            get_renderable=self.render,
            console=self.console,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,  # stdout may carry events to another program
            redirect_stderr=False,
        )

    def say(self, line: str) -> None:
        """Print the line above the bar."""
        self.console.print(Text(line), soft_wrap=True)

    def render(self) -> RenderableType:
        """Draw one frame."""
        tally = self.tally
        grid = Table.grid(padding=(0, 1))
        words = self._words()
        room = min(_WIDEST_BAR, self.console.width - words.cell_len - _AROUND)
        cells: list[RenderableType] = [self._spinner, words]
        if room >= _SMALLEST_BAR:  # a narrow terminal shows only the words
            cells.insert(1, ProgressBar(tally.total, tally.settled, width=room, pulse=not tally.total))
        for _ in cells:
            grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row(*cells)
        return grid

    def _words(self) -> Text:
        tally = self.tally
        words = Text(f"{count(tally.completed)} done", style="green")
        words.append(f"  {count(tally.failed)} failed", style="red" if tally.failed else "dim")
        if tally.skipped:
            words.append(f"  {count(tally.skipped)} skipped", style="yellow")
        if tally.state in {"starting", "retrying"}:
            words.append(f"  {tally.state}", style="magenta")
        if tally.rate:
            words.append(f"  {count(tally.rate)} docs/s", style="default")
        if tally.eta is not None:
            words.append(f"  {duration(tally.eta)} left", style="cyan")
        return words

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Remove the bar and show the cursor again."""
        self._live.stop()
