"""The terminals that return one result, compared with plain Python."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.errors import GraphError, NoItem, TooManyItems
from penstock.testing import TestSource, run

if TYPE_CHECKING:
    from collections.abc import Callable


def tens(x: int) -> int:
    return x // 10


def large(x: int) -> bool:
    return x > 50


def single(items: list[int]) -> int:
    (item,) = items
    return item


ORACLES: list[tuple[Callable[[Any], Any], Callable[[list[int]], Any]]] = [
    (lambda flow: flow.any(), any),
    (lambda flow: flow.all(), all),
    (lambda flow: flow.any(large), lambda items: any(map(large, items))),
    (lambda flow: flow.all(large), lambda items: all(map(large, items))),
    (lambda flow: flow.min(), min),
    (lambda flow: flow.max(), max),
    (lambda flow: flow.min(tens), lambda items: min(items, key=tens)),
    (lambda flow: flow.max(tens), lambda items: max(items, key=tens)),
    (lambda flow: flow.max(tens, default=-1), lambda items: max(items, key=tens, default=-1)),
    (lambda flow: flow.min(default=-1), lambda items: min(items, default=-1)),
    (lambda flow: flow.sum(), sum),
    (lambda flow: flow.sum(5), lambda items: sum(items, 5)),
    (lambda flow: flow.to_set(), set),
    (lambda flow: flow.to_dict(tens), lambda items: {tens(x): x for x in items}),
    (lambda flow: flow.to_dict(tens, str), lambda items: {tens(x): str(x) for x in items}),
    (lambda flow: flow.head(3), lambda items: items[:3]),
    (lambda flow: flow.single(), single),
    (lambda flow: flow.reduce(max), lambda items: functools.reduce(max, items)),
    (
        lambda flow: flow.reduce(lambda a, b: 2 * a + b),
        lambda items: functools.reduce(lambda a, b: 2 * a + b, items),
    ),
]


@given(st.lists(st.integers(0, 99), max_size=6), st.sampled_from(["plain", "fused", "reshaped"]))
def test_terminals_do_what_python_does(items: list[int], shape: str) -> None:
    """The result, or whether there is one, is that of plain Python, behind flows of several kinds."""
    flow: Any = ps.from_iterable(items)
    if shape == "fused":
        flow = flow.map(lambda x: x + 1).filter(lambda x: x % 2).map(lambda x: x - 1)
        items = [x for x in items if (x + 1) % 2]
    elif shape == "reshaped":
        flow = flow.batch(2).unbatch()
    for terminal, oracle in ORACLES:
        try:
            wanted = oracle(items)
        except (ValueError, TypeError):
            with pytest.raises((NoItem, TooManyItems)):
                run(terminal(flow))
        else:
            assert run(terminal(flow)) == wanted


def test_single_has_a_default_for_an_empty_flow_only() -> None:
    """A second item is an error with a default, too."""
    assert run(ps.empty().single(None)) is None
    with pytest.raises(TooManyItems):
        run(ps.just(1, 2).single(None))


@pytest.mark.parametrize(
    ("terminal", "requested"),
    [
        (lambda flow: flow.head(3), 3),
        (lambda flow: flow.head(0), 0),
        (lambda flow: flow.first(), 1),
        (lambda flow: flow.single(), 2),
    ],
)
def test_some_terminals_say_how_much_they_request(terminal: Any, requested: int) -> None:
    """No source produces more, and it is closed."""

    async def main() -> None:
        source = TestSource(range(50), style="generator")
        with contextlib.suppress(TooManyItems):
            await terminal(source)
        assert source.counts.handed == requested
        assert source.counts.opened == source.counts.closed

    run(main())


def test_any_and_all_stop_early() -> None:
    """They call the predicate no more once they know, and close an endless source."""
    asked: list[int] = []

    def small(x: int) -> bool:
        asked.append(x)
        return x < 3

    async def main() -> None:
        for terminal in ("any", "all"):
            source = TestSource(range(10_000), style="generator")
            flow: Any = source
            assert await getattr(flow, terminal)(small) is (terminal == "any")
            assert source.counts.opened == source.counts.closed == 1
            assert source.counts.handed < 20

    run(main())
    assert asked == [0, 0, 1, 2, 3]


def test_an_error_of_a_function_names_the_terminal() -> None:
    """The note says which terminal called it, and where."""

    async def main() -> None:
        await ps.just(0).any(lambda x: 1 / x)

    with pytest.raises(ZeroDivisionError) as caught:
        run(main())
    assert "penstock: in any at" in caught.value.__notes__[0]
    assert "test_terminals.py" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["any", "all", "min", "max", "to_dict", "reduce"])
def test_what_is_no_function_is_refused(name: str) -> None:
    """Nothing runs."""
    flow: Any = ps.just(1)
    with pytest.raises(GraphError, match=f"{name} takes a function"):
        run(getattr(flow, name)(3))
