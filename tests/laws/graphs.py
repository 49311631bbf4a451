"""Random graphs for the laws: chains of operators, some joined, each with its model."""

from __future__ import annotations

import heapq
import itertools
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

import penstock.operators as op
from penstock.sources.from_iterable import from_iterable
from penstock.testing import laws
from penstock.testing.script import Sleep, Wait

from .functions import a_turn, a_while, add, at_once, five, half, lazily, small, square, third, total
from .models import (
    all_but_last,
    batched,
    changed,
    equal,
    flat,
    in_turn,
    last,
    or_default,
    scanned,
    split_at_fives,
    taken,
    unseen,
    windows,
)
from .steps import NEWER, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def summed(size: int) -> Step:
    """Return a batch that sums each list, so that the next step gets integers."""
    return Step(
        f"batch({size})|map(sum)",
        lambda flow: flow | op.batch(size) | op.map(sum),
        lambda items: map(sum, batched(size)(items)),
        free=False,
        folds=True,
    )


def numbered(items: Iterator[int]) -> Iterator[int]:
    return (i * 1000 + x for i, x in enumerate(items))


def _map_async(function: Any, concurrency: int, window: int | None, *, ordered: bool) -> Step:
    return Step(
        f"map_async({function.__name__}, {concurrency}, {window}, {ordered})",
        lambda flow: flow | op.map_async(function, concurrency, window=window, ordered=ordered),
        lambda items: map(add, items),
        disorders=not ordered,
        prefetches=True,
    )


counts = st.integers(0, 8)
sizes = st.integers(1, 4)


def _last(k: int) -> st.SearchStrategy[Step]:
    return st.sampled_from(
        [
            Step(f"skip_last({k})", op.skip_last(k), all_but_last(k), free=False, folds=True),
            Step(
                f"take_last({k})",
                op.take_last(k),
                last(k),
                free=False,
                folds=True,
            ),
        ]
    )


def _sliding(size: int, step: int, *, partial: bool) -> Step:
    return Step(
        f"sliding({size}, {step}, {partial})|map(sum)",
        lambda flow: flow | op.sliding(size, step, partial=partial) | op.map(sum),
        lambda items: map(sum, windows(size, step, partial=partial)(items)),
        free=False,
        folds=True,
    )


def _split(keep: str | None) -> Step:
    return Step(
        f"split({keep})|map(sum)",
        lambda flow: flow | op.split(five, keep=keep) | op.map(sum),
        lambda items: map(sum, split_at_fives(keep)(items)),
        free=False,
        folds=True,
    )


def _shapes() -> list[st.SearchStrategy[Step]]:
    return [
        sizes.flatmap(_last),
        st.builds(
            lambda size, step, partial: _sliding(size, step, partial=partial), sizes, sizes, st.booleans()
        ),
        st.sampled_from([None, "before", "after"]).map(_split),
        sizes.map(
            lambda k: Step(f"distinct({k})", op.distinct(square, capacity=k), unseen(square, k), free=False)
        ),
        st.just(
            Step(
                "pairwise|map(sum)",
                lambda flow: flow | op.pairwise() | op.map(sum),
                lambda items: map(sum, itertools.pairwise(items)),
                free=False,
                folds=True,
            )
        ),
        st.just(
            Step(
                "start_with",
                op.start_with(1, 2),
                lambda items: itertools.chain((1, 2), items),
                adds=True,
                free=False,
            )
        ),
        st.just(Step("default_if_empty", op.default_if_empty(5), or_default(5), adds=True, free=False)),
        st.just(
            Step(
                "collect(sum)",
                op.collect(sum),
                lambda items: (sum(all_of_it) for all_of_it in [items]),
                adds=True,
                free=False,
                folds=True,
            )
        ),
        st.just(
            Step(
                "batch(2)|unbatch",
                lambda flow: flow | op.batch(2) | op.unbatch(),
                lambda items: itertools.chain.from_iterable(batched(2)(items)),
                free=False,
                folds=True,
            )
        ),
    ]


STEPS: st.SearchStrategy[Step] = st.one_of(
    *(NEWER[:1] * 8),
    *NEWER[1:],
    st.just(Step("map", op.map(add), lambda items: map(add, items))),
    st.just(Step("filter", op.filter(third), lambda items: filter(third, items))),
    st.just(Step("flat_map", op.flat_map(lazily), flat(lazily))),
    st.just(Step("scan", op.scan(total, 0), scanned(total, 0), free=False)),
    st.just(Step("distinct", op.distinct_until_changed(half), changed(half), free=False)),
    st.just(
        Step(
            "enumerate",
            lambda flow: flow | op.enumerate() | op.starmap(lambda i, x: i * 1000 + x),
            numbered,
            free=False,
        )
    ),
    st.just(
        Step(
            "take_while",
            op.take_while(small),
            lambda items: itertools.takewhile(small, items),
            free=False,
            closes_early=True,
        )
    ),
    st.just(
        Step("skip_while", op.skip_while(small), lambda items: itertools.dropwhile(small, items), free=False)
    ),
    counts.map(lambda k: Step(f"take({k})", op.take(k), taken(k), free=False, closes_early=True)),
    counts.map(
        lambda k: Step(f"skip({k})", op.skip(k), lambda items: itertools.islice(items, k, None), free=False)
    ),
    sizes.map(summed),
    *_shapes(),
    st.just(Step("concat_map", op.concat_map(lambda x: from_iterable([*lazily(x)])), flat(lazily))),
    sizes.map(
        lambda k: Step(
            f"flat_map_merge({k})",
            op.flat_map_merge(lambda x: from_iterable([*lazily(x)]), k),
            flat(lazily),
            disorders=True,
            prefetches=True,
        )
    ),
    sizes.map(lambda k: Step(f"buffer({k})", op.buffer(k), lambda items: items, prefetches=True)),
    st.just(Step("finally_do", op.finally_do(lambda _: None), lambda items: items)),
    st.just(Step("circuit_breaker", lambda flow: flow | op.circuit_breaker(1), lambda items: items)),
    st.just(Step("repeat(1)", op.repeat(1), lambda items: items)),
    st.sampled_from([1, 3]).map(
        lambda k: Step(f"throttle(2, {k})", op.throttle(2, burst=k), lambda items: items)
    ),
    sizes.map(lambda k: Step(f"delay(1.5, {k})", op.delay(1.5, k), lambda items: items, prefetches=True)),
    st.just(Step("timeout", op.timeout(1e5), lambda items: items)),
    st.just(
        Step(
            "timestamp|starmap",
            lambda flow: flow | op.timestamp() | op.starmap(lambda _, x: x),
            lambda items: items,
        )
    ),
    # retry is refused behind a flow that is not resumable
    st.just(Step("retry", lambda flow: flow | op.retry() if flow.resumable else flow, lambda items: items)),
    st.builds(
        lambda function, concurrency, window, ordered: _map_async(
            function, concurrency, window and max(window, concurrency), ordered=ordered
        ),
        st.sampled_from([at_once, a_turn, a_while]),
        st.integers(1, 3),
        st.none() | st.integers(1, 5),
        st.booleans(),
    ),
)


@dataclass(frozen=True)
class Graph:
    """A graph under construction: its number of inputs, how to build it, and its model."""

    name: str
    build: Callable[..., Any]
    model: Callable[..., Iterator[Any]]
    inputs: int = 1
    disordered: bool = False
    keeps_order: bool = True
    folds: bool = False
    closes_early: bool = False
    prefetches: bool = False
    adds: bool = False

    def then(self, step: Step) -> Graph:
        """Return this graph with a step behind it.

        A step that needs order is left out behind disorder. A step that adds items is left out behind
        several inputs, because the laws could not tell which input the items belong to.
        """
        if (self.disordered and not step.free) or (step.adds and self.inputs > 1):
            return self
        return replace(
            self,
            name=f"{self.name}|{step.name}",
            build=lambda *sources: step.apply(self.build(*sources)),
            model=lambda *inputs: step.model(self.model(*inputs)),
            disordered=self.disordered or step.disorders,
            keeps_order=self.keeps_order and not step.disorders,
            folds=self.folds or step.folds,
            closes_early=self.closes_early or step.closes_early,
            prefetches=self.prefetches or step.prefetches,
            adds=self.adds or step.adds,
        )

    def joined(self, other: Graph, how: str) -> Graph:
        """Return both graphs joined; if one is disordered, by a join that needs no order.

        If one adds items, return this graph alone: the laws could not tell which input the items belong to.
        """
        if self.adds or other.adds:
            return self
        k = self.inputs
        disordered = self.disordered or other.disordered
        how = "merge" if disordered and how not in FREE_JOINS else how
        operation, model = JOINS[how]
        return Graph(
            f"{how}({self.name}, {other.name})",
            lambda *sources: operation(other.build(*sources[k:]), self.build(*sources[:k])),
            lambda *inputs: model(self.model(*inputs[:k]), other.model(*inputs[k:])),
            k + other.inputs,
            disordered=how == "merge" or disordered,
            keeps_order=self.keeps_order and other.keeps_order,
            folds=self.folds or other.folds or how in {"zip", "zip_longest", "sequence_equal"},
            closes_early=self.closes_early or other.closes_early or how in {"zip", "sequence_equal"},
            prefetches=self.prefetches or other.prefetches or how == "sequence_equal",
        )


JOINS: dict[
    str, tuple[Callable[[Any, Any], Any], Callable[[Iterator[Any], Iterator[Any]], Iterator[Any]]]
] = {
    "merge": (lambda other, one: one | op.merge(other), itertools.chain),
    "concat": (lambda other, one: one | op.concat(other), itertools.chain),
    "interleave": (lambda other, one: one | op.interleave(other), in_turn),
    "merge_sorted": (lambda other, one: one | op.merge_sorted(other), heapq.merge),
    "zip": (
        lambda other, one: one | op.zip(other) | op.map(sum),
        lambda one, other: map(sum, zip(one, other, strict=False)),
    ),
    "zip_longest": (
        lambda other, one: one | op.zip_longest(other, fillvalue=0) | op.map(sum),
        lambda one, other: map(sum, itertools.zip_longest(one, other, fillvalue=0)),
    ),
    "sequence_equal": (
        lambda other, one: one | op.sequence_equal(other) | op.map(int),
        lambda one, other: map(int, equal(operator.eq)(one, other)),
    ),
}
"""Each way to join two graphs: the operators, and the model."""

FREE_JOINS = {"merge", "concat"}
"""Joins that need no order of their inputs."""


SOURCE = Graph("source", lambda source: source, lambda items: items)


@st.composite
def graphs(draw: st.DrawFn, joins: int = 1) -> Graph:
    """Draw a chain, perhaps joined with another, perhaps with more behind it."""
    graph = SOURCE
    for step in draw(st.lists(STEPS, max_size=3)):
        graph = graph.then(step)
    if joins and draw(st.booleans()):
        graph = graph.joined(draw(graphs(joins - 1)), draw(st.sampled_from(list(JOINS))))
        for step in draw(st.lists(STEPS, max_size=2)):
            graph = graph.then(step)
    return graph


PACES = st.lists(st.sampled_from([None, Wait(1), Wait(3), Sleep(1), Sleep(2.5)]), max_size=3).map(tuple)


@st.composite
def subjects(draw: st.DrawFn, *, most: int = 7) -> laws.Subject:
    """Draw a random graph on random sources of distinct integers."""
    graph = draw(graphs())
    inputs = tuple(
        tuple(range(50 * k, 50 * k + draw(st.integers(0, most if graph.inputs == 1 else 4))))
        for k in range(graph.inputs)
    )
    pace = draw(PACES)
    styles = (
        ["generator", "pages", "seekable"] if any(pace) else ["iterable", "generator", "pages", "seekable"]
    )
    return laws.Subject(
        _Named(graph),
        inputs,
        graph.model,
        style=draw(st.sampled_from(styles)),
        page=tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))),
        pace=pace,
        keeps_order=graph.keeps_order,
        folds=graph.folds,
        closes_early=graph.closes_early,
        prefetches=graph.prefetches,
    )


class _Named:
    """A factory whose ``repr`` is the graph that it builds."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.__code__ = graph.build.__code__  # where it was assembled

    def __call__(self, *sources: Any) -> Any:
        return self.graph.build(*sources)

    def __repr__(self) -> str:
        return self.graph.name
