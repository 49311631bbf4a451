"""Promises of stages to other stages, which a subscription does not check."""

from __future__ import annotations

import asyncio
import operator
import sys
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.operators.concurrency import process_worker as child
from penstock.operators.concurrency.map_process import map_process
from penstock.testing import Forever, Planted, RecordingLedger, TestSource, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def planted(*_: Any) -> Any:
    raise Planted


def stray(*_: Any) -> Any:
    raise StopIteration


async def to_the_end(stage: Any, n: int) -> None:
    while await stage.request(n):
        pass


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield


class FailingLedger(RecordingLedger):
    """A ledger that cannot be opened."""

    async def open(self, key: str, **_: Any) -> Any:
        raise Planted


FAILING = {
    "circuit_breaker": lambda: ps.fail(Planted()) | op.circuit_breaker(1),
    "checkpoint": lambda: ps.just(1) | op.checkpoint(FailingLedger(), key="k"),
    "finally_do": lambda: ps.fail(Planted()) | op.finally_do(lambda _: None),
    "finally_do itself": lambda: ps.just(1) | op.finally_do(planted),
    "map": lambda: ps.just(1) | op.map(planted),
    "merge_sorted": lambda: ps.just(1) | op.merge_sorted(ps.just(2), key=planted),
    "on_error_resume": lambda: ps.fail(ValueError()) | op.on_error_resume(planted),
    "recover": lambda: ps.fail(ValueError()) | op.recover(planted),
    "repeat": lambda: ps.fail(Planted()) | op.repeat(2),
    "retry": lambda: ps.fail(Planted()) | op.retry(attempts=1),
    "skip_last": lambda: ps.fail(Planted()) | op.skip_last(1),
    "throttle": lambda: ps.fail(Planted()) | op.throttle(5),
    "timeout": lambda: TestSource([Forever()]) | op.timeout(1),
    "using": lambda: ps.using(nothing, lambda _: ps.fail(Planted())),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failed_stage_fails_again(name: str) -> None:
    """Law 3 holds for each stage, not only for the subscription: a second request raises the same error."""

    async def main() -> None:
        async with FAILING[name]().subscribe() as subscription:
            stage = subscription._stage  # type: ignore[attr-defined]
            errors: list[BaseException] = []
            for n in (1, 3, 1):
                with pytest.raises((Planted, TimeoutError)) as caught:
                    await to_the_end(stage, n)
                errors.append(caught.value)
            assert errors[0] is errors[1] is errors[2]

    run(main())


STRAY = {
    "merge_sorted": lambda: ps.just(1) | op.merge_sorted(ps.just(2), key=stray),
    "sequence_equal": lambda: ps.just(1) | op.sequence_equal(ps.just(1), equal=stray),
    "concat_map": lambda: ps.just(1) | op.concat_map(stray),
    "defer": lambda: ps.defer(stray),
}


@pytest.mark.parametrize("name", STRAY)
def test_a_stray_stop_iteration_is_told_of(name: str) -> None:
    """A user's ``StopIteration`` becomes a ``RuntimeError`` that names the operator (law 13)."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await STRAY[name]().to_list()
        assert any(f"in {name} at" in note for note in caught.value.__notes__)

    run(main())


HELD = {
    "batch": (lambda source: source | op.batch(5, within=50), 2),
    "debounce": (lambda source: source | op.debounce(50), 1),
    "sample": (lambda source: source | op.sample(50), 1),
    "sliding": (lambda source: source | op.sliding(5), 2),
    "zip": (lambda source: source | op.zip(ps.never()), 1),
}


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_shows(name: str) -> None:
    """Statistics of a waiting run count the items that each stage holds for later requests."""
    shape, count = HELD[name]

    async def main() -> None:
        async with shape(TestSource([1, 2, Forever()])).subscribe() as subscription:
            asking = asyncio.ensure_future(subscription.request(1))
            await asyncio.sleep(1)
            assert subscription.statistics().stages[-1].buffered == count
            asking.cancel()

    run(main())


def test_switch_map_shows_what_it_holds() -> None:
    """``switch_map`` holds the items of the current flow that were not requested yet."""

    async def main() -> None:
        flow = ps.just(1) | op.switch_map(lambda _: ps.just(1, 2, 3))
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [1]
            assert subscription.statistics().stages[-1].buffered in {0, 1, 2}

    run(main())


@pytest.mark.parametrize(
    ("flow", "repeatable"),
    [
        (ps.just(1).concat(ps.just(2)), True),
        (ps.just(1).concat_map(ps.just), True),
        (ps.just(1).concat_map(ps.just, order="interleaved"), False),
        (ps.just(1).combine_latest(ps.just(2)), False),
        (ps.just(1).keep_alive(1, 0), False),
    ],
    ids=["concat", "concat_map", "concat_map of merges", "combine_latest", "keep_alive"],
)
def test_what_a_resumed_run_begins_with(flow: ps.Flow[Any], repeatable: bool) -> None:
    """If the next item depends on time, a resumed run need not begin with the item that would have come."""
    assert flow.node.repeatable is repeatable


def test_a_shared_run_is_one_to_those_behind_it() -> None:
    """The picture of a shared run hides internal fields, and ``on_error_skip`` behind it does not reach into it."""
    shared = ps.just(1).map(str).share()
    assert "share(capacity=" in shared.graph().nodes[-1].title
    assert not shared.node.skippable


def test_a_group_can_be_described() -> None:
    """The flow of one group cannot be restarted, and its bound is that of its place in ``group_by``."""

    async def main() -> None:
        async with ps.just(1, 2).group_by(lambda x: x % 2, max_groups=2).subscribe() as subscription:
            (group,) = await subscription.request(1)
            assert (group.resumable, group.node.single_use) == (False, group.node)
            assert group.max_in_flight(2) - group.max_in_flight(1) == 1

    run(main())


def test_for_each_async_wants_a_function() -> None:
    """An argument that cannot be called is refused before anything runs."""

    async def main() -> None:
        with pytest.raises(GraphError, match=r"for_each_async takes a function, not int \(3\)"):
            await ps.just(1).for_each_async(3)  # type: ignore[arg-type]

    run(main())


# -- map_process -------------------------------------------------------------------------------------


class Unsent:
    """An item that cannot be sent to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise Planted

    def __neg__(self) -> int:
        return 0


async def test_an_item_that_cannot_be_sent_is_skipped_alone() -> None:
    """With ``on_error_skip``, only the item that cannot be sent is skipped; later items are processed."""
    flow = ps.from_iterable([1, Unsent(), 2, 3]).map_process(operator.neg, 1) | op.on_error_skip(
        lambda _, __: None
    )
    assert await flow.to_list() == [-1, -2, -3]


async def test_a_program_that_runs_its_flow_while_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that runs its flow when imported is refused: each worker would start workers of its own."""
    monkeypatch.setenv(child.PREPARING, "script.py")
    with pytest.raises(RuntimeError, match=r"script\.py runs its flow as soon as it is imported"):
        await ps.just(1).map_process(abs, 1).to_list()


def test_a_function_of_an_interactive_session_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of an interactive session is refused, because no other process can import it."""
    main = ModuleType("__main__")
    exec("def twice(x): return 2 * x", main.__dict__)  # noqa: S102  as a notebook's cell
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(GraphError, match="interactive session or a notebook"):
        map_process(main.twice, 1)
