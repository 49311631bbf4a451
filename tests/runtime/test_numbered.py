"""The watermark and the pages of numbered inputs, against a model that keeps everything."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from penstock.runtime.numbered import NumberedInputs


def marks_of(page: int) -> Any:
    """Return marks that tell their page and offset."""
    return lambda offset: {"up": (page, offset)}


def where(pages: list[int], low: int) -> tuple[int, int]:
    """Return the page and offset of an input; behind the last page, its end."""
    for page, count in enumerate(pages):
        if low < count:
            return page, low
        low -= count
    return len(pages) - 1, pages[-1] if pages else 0


@given(
    st.lists(st.one_of(st.integers(0, 5), st.tuples(st.integers(0, 30), st.integers(1, 4))), max_size=20),
    st.sets(st.integers(1, 12)),
)
def test_the_watermark_is_the_first_unsettled_input(
    steps: list[int | tuple[int, int]], before: set[int]
) -> None:
    """Pages arrive and inputs are settled in any order; what an earlier run settled is never returned."""
    inputs, pages, settled = NumberedInputs(marks_of(-1), before), list[int](), set(before)
    for step in steps:
        fetched = sum(pages)
        if isinstance(step, int):
            if step:
                pages.append(step)
                assert list(inputs.fetch(step, marks_of(len(pages) - 1))) == [
                    n for n in range(fetched, fetched + step) if n not in before
                ]
            continue
        numbers = [n for n in range(step[0], step[0] + step[1]) if n < fetched and n not in settled]
        ahead = inputs.marks()(numbers)
        inputs.settle(numbers)
        settled |= set(numbers)
        low = next(n for n in range(fetched + 1) if n not in settled or n == fetched)
        assert (inputs.low, inputs.fetched, inputs.span) == (low, fetched, fetched - low)
        marks, offset = inputs.place()
        assert marks(offset) == {"up": where(pages, low)}
        assert inputs.beyond() == sorted(n - low for n in settled if n >= low)
        assert ahead == inputs.marks()(()) == (marks(offset), inputs.beyond())


def test_inputs_settled_in_order_need_no_numbers() -> None:
    """``settle_next`` moves the watermark by a count."""
    inputs = NumberedInputs(marks_of(-1))
    assert inputs.place()[0](0) == {"up": (-1, 0)}
    inputs.fetch(3, marks_of(0))
    inputs.fetch(2, marks_of(1))
    inputs.settle_next(4)
    assert inputs.marks()(()) == ({"up": (1, 1)}, [])


def test_an_upstream_that_was_started_again_has_new_marks_behind_the_inputs_taken() -> None:
    """The inputs taken before keep theirs."""
    inputs = NumberedInputs(marks_of(0))
    inputs.fetch(2, marks_of(1))
    inputs.fetch(0, marks_of(2))
    assert inputs.marks()([0]) == ({"up": (1, 1)}, [])
    assert inputs.marks()([1, 0]) == ({"up": (2, 0)}, [])
