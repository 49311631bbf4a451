"""An unknown name of a flow or of the package is answered with the one that was probably meant."""

from __future__ import annotations

import asyncio
import copy
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest
import reactivex as rx

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError

from ..generate_other_names import foreign, rows  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from collections.abc import Callable

FLOW: Any = ps.just(1)
PLACES: dict[str, Any] = {"flow": FLOW, "op": op, "ps": ps}


def answer(place: str, name: str) -> str:
    """Return the error of an unknown name."""
    with pytest.raises(AttributeError) as caught:
        getattr(PLACES[place], name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "name", "advice"),
    [
        ("flow", "mapp", "Perhaps you want map."),
        ("flow", "switchMap", "Perhaps you want switch_map."),
        ("flow", "flatMap", "Perhaps you want flat_map_merge or map_async (8 at a time by default)."),
        ("flow", "window_with_time", "Perhaps you want window."),
        ("flow", "until", "Perhaps you want take_while (with the opposite condition and inclusive=True)."),
        ("flow", "just", "It is a name of penstock: penstock.just."),
        ("flow", "xyzzy", "The page Operators lists what there is."),
        ("op", "debounce_time", "Perhaps you want debounce."),
        ("op", "of", "Perhaps you want penstock.just."),
        ("op", "to_list", "It is a method of a flow: flow.to_list(...)."),
        ("ps", "of", "Perhaps you want just."),
        ("ps", "chain", "Perhaps you want concat."),
        ("ps", "batch", "It is an operator: flow.batch(...), or flow | penstock.operators.batch(...)."),
        ("ps", "xyzzy", "module 'penstock' has no attribute 'xyzzy'"),
    ],
)
def test_an_unknown_name_is_answered(place: str, name: str, advice: str) -> None:
    """A misspelt name, one in the style of JavaScript, and those of other libraries and places have an answer."""
    assert answer(place, name).endswith(advice)


def test_private_names_have_a_short_answer() -> None:
    """Python's own look-ups get no advice."""
    with pytest.raises(AttributeError, match=r"^a Flow has no '_xyzzy'$"):
        _ = FLOW._xyzzy
    assert not hasattr(FLOW, "xyzzy")
    assert asyncio.run(copy.copy(FLOW).to_list()) == [1]


@pytest.mark.parametrize("place", PLACES)
def test_every_name_of_the_tables_has_its_answer(place: str) -> None:
    """A flow, the operators and the package answer each foreign name with a name of ours from its row."""
    told = {(name, row.ours) for row in rows() for name in foreign(row)}
    assert len(told) > 200
    for name, ours in told:
        said = answer(place, name)
        assert any(one.rpartition(".")[2] in said for one in ours), (name, said)


def test_every_row_of_the_tables_has_a_name() -> None:
    """The names were understood, but for a few rows whose name of ours has words behind it."""
    assert len([row for row in rows() if not row.names]) < 10
    known = {name for row in rows() for name in row.names}
    assert known >= {"flatMap", "from_callback", "fork_join", "amap", "islice", "PriorityQueue"}


@pytest.mark.parametrize(
    ("mistake", "advice"),
    [
        (lambda: ps.merge(rx.of(1), FLOW), "use create"),
        (lambda: ps.from_observable(cast("Any", rx.of(1))), "use create"),
        (lambda: FLOW[0:2], "skip"),
        (lambda: FLOW[3], "element_at"),
        (lambda: list(FLOW), "async for"),
        (FLOW.distinct, r"^Flow\.distinct\(\) missing"),
        (lambda: asyncio.run(AsyncExitStack().enter_async_context(FLOW)), r"async with flow\.subscribe"),
    ],
)
def test_a_mistake_of_another_library_is_answered(mistake: Callable[[], object], advice: str) -> None:
    """An observable of RxPY, square brackets and ``async with`` are answered with what to write."""
    with pytest.raises((GraphError, TypeError), match=advice):
        mistake()


@pytest.mark.parametrize(
    "use",
    [
        lambda flow, f: flow.map_async(f).to_list(),
        lambda flow, f: flow.filter_async(f).to_list(),
        lambda flow, f: flow.tap_async(f).to_list(),
        lambda flow, f: flow.take_while_async(f).to_list(),
        lambda flow, f: flow.skip_while_async(f).to_list(),
        lambda flow, f: flow.for_each_async(f),
    ],
)
def test_a_plain_function_that_is_awaited_is_named(use: Callable[[Any, Any], Any]) -> None:
    """The error of Python has a note that names the operator for plain functions; one of the user has none."""

    async def mistaken(_: object) -> object:
        msg = "my await"
        raise TypeError(msg)

    for function, expected in ((lambda _: True, True), (mistaken, False)):
        with pytest.raises(TypeError, match="await") as caught:
            asyncio.run(use(ps.just(1), function))
        assert any("Pass an async function, or use" in note for note in caught.value.__notes__) is expected


def test_a_function_that_returns_a_list_is_sent_to_flat_map() -> None:
    """Operators that run a flow for each item name the one for lists."""
    made: Any = ps.just(1)
    with pytest.raises(GraphError, match="Use flat_map, which takes iterables"):
        asyncio.run(made.concat_map(lambda n: [n]).to_list())
