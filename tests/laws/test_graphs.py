"""Random compositions keep every law, under random schedules, cuts, cancellations and failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock.operators as op
from penstock.errors import NotResumable
from penstock.sources.from_iterable import from_iterable
from penstock.testing import RecordingLedger, laws

from ..length import LONG, cases  # noqa: TID252  tests are no installed package
from .entry import checkpointed
from .functions import a_while
from .graphs import subjects

if TYPE_CHECKING:
    from penstock.testing import TestSource

SCHEDULES = st.lists(st.sampled_from([1, 1, 2, 3, 5, 1000]), min_size=1, max_size=4)
SUBJECTS = subjects()
SMALL = subjects(most=4)


def examples(share: float) -> settings:
    """Return examples for a law, in proportion to ``share``: the costlier, the fewer."""
    times = 3 if LONG else 1.5
    return settings(max_examples=max(5, int(settings.default.max_examples * times * share)))


@examples(1)
@given(SUBJECTS, SCHEDULES)
def test_demand(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 1 holds for random graphs and schedules."""
    laws.demand(subject, schedule=schedule)


@examples(0.5)
@given(SMALL, st.sampled_from([2, 3, 10, 1000]))
def test_promptness(subject: laws.Subject, n: int) -> None:
    """Law 2 holds for random graphs, stalled after each item."""
    laws.promptness(subject, n=n)


@examples(0.5)
@given(SUBJECTS, SCHEDULES)
def test_ending(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 3 holds for random graphs, completed, and failed before each item."""
    laws.ending(subject, schedule=schedule)


@examples(0.5)
@given(SUBJECTS, SCHEDULES)
def test_prefix(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 4 holds for random graphs, failed and poisoned at each item."""
    laws.prefix(subject, schedule=schedule)


def test_prefix_where_inputs_change_each_others_items() -> None:
    """Law 4 holds where an item depends on other inputs, as a number of items does."""

    def numbered(a: TestSource, b: TestSource) -> Any:
        joined = a | op.concat(b) | op.enumerate()
        return joined | op.flat_map_merge(lambda pair: from_iterable([pair]), 1)

    laws.prefix(laws.Subject(numbered, ((0,), (50,))))


@examples(1)
@given(SUBJECTS, SCHEDULES)
def test_chunk_invariance(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 5 holds for random graphs and schedules."""
    laws.chunk_invariance(subject, schedule=schedule)


@examples(0.5)
@given(SUBJECTS, SCHEDULES)
def test_serial(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 6 holds for random graphs and schedules."""
    laws.serial(subject, schedule=schedule)


@examples(1)
@given(SUBJECTS, SCHEDULES, st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_cancel_safe(subject: laws.Subject, schedule: list[int], cuts: list[int]) -> None:
    """Law 7 holds for random graphs, cancelled at random turns of the loop."""
    laws.cancel_safe(subject, schedule=schedule, cuts=cuts)


@examples(0.2)
@given(SMALL, SCHEDULES)
def test_cancel_safe_at_every_turn(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 7 holds for random graphs, cancelled once at each turn of the loop."""
    laws.cancel_safe(subject, schedule=schedule)


@examples(0.5)
@given(SUBJECTS, SCHEDULES, st.integers(0, 60))
def test_closing(subject: laws.Subject, schedule: list[int], turn: int) -> None:
    """Law 8 holds for random graphs, closed in each state and at a random turn of the loop."""
    laws.closing(subject, schedule=schedule, turns=(turn,))


@examples(0.5)
@given(SUBJECTS, SCHEDULES)
def test_cold(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 9 holds for random graphs and schedules."""
    laws.cold(subject, schedule=schedule)


@examples(1)
@given(SUBJECTS, SCHEDULES, SCHEDULES, st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_position(subject: laws.Subject, schedule: list[int], again: list[int], cuts: list[int]) -> None:
    """Law 10 holds for random graphs, cut and resumed again and again, and failed at each item."""
    laws.position(subject, schedule=schedule, again=again, cuts=cuts)


@pytest.mark.parametrize("disorder", ["merge", "map_async"])
def test_position_within_an_expansion_behind_disorder(disorder: str) -> None:
    """Law 10 holds when a run is cut inside an expansion of an input that arrived out of order."""

    def merged(a: TestSource, b: TestSource) -> Any:
        return a | op.merge(b) | op.flat_map(lambda x: [x] * (x % 3))

    def overtaken(a: TestSource) -> Any:
        return a | op.map_async(a_while, 3, ordered=False) | op.flat_map(lambda x: [x] * (x % 3))

    if disorder == "merge":
        laws.position(laws.Subject(merged, ((0, 1, 2), (50, 51, 52))), schedule=(1,))
    else:
        laws.position(laws.Subject(overtaken, (tuple(range(6)),)), schedule=(1,))


def test_unordered_behind_skipped_pages() -> None:
    """Law 10 holds when a resumed run skips whole pages."""

    def factory(source: TestSource) -> Any:
        return source | op.map_async(a_while, 3, ordered=False)

    subject = laws.Subject(factory, ((0, 1, 2, 3, 4),), style="pages", page=(1, 2))
    for first in range(5):
        laws.position(subject, schedule=(1,), cuts=(first, 1))


def merged(a: TestSource, b: TestSource) -> Any:
    return a | op.merge(b)


def overtaken(a: TestSource) -> Any:
    return a | op.map_async(a_while, 2, ordered=False)


DISORDERS = pytest.mark.parametrize(
    ("disorder", "inputs"),
    [(merged, ((0, 1, 2), (50, 51, 52))), (overtaken, ((0, 1, 2, 3, 4),))],
    ids=["merge", "map_async"],
)


@DISORDERS
def test_unordered_behind_disorder(disorder: Any, inputs: tuple[tuple[int, ...], ...]) -> None:
    """An unordered stage behind inputs of no fixed order is not resumable."""
    subject = laws.Subject(
        lambda *sources: disorder(*sources) | op.map_async(a_while, 3, ordered=False), inputs
    )
    flow = subject.start().flow
    assert not flow.resumable
    laws.position(subject)
    with pytest.raises(NotResumable, match=r"map_async at .*ordered=True"):
        flow | op.checkpoint(RecordingLedger(), key="laws")


@DISORDERS
def test_ordered_behind_disorder(disorder: Any, inputs: tuple[tuple[int, ...], ...]) -> None:
    """With ``ordered=True``, as the refusal advises, law 10 holds for any order of the inputs."""
    for style in cases(["pages"], ["generator", "pages", "seekable"]):
        subject = laws.Subject(
            lambda *sources: disorder(*sources) | op.map_async(a_while, 3),
            inputs,
            style=style,
            page=(1, 2),
            keeps_order=disorder is merged,
        )
        laws.position(subject, schedule=(1,))
        for first in range(5):
            laws.position(subject, schedule=(1,), cuts=(first, 1, 2))


@examples(0.1)
@given(SUBJECTS, st.sampled_from([1, 7, 1_000_000]))
def test_fair(subject: laws.Subject, n: int) -> None:
    """Law 11 holds for random graphs."""
    laws.fair(subject, n=n, items=200)


@examples(0.2)
@given(SMALL, SCHEDULES)
def test_settled_by_demand(subject: laws.Subject, schedule: list[int]) -> None:
    """Law 12 holds for random graphs in front of a checkpoint."""
    laws.settled_by_demand(subject, attach=checkpointed, schedule=schedule)


@examples(0.5)
@given(SUBJECTS)
def test_errors_speak(subject: laws.Subject) -> None:
    """Law 13 holds for random graphs; the note names a line of the tests that built them."""
    laws.errors_speak(subject, file=".py")
