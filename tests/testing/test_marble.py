"""Marble strings: their syntax, the sources that play them, and the messages of a mismatch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.observable.marbles import parse as reactivex_parse

import penstock.operators as op
from penstock.sources.trivial import just, never
from penstock.testing import MarbleMismatch, Planted, expect, marbles, run
from penstock.testing.marble import Marble, parse_marbles


def test_the_syntax() -> None:
    """One step per character; a group is at its parenthesis; spaces take no time; values have names."""
    assert parse_marbles("a-b (cd)-|", {"c": 3}) == [
        Marble(0, "next", "a"),
        Marble(2, "next", "b"),
        Marble(3, "next", 3),
        Marble(3, "next", "d"),
        Marble(8, "completed"),
    ]
    assert parse_marbles("--#") == [Marble(2, "error")]
    assert parse_marbles("(ab|)")[-1] == Marble(0, "completed")


PARTS = st.lists(st.sampled_from(["-", "--", "a", "b", "c", " ", "(ab)", "(c)"]), max_size=8)


@given(PARTS, st.sampled_from(["|", "#", "", "(a|)"]))
def test_diagrams_mean_the_same_as_in_rx(parts: list[str], end: str) -> None:
    """Random diagrams mean the same as in ``reactivex`` (which needs commas in groups)."""
    diagram = "-".join(parts) + "-" + end
    theirs = reactivex_parse(commas(diagram), timespan=1.0)
    kinds = {"N": "next", "C": "completed", "E": "error"}
    wanted = [
        (at - shift(diagram, at), kinds[what.kind], getattr(what, "value", None)) for at, what in theirs
    ]
    assert [tuple(marble) for marble in parse_marbles(diagram)] == wanted


def commas(diagram: str) -> str:
    """Write ``(ab)`` as ``(a,b)`` for reactivex."""
    return diagram.replace("(ab)", "(a,b)").replace("(a|)", "(a,|)")


def shift(diagram: str, at: float) -> int:
    """Return how many commas reactivex has counted as steps before the step ``at``."""
    commas_before, step = 0, 0
    for character in commas(diagram):
        if step >= at:
            break
        if character == ",":
            commas_before += 1
        step += character != " "
    return commas_before


@pytest.mark.parametrize("diagram", ["a|b", "((a))", "(a-b)", "a)", "(a", "#|", "(|a)"])
def test_an_invalid_diagram_is_refused(diagram: str) -> None:
    """An invalid diagram raises at once, with a mark under the character."""
    with pytest.raises(ValueError, match=r"\^"):
        marbles(diagram)


@pytest.mark.parametrize("diagram", ["", "|", "a", "a-b-(cd)-|", "---a#", "(ab|)", "-a-(bc)---d"])
@pytest.mark.parametrize("step", [1.0, 0.25, 3600.0])
def test_a_source_plays_what_is_drawn(diagram: str, step: float) -> None:
    """A flow of ``marbles`` equals its own diagram."""
    expect(marbles(diagram, step=step), step=step).to_be(diagram)


def test_values_and_errors_stand_for_characters() -> None:
    """Operators compute with the values, and ``#`` raises the given error."""
    numbers = marbles("1-2-3-#", {"1": 1, "2": 2, "3": 3}, error=KeyError("gone"))
    expect(numbers | op.map(lambda n: n * n), {"a": 1, "b": 4, "c": 9}).to_be("a-b-c-#", error=KeyError)


def test_time_goes_on_while_nobody_asks() -> None:
    """A marble source is a timeline: an item that is overdue comes at once when it is requested."""

    async def main() -> list[Any]:
        loop, seen = asyncio.get_running_loop(), []
        async with marbles("a-b-c|").subscribe() as subscription:
            for pause in (0, 10, 0):
                await asyncio.sleep(pause)
                seen.append((await subscription.request(1), loop.time()))
        return seen

    assert run(main()) == [(["a"], 0), (["b"], 10), (["c"], 10)]


def test_operators_of_time_can_be_drawn() -> None:
    """Two merged inputs can be drawn aligned below each other."""
    left = marbles("a---b---|")
    right = marbles("--x---y-|")
    expect(left | op.merge(right)).to_be("a-x-b-y-|")


def mismatch(flow: Any, diagram: str, **options: Any) -> list[str]:
    with pytest.raises(MarbleMismatch) as caught:
        expect(flow, **options.pop("known", {})).to_be(diagram, **options)
    return str(caught.value).splitlines()


def test_a_mismatch_shows_both_under_each_other() -> None:
    """The message has the first difference in words, and the two diagrams."""
    assert mismatch(marbles("a-b-(cd)-|"), "a--b(cd)-|") == [
        "expected 'b' at step 3, but 'b' at step 2 came",
        "  expected  a--b(cd)-|",
        "  came      a-b-(cd)-|",
    ]


@pytest.mark.parametrize(
    ("flow", "diagram", "text"),
    [
        (just("a"), "a-", "the end at step 0 came too"),
        (never(), "-|", "the end at step 1 did not come"),
        (marbles("a-#"), "a-|", "expected the end at step 2, but an error at step 2 came"),
        (marbles("a|", step=0.5), "a|", "the end at step 0.5"),
        (just(7), "(a|)", "expected 'a' at step 0, but 7 at step 0 came"),
    ],
)
def test_each_mismatch_says_why(flow: Any, diagram: str, text: str) -> None:
    """The message names another item, a missing one, an extra one, and another time."""
    assert text in mismatch(flow, diagram)[0]


def test_an_error_of_another_kind_is_a_mismatch() -> None:
    """``#`` is any error, unless the test names a type; the mismatch has the error as its cause."""
    expect(marbles("#")).to_be("#")
    with pytest.raises(MarbleMismatch, match="it failed with Planted") as caught:
        expect(marbles("#")).to_be("#", error=ValueError)
    assert isinstance(caught.value.__cause__, Planted)


def test_signals_that_cannot_be_drawn_are_listed() -> None:
    """Items within the steps of a group, or between two steps, are listed in words."""
    tight = marbles("(ab)", step=0.25)
    assert mismatch(tight | op.merge(marbles("-c|")), "(ab)c|")[-1].startswith("  came      cannot be drawn")
