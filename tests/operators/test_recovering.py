"""``recover`` and ``on_error_resume`` against reactivex: what follows an error."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import reactivex
from expression import Nothing, Some
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rx

import penstock.operators as op
from penstock import Flow, empty, fail, from_iterable, from_observable, just
from penstock.errors import DocumentError, GraphError, NotResumable
from penstock.ledger import MemoryLedger
from penstock.operators.failure.on_error_resume import error_from, state_of
from penstock.testing import Planted, TestSource
from penstock.testing import run as virtually

NUMBERS = st.lists(st.integers(0, 9), max_size=8)
SCHEDULES = st.lists(st.sampled_from([1, 2, 3, 100]), min_size=1, max_size=4)


def check(x: int) -> int:
    if x > 6:
        raise ValueError(x)
    return x * 10


async def asked(flow: Any, schedule: list[int]) -> list[Any]:
    """Return all items, requested by a schedule; the run is cut and resumed behind each list."""
    out: list[Any] = []
    position = None
    for n in schedule * 20:
        async with flow.subscribe(position) as subscription:
            items = await subscription.request(n)
            position = json.loads(json.dumps(subscription.position))
        if not items:
            break
        out += items
    return out


def emitted(observable: Any) -> list[Any]:
    out: list[Any] = []
    observable.subscribe(out.append, on_error=lambda error: out.append(repr(error)))
    return out


# -- against reactivex -------------------------------------------------------------------------------


@given(NUMBERS, SCHEDULES)
def test_recover_is_catch_with_one_item(numbers: list[int], schedule: list[int]) -> None:
    """The items before the error and the last item are those of reactivex, also if the run is resumed anywhere."""
    model = reactivex.from_iterable(numbers).pipe(
        rx.map(check), rx.catch(lambda error, _: reactivex.just(-error.args[0]))
    )
    flow = from_iterable(numbers).map(check).recover(lambda error: -error.args[0])
    assert virtually(asked(flow, schedule)) == emitted(model)
    assert virtually(flow.to_list()) == emitted(model)


@given(NUMBERS, NUMBERS, SCHEDULES)
def test_on_error_resume_is_catch(numbers: list[int], others: list[int], schedule: list[int]) -> None:
    """The items before the error and those of the other flow are those of reactivex, also if the run is resumed."""
    model = reactivex.from_iterable(numbers).pipe(
        rx.map(check),
        rx.catch(lambda error, _: reactivex.from_iterable([*error.args, *others]).pipe(rx.scan(max, 0))),
    )
    flow = (
        from_iterable(numbers)
        .map(check)
        .on_error_resume(lambda error: from_iterable([*error.args, *others]).scan(max, 0))
    )
    assert virtually(asked(flow, schedule)) == emitted(model)
    assert virtually(flow.to_list()) == emitted(model)


# -- recover -----------------------------------------------------------------------------------------


def test_an_option_picks() -> None:
    """``Some(value)`` gives the last item, even if the value is an ``Option``; ``Nothing`` raises the first error."""
    assert virtually(fail(Planted()).recover(lambda _: Some(1)).to_list()) == [1]
    assert virtually(fail(Planted()).recover(lambda _: Some(Some(1))).to_list()) == [Some(1)]
    assert virtually(fail(Planted()).recover(lambda _: None).to_list()) == [None]
    error = Planted("it")
    with pytest.raises(Planted) as caught:
        virtually(fail(error).recover(lambda _: Nothing).to_list())
    assert caught.value is error
    assert len(error.__notes__) == 1


def test_an_error_of_the_function_takes_the_place() -> None:
    """The error has the note of the operator that called the function, and the first error as its context."""
    with pytest.raises(KeyError) as caught:
        virtually(fail(Planted()).recover(lambda _: {}["missing"]).to_list())
    assert f"recover at {__file__}" in caught.value.__notes__[0]
    assert isinstance(caught.value.__context__, Planted)
    with pytest.raises(ZeroDivisionError) as caught:
        virtually(fail(Planted()).on_error_resume(lambda _: just(1 // 0)).to_list())
    assert f"on_error_resume at {__file__}" in caught.value.__notes__[0]


def test_upstream_is_closed_when_it_has_failed() -> None:
    """The failed upstream is closed while the stream continues, not only at the end of the run."""

    async def main(answered: Any) -> None:
        source = TestSource([1, 2, 3])
        flow = (source | op.map(lambda x: 6 // (x - 2))) | answered
        async with flow.subscribe() as subscription:
            assert [await subscription.request(1) for _ in range(2)] == [[-6], [0]]
            await asyncio.sleep(1)
            assert source.counts.opened == source.counts.closed == 1

    virtually(main(op.recover(lambda _: 0)))
    virtually(main(op.on_error_resume(lambda _: from_iterable(range(99)))))


# -- on_error_resume ---------------------------------------------------------------------------------


def test_an_error_of_the_other_flow_ends_the_stream() -> None:
    """Only one error is handled; a second ``on_error_resume`` handles the next. An empty flow completes the stream."""
    flow = just(1).concat(fail(ValueError("first"))).on_error_resume(lambda _: fail(KeyError("second")))
    with pytest.raises(KeyError, match="second"):
        virtually(flow.to_list())
    assert virtually(flow.on_error_resume(lambda error: just(str(error))).to_list()) == [1, "'second'"]
    assert virtually(flow.on_error_resume(lambda _: empty()).to_list()) == [1]


def test_a_resumed_run_does_not_start_what_had_failed() -> None:
    """A run from a position behind the error continues in the other flow and does not open upstream."""

    async def main() -> None:
        sources: list[TestSource] = []

        def flow() -> Flow[int]:
            sources.append(TestSource([1, 2]))
            return (sources[-1] | op.map(lambda x: 2 // (x - 2))).on_error_resume(
                lambda error: just(7, 8, 9) if isinstance(error, ZeroDivisionError) else fail(error)
            )

        async with flow().subscribe() as subscription:
            assert [await subscription.request(1) for _ in range(3)] == [[-2], [7], [8]]
            position = subscription.position
        async with flow().subscribe(position) as subscription:
            assert await subscription.request(5) == [9]
            assert await subscription.request(5) == []
        assert [source.counts.opened for source in sources] == [1, 0]

    virtually(main())


def test_a_flow_that_cannot_resume_says_so_when_a_position_is_asked_for() -> None:
    """There is a position until the error; then asking for one raises ``NotResumable``."""

    async def main() -> None:
        flow = (
            from_iterable(range(3))
            .map(lambda x: 2 // (1 - x))
            .on_error_resume(lambda _: from_observable(just(5)))
        )
        async with flow.subscribe() as subscription:
            assert await subscription.request(1) == [2]
            assert subscription.position["nodes"]
            assert await subscription.request(1) == [5]
            with pytest.raises(NotResumable, match="from_observable"):
                _ = subscription.position

    virtually(main())


class Odd(Exception):
    """An error whose constructor takes more than its ``args``."""

    def __init__(self, what: str, *, code: int) -> None:
        super().__init__(what)
        self.code = code


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ConnectionResetError(104, "reset"), ConnectionResetError, "[Errno 104] reset"),
        (DocumentError("bad", retryable=True), DocumentError, "bad"),
        (Odd("what", code=3), Odd, "what"),
        (ValueError(object), ValueError, "<class 'object'>"),
        (ExceptionGroup("several", [ValueError(1)]), Exception, "several (1 sub-exception)"),
        (KeyError("k"), KeyError, "'k'"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), UnicodeDecodeError, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_survives_a_position(error: Exception, kind: type[Exception], text: str | None) -> None:
    """The type and arguments survive JSON; otherwise the text and the nearest base class that accepts it do."""
    again = error_from(json.loads(json.dumps(state_of(error))))
    assert type(again) is kind
    assert text is None or str(again) == text


def test_an_error_of_an_unknown_type_becomes_the_nearest_base() -> None:
    """A local class, and a class of a module that is not loaded, cannot be found by name."""

    class Local(TimeoutError):
        pass

    assert type(error_from(state_of(Local("late")))) is TimeoutError
    assert type(error_from({"types": ["no.such.module:Error"], "args": ["x"]})) is Exception
    assert type(error_from({"types": ["os:system"], "args": ["x"]})) is Exception


def test_the_order_of_the_other_flow_must_be_promised() -> None:
    """A flow may be of any order, unless ``order`` promised one: a looser flow is then refused."""

    def merged(_: Exception) -> Flow[int]:
        return just(1).merge(just(2))

    assert fail(Planted()).on_error_resume(merged).order == "exact"
    with pytest.raises(GraphError, match=r'on_error_resume\(\.\.\., order="interleaved"\)'):
        virtually(fail(Planted()).on_error_resume(merged, order="exact").to_list())
    assert sorted(virtually(fail(Planted()).on_error_resume(merged).to_list())) == [1, 2]
    promised = fail(Planted()).on_error_resume(merged, order="interleaved")
    assert promised.order == "interleaved"
    assert sorted(virtually(promised.to_list())) == [1, 2]
    with pytest.raises(GraphError, match="order must be one of"):
        just(1).on_error_resume(merged, order="any")


# -- refused arguments -------------------------------------------------------------------------------


def test_wrong_arguments_are_refused() -> None:
    """A value that is no function, an async function, a result that is no flow, and a checkpoint are refused."""
    with pytest.raises(GraphError, match="recover takes a function"):
        op.recover(3)  # type: ignore[call-overload]
    with pytest.raises(GraphError, match="on_error_resume takes a function, not Flow"):
        op.on_error_resume(just(1))  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="what the function of on_error_resume returns must be a Flow"):
        virtually(fail(Planted()).on_error_resume(lambda _: [1]).to_list())  # type: ignore[arg-type,return-value]
    with pytest.raises(GraphError, match="holds a checkpoint"):
        virtually(
            fail(Planted()).on_error_resume(lambda _: just(1).checkpoint(MemoryLedger(), key="k")).to_list()
        )
