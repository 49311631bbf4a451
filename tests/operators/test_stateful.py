"""``stateful``: what the laws do not see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.testing import run

if TYPE_CHECKING:
    from collections.abc import Iterator


def counting(state: int, item: str) -> tuple[int, list[str]]:
    return state + 1, [item * state]


async def stopped_after(flow: Any, count: int) -> Any:
    """Return the position behind ``count`` items, as a ledger would store it."""
    async with flow.subscribe() as subscription:
        for _ in range(count):
            await subscription.request(1)
        return json.loads(json.dumps(subscription.position))


async def rest_of(flow: Any, position: Any) -> list[Any]:
    """Return the items behind a position."""
    out: list[Any] = []
    async with flow.subscribe(position) as subscription:
        while items := await subscription.request(3):
            out += items
    return out


def test_each_run_begins_with_its_own_copy_of_the_initial_state() -> None:
    """A step that changes the state in place, which it must not do, does not reach into the next run."""

    def step(state: list[int], item: int) -> tuple[list[int], list[int]]:
        state.append(item)
        return state, [len(state)]

    flow = ps.just(7, 8).stateful([], step)
    assert run(flow.to_list()) == run(flow.to_list()) == [1, 2]


def test_the_outputs_may_be_endless() -> None:
    """Outputs are produced as they are requested."""

    def forever(state: int, item: int) -> tuple[int, Iterator[int]]:
        return state, iter(lambda: item, None)

    assert run(ps.just(3).stateful(0, forever).head(2)) == [3, 3]
    endless = ps.just(3).stateful(0, lambda s, x: (s, ()), lambda s: iter(lambda: s, 1))
    assert run(endless.head(1000)) == [0] * 1000


def test_a_position_among_the_last_outputs_counts_them() -> None:
    """A run that is resumed among the outputs of ``finish`` delivers the others, and none at its end."""
    flow = ps.from_iterable("ab") | op.stateful(1, counting, range)

    async def main() -> None:
        everything = await flow.to_list()
        for cut in range(len(everything) + 2):
            assert await rest_of(flow, await stopped_after(flow, cut)) == everything[cut:]

    run(main())


def test_input_that_was_added_since_the_end_goes_on_from_the_state() -> None:
    """The state stays as it was at the end, and ``finish`` is called again."""
    word = ["a", "b"]
    flow = ps.from_iterable(lambda: iter(word)) | op.stateful(1, counting, lambda state: [str(state)])

    async def main() -> None:
        position = await stopped_after(flow, 4)
        word.append("c")
        assert await rest_of(flow, position) == ["ccc", "4"]

    run(main())


def test_a_drained_run_does_not_finish() -> None:
    """It has not completed; the run that is resumed calls ``finish``."""
    flow = ps.from_iterable("ab") | op.stateful(1, counting, lambda state: [str(state)])

    async def main() -> None:
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == ["a"]
            await subscription.drain()
            assert await subscription.request(9) == []
            position = subscription.position
        assert await rest_of(flow, position) == ["bb", "3"]

    run(main())


def test_an_error_of_finish_comes_behind_its_outputs_and_leaves_the_position_before_them() -> None:
    """A resumed run calls ``finish`` again and leaves out what was delivered."""
    broken = [True]

    def finish(state: int) -> Iterator[int]:
        yield state
        if broken:
            raise LookupError(broken.pop())
        yield -1

    flow = ps.from_iterable("ab") | op.stateful(1, counting, finish)

    async def main() -> None:
        async with flow.subscribe() as subscription:
            assert await subscription.request(2) == ["a", "bb"]
            assert await subscription.request(2) == [3]
            for _ in range(2):
                with pytest.raises(LookupError) as caught:
                    await subscription.request(1)
            position = subscription.position
        assert caught.value.__notes__[0].startswith("penstock: in stateful at ")
        assert await rest_of(flow, position) == [-1]

    run(main())


def test_a_skipped_item_leaves_the_state() -> None:
    """``on_error_skip`` drops an item on which the step fails."""
    skipped: list[Any] = []
    flow = ps.just("a", 0, "b").stateful("", lambda held, x: (held + x, [held + x]))
    kept = flow.on_error_skip(lambda error, item: skipped.append(item))
    assert run(kept.to_list()) == ["a", "ab"]
    assert skipped == [0]


@pytest.mark.parametrize("result", [None, 3, (1,), (1, [], 2)])
def test_a_result_that_is_no_pair_is_a_type_error(result: Any) -> None:
    """The message says what the step must return, and the note says where."""
    flow = ps.just(1).stateful(0, lambda *_: result)
    with pytest.raises(TypeError, match=r"must return \(state, outputs\)") as caught:
        run(flow.to_list())
    assert "stateful at" in caught.value.__notes__[0]


@pytest.mark.parametrize("arguments", [(0, 3), (0, counting, 3)])
def test_what_is_no_function_is_refused(arguments: tuple[Any, ...]) -> None:
    """The graph is not built."""
    with pytest.raises(GraphError, match="stateful takes a function"):
        op.stateful(*arguments)
