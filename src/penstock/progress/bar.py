"""The live progress bar, drawn with rich. Imported only if stderr is a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import MissingExtra
from penstock.progress.view import ENDED, ProgressView, Tally
from penstock.text import count, duration

try:
    from rich.console import Console, Group
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

_FRAMES_PER_SECOND = 5
_WIDEST_BAR = 40
_SMALLEST_BAR = 6
_INDENT = 2
_GAP = 2
_MOST_SOURCES = 10


class LiveProgress(ProgressView):
    """A live view: a line for each source, a total if there are several, and what the run waits for.

    A line has a bar, the documents that are done, failed, retrying and skipped, documents per second, and the
    time left. In a narrow terminal it continues on further lines. The hook only counts. A thread of rich
    draws, also while no events arrive.
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
        sources = [*self.sources.values()] or [Tally()]
        tallies = sources[-_MOST_SOURCES:]
        if len(sources) > 1:
            tallies = [*tallies, self.tally]
        names = max(len(tally.name) for tally in tallies)
        lines = [line for tally in tallies for line in self._lines(tally, names)]
        if len(sources) > _MOST_SOURCES:
            lines.insert(0, _line(Text(f"{len(sources) - _MOST_SOURCES} earlier sources", style="dim")))
        if waits := self.waits_for():
            lines.append(_line(Text(f"waits for {waits}", style="dim")))
        return Group(*lines)

    def _lines(self, tally: Tally, names: int) -> list[RenderableType]:
        """Draw a source: on one line if it fits, otherwise its words on lines below its bar."""
        running = tally.state not in ENDED
        mark = self._spinner if running else Text("✓" if tally.state == "completed" else "✗")
        name = Text(tally.name.ljust(names))
        words = _words(tally)
        taken = _INDENT + (names + 1 if names else 0)
        room = self.console.width - taken - 1
        whole = _joined(words)
        left = min(_WIDEST_BAR, room - whole.cell_len)
        head: list[RenderableType] = [mark, name] if names else [mark]
        if left >= _SMALLEST_BAR:
            return [_grid([*head, _bar(tally, left), whole])]
        first = [*head, _bar(tally, min(_WIDEST_BAR, room))] if room >= _SMALLEST_BAR else head
        return [_grid(first), *map(_line, _wrapped(words, self.console.width - _INDENT))]

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Remove the bar and show the cursor again."""
        self._live.stop()


def _bar(tally: Tally, width: int) -> ProgressBar:
    """Return a bar in colours of the terminal's own palette, which fit its background."""
    ended = tally.state in ENDED
    return ProgressBar(
        tally.total or (1 if ended else None),
        tally.settled,
        width=width,
        pulse=not (tally.total or ended),
        style="bright_black",
        complete_style="green",
        finished_style="green",
        pulse_style="green",
    )


def _words(tally: Tally) -> list[Text]:
    """Return what a line says about a source, in pieces that are not broken."""
    words = [
        Text(f"{count(tally.completed)} done", style="green"),
        Text(f"{count(tally.failed)} failed", style="bold red" if tally.failed else "dim"),
    ]
    if tally.retrying:
        words.append(Text(f"{count(tally.retrying)} retrying", style="magenta"))
    if tally.skipped:
        words.append(Text(f"{count(tally.skipped)} skipped"))
    if tally.state in {"starting", "retrying"}:
        words.append(Text("starting" if tally.state == "starting" else "source retrying", style="magenta"))
    if tally.rate:
        words.append(Text(f"{count(tally.rate)} docs/s"))
    if tally.eta is not None:
        words.append(Text(f"{duration(tally.eta)} left"))
    return words


def _joined(words: list[Text]) -> Text:
    return Text(" " * _GAP).join(words)


def _wrapped(words: list[Text], width: int) -> list[Text]:
    """Put as many words on each line as fit."""
    lines: list[list[Text]] = [[]]
    for word in words:
        if lines[-1] and _joined([*lines[-1], word]).cell_len > width:
            lines.append([])
        lines[-1].append(word)
    return [_joined(line) for line in lines]


def _grid(cells: list[RenderableType]) -> Table:
    grid = Table.grid(padding=(0, 1))
    for _ in cells:
        grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(*cells)
    return grid


def _line(text: Text) -> Text:
    """Return a line below a bar: indented, and cut off where the terminal ends."""
    line = Text(" " * _INDENT, no_wrap=True, overflow="ellipsis")
    return line.append_text(text)
