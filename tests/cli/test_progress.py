"""The views of progress, fed with events like hooks."""

from __future__ import annotations

import io
import re

import pytest

from penstock.document import Document
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.progress.bar import LiveProgress
from penstock.progress.view import PlainProgress, SilentProgress, Tally, is_live_terminal, summary_line
from penstock.statistics import StageStatistics, Statistics


def started(name: str) -> DocumentStarted:
    return DocumentStarted(0.0, "p", name, "pubmed")


def completed(name: str) -> DocumentCompleted:
    return DocumentCompleted(0.0, "p", name, "pubmed", Document(doc_id=name, source="pubmed"), 0.0)


def failed(name: str | None, error: str = "it broke", *, again: bool = False) -> DocumentFailed:
    return DocumentFailed(0.0, "p", name, "pubmed", error, "ValueError", will_retry=again)


def progress(
    done: int, *, total: int | None = None, rate: float = 0.0, eta: float | None = None
) -> BatchProgress:
    return BatchProgress(0.0, "p", done, 1, 2, 0, total, rate, eta)


def state(new: str) -> AdapterStateChange:
    return AdapterStateChange(0.0, "p", "pubmed", "running", new)


def test_documents_count_between_two_progress_events() -> None:
    """Each document changes the tally, and a progress event sets it."""
    tally = Tally()
    tally.take([started("a"), completed("a"), started("b"), failed("b", again=True), failed("b")])
    assert (tally.completed, tally.failed, tally.skipped) == (1, 1, 0)
    tally.take([progress(40, total=100, rate=8.0, eta=7.5)])
    assert (tally.completed, tally.failed, tally.skipped, tally.total, tally.rate, tally.eta) == (
        40, 1, 2, 100, 8.0, 7.5,
    )  # fmt: skip
    tally.take([completed("c")])
    assert tally.completed == 41


def test_an_attempt_that_is_retried_is_no_failure() -> None:
    """Only the final failure is counted and returned."""
    final = failed("b")
    assert Tally().take([failed("b", again=True), final]) == [final]


def test_the_summary_says_only_what_is_known() -> None:
    """Rate, share and time left are shown once events have them."""
    tally = Tally()
    assert summary_line(tally) == "0 done, 0 failed, 0 skipped"
    tally.take([progress(1200, total=30_000, rate=4912.3, eta=12.2)])
    assert summary_line(tally) == "1,200 done, 1 failed, 2 skipped, 4,912 docs/s, 4 % of 30,000, 12 s left"


class Hands:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_are_rate_limited() -> None:
    """The interval is five seconds at first, and later a twentieth of the elapsed time."""
    clock, out = Hands(), io.StringIO()
    face = PlainProgress(out, clock=clock)
    for _ in range(3600):
        face([progress(1)])
        clock.now += 1.0
    # five seconds each for the first 100, then intervals that grow with the run
    assert len(out.getvalue().splitlines()) in range(19 + 60, 19 + 80)


def test_a_retry_is_said_at_once() -> None:
    """A retry is shown at once."""
    out = io.StringIO()
    PlainProgress(out)([state("retrying")])
    assert out.getvalue() == "penstock: retrying: 0 done, 0 failed, 0 skipped\n"


def test_what_a_retry_waits_for_is_shown_while_it_waits() -> None:
    """The reason of a retry stands in the plain line and in the bar, and is gone once the source runs again."""
    why = "waiting 12 s for eutils.ncbi.nlm.nih.gov: 429 Too Many Requests (attempt 2 of 3)"
    waits = AdapterStateChange(0.0, "p", "pubmed", "failed", "retrying", why)
    out, face = io.StringIO(), LiveProgress(io.StringIO(), width=160)
    PlainProgress(out)([waits])
    assert out.getvalue() == f"penstock: retrying, {why}: 0 done, 0 failed, 0 skipped\n"
    face([waits])
    assert why in frame(face)
    face([state("running")])
    assert "waiting" not in frame(face)


def test_the_first_failures_are_named_and_the_flood_is_not() -> None:
    """Five failed documents are named, then one line says that the ledger has the others."""
    out = io.StringIO()
    PlainProgress(out)([failed(f"pubmed:{n}", f"error {n}") for n in range(99)])
    lines = out.getvalue().splitlines()
    assert lines[0] == "penstock: failed: pubmed:0: error 0"
    assert len(lines) == 6
    assert "ledger" in lines[5]


@pytest.mark.parametrize("face_of", [PlainProgress, LiveProgress])
def test_a_failed_document_cannot_command_the_terminal(face_of: type[PlainProgress | LiveProgress]) -> None:
    """Escape sequences in an id or a message are escaped, on a terminal and in a log."""
    out = io.StringIO()
    face_of(out)([failed("pubmed:\x1b]0;owned\x07", "bad\x9b2J\r[bold]x[/bold]"), failed(None)])
    text = out.getvalue()
    assert "pubmed:\\x1b]0;owned\\x07" in text
    assert "[bold]x[/bold]" in text
    assert "a record without an id" in text
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\r"}


def frame(face: LiveProgress) -> str:
    with face.console.capture() as captured:
        face.console.print(face.render())
    return captured.get().rstrip()


def test_the_bar_shows_done_failed_skipped_rate_and_time_left() -> None:
    """One frame at 100 columns has all values in one line."""
    face = LiveProgress(io.StringIO(), width=100)
    face([state("running"), progress(12_000, total=30_000, rate=5000.0, eta=3.6)])
    shown = frame(face)
    for word in ("12,000 done", "1 failed", "2 skipped", "5,000 docs/s", "3.6 s left", "━"):
        assert word in shown
    assert "\n" not in shown


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_frame_fits_the_terminal(width: int) -> None:
    """At any width all words are there, each in one piece, and no line is longer than the terminal is wide."""
    face = LiveProgress(io.StringIO(), width=width)
    face(
        [
            started("a"),
            failed("a", again=True),
            progress(1_234_567, total=30_000_000, rate=5000.0, eta=36_000),
        ]
    )
    shown = frame(face)
    assert max(map(len, shown.splitlines())) <= width
    assert (len(shown.splitlines()) == 1) == (width == 200)
    for word in ("pubmed", "1,234,567 done", "1 retrying", "2 skipped", "5,000 docs/s", "10 h 00 min left"):
        assert word in shown


def test_each_source_has_a_line_and_several_have_a_total() -> None:
    """Events are told apart by their run; a source that ended has a mark; the total adds up."""
    face = LiveProgress(io.StringIO(), width=100)
    face([started("a"), completed("a")])
    assert "total" not in frame(face)
    other = DocumentStarted(0.0, "q", "x", "europepmc")
    face(
        [other, *(DocumentCompleted(0.0, "q", "x", "europepmc", Document(doc_id="x", source="e"), 0.0),) * 2]
    )
    face([AdapterStateChange(0.0, "q", "europepmc", "running", "completed")])
    lines = frame(face).splitlines()
    assert [line.split()[1] for line in lines] == ["pubmed", "europepmc", "total"]
    assert ["1 done" in lines[0], "2 done" in lines[1], "3 done" in lines[2]] == [True] * 3
    assert lines[1].startswith("✓")
    assert face.tally.state == "running"


def test_a_document_is_retrying_until_it_ends() -> None:
    """The number of documents that wait for another attempt goes up and down."""
    tally = Tally()
    tally.take([failed("a", again=True), failed("b", again=True), failed("a", again=True)])
    assert tally.retrying == 2
    tally.take([completed("a")])
    assert tally.retrying == 1
    tally.take([failed("b")])
    assert (tally.retrying, tally.failed, tally.completed) == (0, 1, 1)


def test_later_failures_are_named_now_and_then() -> None:
    """After the first five, one failure in ten seconds is named, with the number of those before it."""
    clock, out = Hands(), io.StringIO()
    face = PlainProgress(out, every=1e9, clock=clock)
    for n in range(40):
        face([failed(f"pubmed:{n}")])
        clock.now += 1.0
    lines = out.getvalue().splitlines()
    assert lines[6] == "penstock: failed (9 more before it): pubmed:14: it broke"
    assert len(lines) == 9


def stage(name: str, waiting: float, upstream: float = 0.0, idle: float = 0.0) -> StageStatistics:
    return StageStatistics(name, 1, 1, 1, waiting, upstream=upstream, idle=idle)


def test_the_view_says_what_the_run_waited_for_in_the_last_second() -> None:
    """Two looks are compared: it is the stage, or the output, that took most of the time in between."""
    clock, out = Hands(), io.StringIO()
    face = PlainProgress(out, every=0.5, clock=clock)
    looks = [
        (stage("from_pages", 5.0), stage("documents", 6.0, 5.0)),
        (stage("from_pages", 5.1), stage("documents", 8.0, 5.1)),
        (stage("from_pages", 5.1), stage("documents", 8.1, 5.1, idle=3.0)),
        (stage("from_pages", 0.0), stage("map", 1.0, 0.0)),
    ]
    shown = []
    seen: list[tuple[StageStatistics, ...]] = []
    face.watch(lambda: Statistics(seen[-1]))
    for look in looks:
        seen.append(look)
        clock.now += 1.0
        shown.append(face.waits_for())
    assert shown == ["the source", "parsing and steps", "the output", "map"]
    seen.clear()  # now it fails
    clock.now += 1.0
    assert face.waits_for() == "map"
    face([progress(1)])
    assert out.getvalue().endswith(", waits for map\n")


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_is_obeyed(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable NO_COLOR a terminal gets no colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    face = LiveProgress(Terminal(), width=80)
    face([progress(3, total=9), failed("a")])
    coloured = re.search(r"\x1b\[(\d+;)*3\d", frame(face))
    assert bool(coloured) != no_color


def test_silence_is_kept() -> None:
    """``--no-progress`` shows neither progress nor failed documents, only lines of ``say``."""
    out = io.StringIO()
    face = SilentProgress(out)
    face([progress(5), failed("a")])
    assert out.getvalue() == ""
    face.say("stopping")
    assert out.getvalue() == "penstock: stopping\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_needs_a_terminal_that_can_move_its_cursor() -> None:
    """A pipe and a dumb terminal get plain lines."""
    assert is_live_terminal(Terminal(), "xterm")
    assert not is_live_terminal(Terminal(), "dumb")
    assert not is_live_terminal(io.StringIO(), "xterm")


def test_events_of_a_type_that_is_not_known_are_ignored() -> None:
    """An unknown event of a later version is ignored."""
    Tally().take([PipelineEvent(0.0, "p")])
