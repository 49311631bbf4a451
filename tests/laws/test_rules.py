"""The rules of Reactive Streams: the table of the docs, the checks, and what is broken on purpose agree."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import penstock.operators as op
from penstock.abc import Statistics, Subscription
from penstock.testing import LawViolation, laws
from penstock.testing.laws.rules import RULES, rules_of

from .mutants import MUTANTS
from .toys import ToyFlow, ToyRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.testing import TestSource

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reactive_streams.md"
COUNTS = {"1": 11, "2": 13, "3": 17, "4": 2}
"""How many rules each part of the specification 1.0.4 has."""


def rows() -> list[tuple[str, ...]]:
    lines = PAGE.read_text("utf-8").splitlines()
    return [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in lines
        if re.match(r"\| \d\.", line)
    ]


def test_every_rule_is_there_once() -> None:
    """All numbers of the specification, in order."""
    wanted = [f"{part}.{number}" for part, count in COUNTS.items() for number in range(1, count + 1)]
    assert [rule.number for rule in RULES] == wanted


def test_the_page_says_what_the_checks_say() -> None:
    """Each row of the page has the number, status and checks of the rule as the testkit has it."""
    wanted = []
    for rule in RULES:
        checks = ", ".join(f"`{law}`" for law in rule.checks)
        wanted.append((rule.number, f"{rule.status}: {checks}" if checks else rule.status))
    assert [(number, status) for number, _, status, _ in rows()] == wanted


def test_a_tested_rule_names_a_check_that_can_fail() -> None:
    """Each check is a law with a mutant that breaks it, or the run under seeds, which is held to mutants too."""
    named = {law for rule in RULES for law in rule.checks}
    assert named <= {*laws.LAWS, "racing"}
    assert all(MUTANTS[law] for law in named - {"racing"})


def test_every_rule_says_how_it_holds() -> None:
    """A rule is tested, holds by construction, or is not applicable, and the page says why."""
    assert {rule.status for rule in RULES} == {"tested", "by construction", "not applicable"}
    assert all(asks and how for _, asks, _, how in rows())
    assert all(rule.applies for rule in RULES if rule.checks)


def test_a_violation_names_its_rules() -> None:
    """Whoever breaks a law reads which rules of the specification that are."""

    def factory(source: TestSource) -> ToyFlow:
        return ToyFlow(source, lambda x: [x], MUTANTS["demand"][0])

    with pytest.raises(LawViolation, match=r"Reactive Streams 1\.1, ") as caught:
        laws.check(factory, range(7))
    assert caught.value.rules == rules_of("demand") == ("1.1", "3.8", "3.9", "3.17", "4.1")


# -- a Subscription of one's own ---------------------------------------------------------------------


def test_a_subscription_of_ones_own_is_checked() -> None:
    """``flow_of`` makes a flow of it; a correct one passes all laws, also under seeds."""

    def factory(source: TestSource) -> Any:
        flow = ToyFlow(source, lambda x: [x] if x % 2 else [])
        return laws.flow_of(flow.subscribe, resumable=True)

    def model(items: Iterator[int]) -> Iterator[int]:
        return (x for x in items if x % 2)

    laws.check(factory, range(7), model=model, skip=["errors_speak"], seeds=20)


@pytest.mark.parametrize(
    "law", ["demand", "ending", "prefix", "serial", "cancel_safe", "closing", "chunk_invariance"]
)
def test_a_broken_subscription_is_found(law: str) -> None:
    """Each mutant of a run breaks the same law when nothing but its class is known."""
    for mutant in MUTANTS[law]:
        if not issubclass(mutant, ToyRun):
            continue

        def factory(source: TestSource, mutant: type[ToyRun] = mutant) -> Any:
            return laws.flow_of(ToyFlow(source, lambda x: [(x, k) for k in range(x % 4)], mutant).subscribe)

        others = [name for name in laws.LAWS if name != law]
        with pytest.raises(LawViolation) as caught:
            laws.check(factory, range(7), skip=others)
        assert caught.value.law == law


class Greedy(Subscription[int]):
    """As wrong as can be, in ten lines: it answers whatever it likes, and nobody told it about closing."""

    def __init__(self, source: TestSource) -> None:
        self.items = source.iterate()

    async def request(self, n: int) -> list[int]:
        await asyncio.sleep(0)
        return [item for item, _ in zip(self.items, range(n + 1), strict=False)]

    position: Any = None

    def statistics(self) -> Statistics:
        return Statistics(())

    async def settle(self) -> None:
        return

    async def drain(self) -> None:
        return

    async def aclose(self) -> None:
        return


def test_a_class_that_knows_none_of_the_rules_breaks_many() -> None:
    """The kit works on a class that shares nothing with Penstock but the four methods."""
    broken = []
    for law in laws.LAWS:
        try:
            others = [name for name in laws.LAWS if name != law]
            laws.check(lambda source: laws.flow_of(lambda: Greedy(source)), range(7), skip=others)
        except LawViolation as violation:
            broken.append(violation.law)
    assert {"demand", "serial", "cancel_safe", "closing"} <= set(broken)


def test_a_closed_subscription_that_is_kept_is_found() -> None:
    """Rule 3.13: whoever keeps closed runs in a list keeps everything that they refer to."""
    kept: list[Any] = []

    class Keeps(ToyRun):
        async def aclose(self) -> None:
            await super().aclose()
            kept.append(self)

    with pytest.raises(LawViolation, match="still refers to it"):
        laws.closing(laws.Subject(lambda source: ToyFlow(source, lambda x: [x], Keeps), (range(3),)))


def test_demand_may_be_as_large_as_the_specification_allows() -> None:
    """Rule 3.17, also where a stage multiplies what it is asked for."""
    laws.demand(laws.Subject(lambda s: s | op.batch(3) | op.map(len) | op.batch(2), (tuple(range(7)),)))
