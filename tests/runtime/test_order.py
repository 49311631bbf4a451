"""How the order of a flow follows from those of its operators and inputs (law 5)."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock import Order
from penstock.errors import GraphError
from penstock.runtime.order import traits

TIMED = op.skip_until(ps.just(1))
LOSSY = op.buffer(1, overflow="latest")


def test_the_loosest_allows_what_each_allows() -> None:
    """It has the traits of both orders, and no others; a lossy one need not say that it is timed."""
    for one, two in product(Order, Order):
        wanted = traits(one) | traits(two)
        wanted -= {"timed"} if "lossy" in wanted else set()
        assert traits(one.loosest(two)) == wanted
        assert one.loosest(two) is two.loosest(one)


def test_the_loosest_of_many() -> None:
    """It does not matter in which order orders are compared, nor how often."""
    for one, two, three in product(Order, repeat=3):
        assert one.loosest(two, three) is one.loosest(two).loosest(three) is three.loosest(one, two, two)


@pytest.mark.parametrize(
    ("step", "wanted"), [(TIMED, "interleaved and timed"), (LOSSY, "interleaved and lossy")]
)
def test_a_merge_before_or_behind(step: Any, wanted: str) -> None:
    """Several inputs that take turns and time both loosen the order, whichever stands first."""
    before = ps.just(1) | step | op.merge(ps.just(2))
    behind = ps.just(1) | op.merge(ps.just(2)) | step
    assert before.order == behind.order == wanted
    assert (before | op.map(str) | op.flat_map(str)).order == wanted
    assert (ps.just(1) | op.flat_map_merge(ps.just) | step).order == wanted


def test_a_promise_covers_only_what_it_names() -> None:
    """Flows that may be timed may not interleave; flows that may do both may do either."""

    def merged(x: int) -> Any:
        return ps.just(x) | op.merge(ps.just(x))

    with pytest.raises(GraphError, match='order="interleaved"'):
        asyncio.run((ps.just(1) | op.concat_map(merged, order="timed")).to_list())
    allowed = ps.just(1) | op.concat_map(merged, order="interleaved and timed")
    assert asyncio.run(allowed.to_list()) == [1, 1]
