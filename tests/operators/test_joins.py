"""The joins as functions: ``ps.merge(a, b)`` is ``a | op.merge(b)``."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.runtime.graph import resolve

if TYPE_CHECKING:
    from penstock.runtime.node import Node

JOINS: dict[str, dict[str, Any]] = {
    "concat": {},
    "merge": {"concurrency": 2, "delay_errors": True},
    "interleave": {},
    "merge_sorted": {"reverse": True},
    "race": {},
    "zip": {"strict": True},
    "combine_latest": {},
    "zip_latest": {"partial": False, "default": 0},
    "zip_longest": {"fillvalue": 0},
}
"""The joins, each with arguments that are not the default."""


def shape(node: Node) -> tuple[Any, ...]:
    """Return the graph above a node, without the places where it was assembled."""
    return type(node), node.parameters, [shape(above) for above in node.inputs]


@pytest.mark.parametrize("name", JOINS)
def test_a_function_of_many_builds_the_graph_of_the_operator(name: str) -> None:
    """From flows or from one iterable of them, one flow included: the same nodes and the same positions."""
    function, operator = getattr(ps, name), getattr(op, name)
    for count in (1, 2, 3):
        flows = [ps.just(k, k + 1) for k in range(count)]
        for options in ({}, JOINS[name]):
            wanted = (flows[0] | operator(*flows[1:], **options)).node
            for given in (flows, [flows], [iter(flows)]):
                built = function(*given, **options).node
                assert shape(built) == shape(wanted)
                assert resolve(built).ids == resolve(wanted).ids


@pytest.mark.parametrize("name", JOINS)
def test_a_join_of_no_flow_is_empty(name: str) -> None:
    """It completes at once, and its arguments are checked all the same."""
    function = getattr(ps, name)
    assert asyncio.run(function().to_list()) == asyncio.run(function([], **JOINS[name]).to_list()) == []


def test_joins_of_many_are_those_of_itertools() -> None:
    """The items are those that Python's own functions of many iterables yield."""
    inputs = [[1, 5, 6], [2, 3, 7], [0, 4, 8]]
    flows = [ps.from_iterable(items) for items in inputs]

    async def main() -> list[list[Any]]:
        return [
            await ps.concat(flows).to_list(),
            await ps.merge(flows, concurrency=1).to_list(),
            await ps.merge_sorted(flows).to_list(),
            await ps.zip(flows).to_list(),
            await ps.interleave(flows).to_list(),
        ]

    chained = list(itertools.chain(*inputs))
    tuples = list(zip(*inputs, strict=True))
    in_turn = list(itertools.chain(*tuples))
    assert asyncio.run(main()) == [chained, chained, list(heapq.merge(*inputs)), tuples, in_turn]


@pytest.mark.parametrize("name", JOINS)
def test_what_is_no_flow_is_refused(name: str) -> None:
    """The error names the function and the line, also for the only argument and for one in a list."""
    for given in ([3], [ps.just(1), 3], [[3]], [[ps.just(1), None]]):
        with pytest.raises(GraphError, match=rf"each argument of {name} must be a Flow, not .*test_joins.py"):
            getattr(ps, name)(*given)
    with pytest.raises(GraphError, match=r"merge\(concurrency=0\)"):
        ps.merge(concurrency=0)
