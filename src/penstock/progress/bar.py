"""The live progress bar, drawn with rich. Imported only if stderr is a terminal."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from penstock.errors import MissingExtra
from penstock.progress.view import ENDED, ProgressView, Tally
from penstock.text import count, duration

try:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
except ImportError as error:  # pragma: no cover - proved in a subprocess by tests/cli/test_cli.py
    raise MissingExtra("The live bar", "cli") from error

if TYPE_CHECKING:
    from typing import Self, TextIO

    from rich.console import RenderableType

_FRAMES_PER_SECOND = 4
_WIDEST_BAR = 40
_SMALLEST_BAR = 6
_INDENT = 2
_GAP = 2
_MOST_SOURCES = 10


class _Signs(NamedTuple):
    """The characters of a view."""

    turning: str
    done: str
    half: str
    rest: str
    completed: str
    ended: str


_UNICODE = _Signs("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "━", "╸", "─", "✓", "✗")
_ASCII = _Signs("|/-\\", "=", " ", "-", "+", "x")


class LiveProgress(ProgressView):
    """A live view: a line for each source, a total if there are several, and what the run waits for.

    A line has a bar, the documents that are done, failed, retrying and skipped, documents per second, and the
    time left. In a narrow terminal it continues on further lines. The hook only counts. A thread of rich
    draws, also while no events arrive.
    """

    def __init__(self, stream: TextIO, *, width: int | None = None) -> None:
        super().__init__(stream)
        self.console = Console(file=stream, highlight=False, markup=False, emoji=False, width=width)
        self._signs = _ASCII if self.console.options.ascii_only else _UNICODE
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
        """Draw one frame: one text, because a table for each line costs three times as much."""
        sources = [*self.sources.values()] or [Tally()]
        tallies = sources[-_MOST_SOURCES:]
        if len(sources) > 1:
            tallies = [*tallies, self.tally]
        names = max(len(tally.name) for tally in tallies)
        widest = max(_joined(_words(tally)).cell_len for tally in tallies)
        lines = [line for tally in tallies for line in self._lines(tally, names, widest)]
        if len(sources) > _MOST_SOURCES:
            lines.insert(0, Text(f"  {len(sources) - _MOST_SOURCES} earlier sources", style="dim"))
        if waits := self.waits_for():
            lines.append(Text.assemble("  ", (f"waits for {waits}", "dim")))
        for line in lines:
            line.truncate(self.console.width, overflow="ellipsis")
        return Text("\n", no_wrap=True).join(lines)

    def _lines(self, tally: Tally, names: int, widest: int) -> list[Text]:
        """Draw a source: on one line if all sources fit, otherwise its words on lines below its bar."""
        frame = int(monotonic() * _FRAMES_PER_SECOND)
        head = Text.assemble(
            (self._mark(tally, frame), "cyan"), f" {tally.name.ljust(names)}" if names else ""
        )
        words = _words(tally)
        room = self.console.width - head.cell_len - 1
        beside = min(_WIDEST_BAR, room - widest - 1)
        if beside >= _SMALLEST_BAR:
            head.append(" ").append_text(self._bar(tally, beside, frame))
            return [head.append(" ").append_text(_joined(words))]
        if room >= _SMALLEST_BAR:
            head.append(" ").append_text(self._bar(tally, min(_WIDEST_BAR, room), frame))
        below = _wrapped(words, self.console.width - _INDENT)
        return [head, *(Text(" " * _INDENT).append_text(line) for line in below)]

    def _mark(self, tally: Tally, frame: int) -> str:
        signs = self._signs
        if tally.state in ENDED:
            return signs.completed if tally.state == "completed" else signs.ended
        return signs.turning[frame % len(signs.turning)]

    def _bar(self, tally: Tally, width: int, frame: int) -> Text:
        """Draw a bar in colours of the terminal's own palette. Without a total, a piece of it moves."""
        signs = self._signs
        if not tally.total and tally.state not in ENDED:
            at, piece = frame % width, max(2, width // 5)
            lit = [signs.done if (place - at) % width < piece else signs.rest for place in range(width)]
            return Text("".join(lit), style="green")
        part = tally.settled / tally.total if tally.total else 1.0
        halves = min(2 * width, int(2 * width * part))
        bar = Text(signs.done * (halves // 2) + signs.half * (halves % 2), style="green")
        return bar.append(signs.rest * (width - (halves + 1) // 2), style="bright_black")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Remove the bar and show the cursor again."""
        self._live.stop()


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
        why = tally.reason or "source retrying"
        words.append(Text("starting" if tally.state == "starting" else why, style="magenta"))
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
