"""Each law's check finds every flow that was changed to break the law."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

import penstock.operators as op
from penstock.testing import laws

from .functions import spread
from .models import flat
from .mutants import (
    MUTANTS,
    DropsBeyondThree,
    HoldsTheLastBack,
    ReturnsLate,
    ReversesLists,
    StartsOverEachList,
)
from .toys import ToyCheckpoint, ToyCheckpointRun, ToyFlow, ToyRun

if TYPE_CHECKING:
    from penstock.abc import Ledger
    from penstock.testing import TestSource


KNOWN: dict[type[Any], dict[str, Any]] = {
    ReturnsLate: {"instant": True},  # compared with itself it is equally late for each size of request
    HoldsTheLastBack: {"model": flat(spread)},
}
"""What the laws must know of a mutant to find it; the other mutants are found without."""


def test_every_law_has_a_mutant() -> None:
    """Every law has a mutant."""
    assert list(MUTANTS) == list(laws.LAWS)
    assert all(MUTANTS.values())


LOOSE = [
    ("interleaved and timed", ReversesLists, None),
    ("interleaved and timed", DropsBeyondThree, "are missing"),
    ("interleaved and lossy", DropsBeyondThree, None),
    ("interleaved and lossy", ReversesLists, None),
    ("interleaved and lossy", StartsOverEachList, "too many"),
]
"""Mutants of law 5 in flows of a looser order, with what the law finds."""


@pytest.mark.parametrize(("order", "mutant", "found"), LOOSE)
def test_how_strict_a_loose_order_is(order: str, mutant: type[Any], found: str | None) -> None:
    """Law 5 allows what the order of the flow says, and nothing else."""

    def factory(source: TestSource) -> Any:
        flow = ToyFlow(source, spread, mutant) if issubclass(mutant, ToyRun) else mutant(source, spread)
        flow.order = order
        return flow

    with nullcontext() if found is None else pytest.raises(laws.LawViolation, match=found):
        laws.chunk_invariance(laws.Subject(factory, (range(7),)))


@pytest.mark.parametrize(
    ("law", "mutant"), [(law, mutant) for law, mutants in MUTANTS.items() for mutant in mutants]
)
def test_mutant_is_found(law: str, mutant: type[Any]) -> None:
    """The check of the broken law raises a violation of that law."""

    def factory(source: TestSource) -> ToyFlow:
        if issubclass(mutant, ToyRun):
            return ToyFlow(source, spread, mutant)
        if issubclass(mutant, ToyFlow) and not issubclass(mutant, ToyCheckpoint):
            return mutant(source, spread)
        flow = ToyFlow(source, spread)
        if issubclass(mutant, ToyCheckpoint):
            flow.resumable = False
        return flow

    def attach(flow: ToyFlow, ledger: Ledger) -> ToyFlow:
        if issubclass(mutant, ToyCheckpointRun):
            return ToyCheckpoint(flow, ledger, mutant)
        return mutant(flow, ledger) if issubclass(mutant, ToyCheckpoint) else ToyCheckpoint(flow, ledger)

    others = [name for name in laws.LAWS if name != law]
    with pytest.raises(laws.LawViolation) as caught:
        laws.check(factory, range(7), skip=others, attach=attach, **KNOWN.get(mutant, {}))
    assert caught.value.law == law


class FillsUp:
    """Waits until a request is full, so that a failure loses items that were ready."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def subscribe(self) -> FillsUp:
        return FillsUp(self._whole.subscribe())

    async def request(self, n: int) -> list[Any]:
        out: list[Any] = []
        while len(out) < n and (items := await self._whole.request(n - len(out))):
            out += items
        return out


def test_a_loss_is_found_behind_a_merge() -> None:
    """Law 4 finds that one of several inputs lost an item before its failure."""
    with pytest.raises(laws.LawViolation, match=r"items of input 1 from before its failure .* lost \[51\]"):
        laws.prefix(laws.Subject(lambda a, b: FillsUp(a | op.merge(b)), ((0, 1), (50, 51))))
