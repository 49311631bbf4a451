"""An unknown name of a flow or of the package is answered with the one that was probably meant."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
from penstock.errors import GraphError
from penstock.runtime.other_names import OPERATORS, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

FLOW: Any = ps.just(1)
PACKAGE: Any = ps


@pytest.mark.parametrize(
    ("name", "ours"),
    [("mapp", "map"), ("switchMap", "switch_map"), ("mergeMap", "flat_map_merge"), ("chunks", "batch")],
)
def test_a_flow_names_the_operator(name: str, ours: str) -> None:
    """A misspelt name, one in the style of JavaScript, and those of other libraries have an answer."""
    with pytest.raises(AttributeError, match=rf"test_unknown_names.py:\d+\. Perhaps you want {ours}\.$"):
        getattr(FLOW, name)


def test_a_name_like_no_other_has_no_guess() -> None:
    """The message then says where the names are; Python's own look-ups get a short answer."""
    with pytest.raises(AttributeError, match="The page Operators lists"):
        _ = FLOW.xyzzy
    with pytest.raises(AttributeError, match=r"^a Flow has no '_xyzzy'$"):
        _ = FLOW._xyzzy
    assert not hasattr(FLOW, "xyzzy")
    assert asyncio.run(copy.copy(FLOW).to_list()) == [1]


def test_the_package_names_the_source() -> None:
    """A name of another library and an operator in the package have an answer."""
    with pytest.raises(AttributeError, match=r"Perhaps you want just\.$"):
        _ = PACKAGE.of
    with pytest.raises(AttributeError, match=r"It is an operator: flow\.batch"):
        _ = PACKAGE.batch
    with pytest.raises(AttributeError, match=r"^module 'penstock' has no attribute 'xyzzy'$"):
        _ = PACKAGE.xyzzy


def test_each_answer_exists_and_no_name_is_ours() -> None:
    """The tables lead to names that exist, from names that do not."""
    for other, ours in OPERATORS.items():
        assert ours == "flow | operator" or ours in dir(ps.Flow), ours
        assert other not in dir(ps.Flow), other
    for other, ours in SOURCES.items():
        assert ours in ps.__all__, ours
        assert other not in ps.__all__, other


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
