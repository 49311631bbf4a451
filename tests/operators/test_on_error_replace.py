"""``on_error_replace``: a value takes the place of each item on which the function in front of it fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from expression import Error, Ok

import penstock as ps
from penstock.errors import GraphError
from penstock.testing import run

WORDS = ps.just("1", "x", "3")


async def number(text: str) -> int:
    await asyncio.sleep(1)
    return int(text)


def parsed(text: str) -> Any:
    return Ok(int(text)) if text.isdecimal() else Error(ValueError(text))


COVERED: dict[str, Any] = {
    "map": WORDS.map(int),
    "filter": WORDS.filter(int),
    "tap": WORDS.tap(int),
    "starmap": WORDS.map(lambda text: (text,)).starmap(int),
    "distinct": WORDS.distinct(int, capacity=9),
    "scan": WORDS.scan(lambda total, text: total + int(text), 0),
    "stateful": WORDS.stateful(0, lambda state, text: (state + 1, [int(text)])),
    "take_while": WORDS.take_while(int),
    "flat_map": WORDS.flat_map(lambda text: [int(text)]),
    "map_async": WORDS.map_async(number),
    "filter_async": WORDS.filter_async(number),
    "map_thread": WORDS.map_thread(int),
    "tap_async": WORDS.tap_async(number),
    "scan_async": WORDS.scan_async(lambda total, text: number(text), 0),
    "take_while_async": WORDS.take_while_async(number),
    "unwrap": WORDS.map(parsed).unwrap(),
    "behind others": WORDS.map(int).on_error_skip(print, errors=KeyError).tap_error(print).log(),
}


@pytest.mark.parametrize("name", COVERED)
def test_the_value_stands_in_the_place_of_the_item(name: str) -> None:
    """Each operator that calls a function for each item goes on behind the failure, with its state as before."""
    items = run(COVERED[name].on_error_replace(None).to_list())
    assert [item is None for item in items] == [False, True, False]
    assert name != "scan" or items == [1, None, 4]


def test_a_row_of_plain_operators_is_covered_as_a_whole() -> None:
    """The operators behind the one that failed do not see the value; the error and the item are told."""
    seen: list[int] = []
    flow = WORDS.map(int).tap(seen.append).filter(lambda n: 1 // (n - 3))
    replaced = flow.on_error_replace(by=lambda error, item: (type(error), item))
    assert run(replaced.to_list()) == [1, (ValueError, "x"), (ZeroDivisionError, 3)]
    assert seen == [1, 3]


def test_what_it_does_not_cover_goes_on_to_the_next_one() -> None:
    """Errors from further up, of other kinds, beyond the limit, or of its own function are not replaced."""
    for flow in (
        WORDS.map(int).buffer(2).map(str).on_error_replace(""),
        WORDS.map(int).scan(max).on_error_replace(0),
        WORDS.map(int).on_error_replace(0, errors=KeyError),
        WORDS.map(int).on_error_replace(by=lambda error, item: int(item)),
    ):
        with pytest.raises(ValueError, match="invalid literal"):
            run(flow.to_list())
        told: list[Any] = []
        assert len(run(flow.on_error_skip(lambda _, item, told=told: told.append(item)).to_list())) == 2
        assert told == ["x"]
    again = WORDS.map(int).on_error_replace(0, errors=KeyError).on_error_replace(-1, errors=ValueError)
    assert run(again.to_list()) == [1, -1, 3]
    with pytest.raises(ValueError, match="'y'") as caught:
        run(ps.just("x", "y").map(int).on_error_replace(0, limit=1).to_list())
    assert "had replaced 1 items, its limit" in caught.value.__notes__[-1]


def test_map_error_between_changes_the_error() -> None:
    """An error that ``map_error`` replaced is the one that counts."""
    flow = WORDS.map(int).map_error(lambda error: KeyError()).on_error_replace(0, errors=KeyError)
    assert run(flow.to_list()) == [1, 0, 3]


def test_a_request_gets_no_more_than_it_asked_for() -> None:
    """Values count as items."""

    async def main() -> list[list[int]]:
        flow = ps.just("1", "x", "y", "2").map(int).on_error_replace(0)
        async with flow.subscribe() as subscription:
            return [await subscription.request(n) for n in (2, 1, 5)]

    assert run(main()) == [[1, 0], [0], [2]]


def test_wrong_uses_are_refused() -> None:
    """It needs an operator with a function in front of it, and either a value or ``by``."""
    with pytest.raises(GraphError, match="buffer before it calls no function"):
        WORDS.map(int).buffer(2).on_error_replace(0)
    with pytest.raises(GraphError, match="nothing to replace"):
        WORDS.map(int).batch(2).on_error_replace([])
    with pytest.raises(GraphError, match="as by="):
        WORDS.map(int).on_error_replace(repr)
    with pytest.raises(GraphError, match="either a value or by"):
        WORDS.map(int).on_error_replace(1, by=lambda error, item: 2)  # type: ignore[call-overload]
