"""Law 10, second half: a run can be resumed with a corrected parser or filter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

import penstock.operators as op
from penstock.sources.from_iterable import from_iterable
from penstock.testing import laws, run
from penstock.testing.laws.runs import collect

if TYPE_CHECKING:
    from collections.abc import Callable

Keep = frozenset[int]


def expand(x: int) -> list[tuple[int, int]]:
    return [(x, k) for k in range((x * 7) % 4)]


def graph(inputs: int, keep: Keep, capacity: int, size: int) -> Any:
    """Expand inputs, keep the expansions whose number is in ``keep``, and buffer them."""
    flow: Any = from_iterable(range(inputs)) | op.flat_map(expand)
    flow = flow | op.filter(lambda pair: (pair[0] * 4 + pair[1]) in keep)
    if capacity:
        flow = flow | op.buffer(capacity)
    return flow | op.batch(size) | op.flat_map(list) if size else flow


KEEPS = st.frozensets(st.integers(0, 40))
SCHEDULES = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(st.integers(0, 10), KEEPS, KEEPS, st.integers(0, 3), SCHEDULES, st.integers(0, 6))
def test_resumed_with_another_filter(
    inputs: int, old: Keep, new: Keep, capacity: int, schedule: list[int], cut: int
) -> None:
    """The new filter sees everything behind the last delivered item, and nothing before it.

    What the old filter dropped right behind that item may or may not be settled; all else is exact.
    """

    async def main() -> tuple[list[Any], list[Any]]:
        async with graph(inputs, old, capacity, 0).subscribe() as subscription:
            before = await collect(subscription, schedule, requests=cut)
            position = json.loads(json.dumps(subscription.position))
        async with graph(inputs, new, capacity, 0).subscribe(position) as subscription:
            return before.items, (await collect(subscription, schedule)).items

    before, after = run(main())
    every = [pair for x in range(inputs) for pair in expand(x)]
    passes = [index for index, pair in enumerate(every) if pair[0] * 4 + pair[1] in old]
    done = passes[len(before) - 1] + 1 if before else 0
    latest = passes[len(before)] if len(before) < len(passes) else len(every)
    accepted = [
        [pair for pair in every[start:] if pair[0] * 4 + pair[1] in new] for start in range(done, latest + 1)
    ]
    assert before == [every[index] for index in passes[: len(before)]]
    assert after in accepted


@given(st.integers(1, 9), st.integers(0, 8), st.integers(0, 3), SCHEDULES)
def test_resumed_with_a_mended_parser(inputs: int, bad: int, capacity: int, schedule: list[int]) -> None:
    """A run that failed on an input goes on with that input after the parser was corrected."""

    def parsed(parse: Callable[[int], int]) -> Any:
        flow: Any = from_iterable(range(inputs)) | op.map(parse) | op.flat_map(expand)
        return flow | op.buffer(capacity) if capacity else flow

    def broken(x: int) -> int:
        if x == bad:
            raise ValueError("cannot parse")
        return x

    async def main() -> list[Any]:
        async with parsed(broken).subscribe() as subscription:
            before = await collect(subscription, schedule)
            position = subscription.position
        async with parsed(int).subscribe(position) as subscription:
            return before.items + (await collect(subscription, schedule)).items

    assert run(main()) == [pair for x in range(inputs) for pair in expand(x)]


def test_a_tap_may_be_added() -> None:
    """Stateless operators do not appear in a position: adding a ``tap`` or a ``map`` keeps it valid."""

    async def main() -> list[int]:
        flow = from_iterable(range(6)) | op.scan(lambda acc, x: acc + x, 0)
        async with flow.subscribe() as subscription:
            before = await subscription.request(3)
            position = subscription.position
        other = from_iterable(range(6)) | op.tap(str) | op.scan(lambda acc, x: acc + x, 0) | op.map(int)
        async with other.subscribe(position) as subscription:
            return before + (await collect(subscription, (2,))).items

    assert run(main()) == [0, 1, 3, 6, 10, 15]
    assert laws.LAWS["position"] is laws.position
