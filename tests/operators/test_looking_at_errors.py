"""``map_error``, ``tap_error`` and ``log``, and several ``on_error_skip`` in one flow."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock.errors import GraphError
from penstock.testing import run


class Renamed(Exception):
    """The error that replaces another one."""


def inverse(x: int) -> float:
    return 1 / x


def renamed(error: Exception) -> Exception:
    return Renamed("bad") if isinstance(error, ZeroDivisionError) else error


FLOW = ps.just(1, 0, 2).map(inverse)


# -- map_error ---------------------------------------------------------------------------------------


def test_the_new_error_is_raised_from_the_old_one() -> None:
    """Each of the two names its operator; the same error comes back every time."""

    async def main() -> None:
        async with (FLOW | op.map_error(renamed)).subscribe() as subscription:
            assert await subscription.request(9) == [1.0]
            caught = []
            for _ in range(2):
                with pytest.raises(Renamed) as one:
                    await subscription.request(9)
                caught.append(one.value)
            assert caught[0] is caught[1]
            assert isinstance(caught[0].__cause__, ZeroDivisionError)
            assert "in map_error at" in caught[0].__notes__[0]
            assert "in map at" in caught[0].__cause__.__notes__[0]

    run(main())


def test_an_error_that_the_function_returns_unchanged_is_raised_as_it_is() -> None:
    """So a function can choose which errors it replaces."""
    flow = ps.just("x").map(int).map_error(renamed)
    with pytest.raises(ValueError, match="invalid literal") as caught:
        run(flow.to_list())
    assert caught.value.__cause__ is None


def test_the_function_must_return_an_exception() -> None:
    """Anything else is a ``TypeError``."""
    function: Any = str
    with pytest.raises(TypeError, match="map_error must return an exception; it returned str"):
        run(FLOW.map_error(function).to_list())


def test_on_error_skip_gets_the_new_error() -> None:
    """It reports the new error; if it refuses to skip, the error is not replaced a second time."""
    told: list[Exception] = []
    calls: list[Exception] = []

    def counted(error: Exception) -> Exception:
        calls.append(error)
        return renamed(error)

    mapped = FLOW.map_error(counted)
    kept = mapped.on_error_skip(lambda error, _: told.append(error))
    assert run(kept.to_list()) == [1.0, 0.5]
    assert isinstance(told[0], Renamed)
    assert isinstance(told[0].__cause__, ZeroDivisionError)
    calls.clear()
    with pytest.raises(Renamed):
        run(mapped.on_error_skip(print, errors=ValueError).to_list())
    assert len(calls) == 1


# -- tap_error ---------------------------------------------------------------------------------------


def test_the_function_sees_the_error_once() -> None:
    """The error goes on as it is."""
    seen: list[Exception] = []

    async def main() -> None:
        async with FLOW.tap_error(seen.append).subscribe() as subscription:
            assert await subscription.request(9) == [1.0]
            for _ in range(2):
                with pytest.raises(ZeroDivisionError) as caught:
                    await subscription.request(9)
        assert seen == [caught.value]

    run(main())


def test_an_error_of_the_function_is_a_note() -> None:
    """It never masks the error of upstream."""
    with pytest.raises(ZeroDivisionError) as caught:
        run(FLOW.tap_error(lambda error: {}[error]).to_list())
    assert any("function of tap_error" in note for note in caught.value.__notes__)


# -- log ---------------------------------------------------------------------------------------------


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_items_and_the_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each item has its number, and the end says how many there were."""
    caplog.set_level("INFO", "penstock")
    run(ps.just("a", "b").log().to_list())
    wanted = ["item 1: 'a'", "item 2: 'b'", "completed after 2 items"]
    assert logged(caplog) == [("INFO", text) for text in wanted]


def test_every_and_limit_say_which_items(caplog: pytest.LogCaptureFixture) -> None:
    """Every third item of any chunk, and no more than the limit."""
    caplog.set_level("DEBUG", "mine")
    for n in (1, 2, 5, 50):
        caplog.clear()

        async def main(n: int = n) -> None:
            async with ps.range_(20).log("mine", logging.DEBUG, every=3, limit=4).subscribe() as subscription:
                while await subscription.request(n):
                    pass

        run(main())
        numbers = [f"item {k}: {k - 1}" for k in (3, 6, 9, 12)]
        assert [text for _, text in logged(caplog)] == [*numbers, "completed after 20 items"]


def test_an_error_has_a_level_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, behind the items, with the level ``ERROR``."""
    caplog.set_level("INFO", "penstock")
    with pytest.raises(ZeroDivisionError):
        run(FLOW.log().to_list())
    item, (level, text) = logged(caplog)
    assert item == ("INFO", "item 1: 1.0")
    assert level == "ERROR"
    assert text.startswith("failed after 1 items: ZeroDivisionError(")


def test_a_run_without_the_level_has_no_stage_for_it(caplog: pytest.LogCaptureFixture) -> None:
    """The operators around it run in one loop, as if it were not there."""
    caplog.set_level("WARNING", "penstock")
    flow = FLOW.log().map(str).log().on_error_skip(lambda error, item: None)

    async def main() -> list[str]:
        async with flow.subscribe() as subscription:
            assert await subscription.request(9) == ["1.0", "0.5"]
            assert await subscription.request(9) == []
            return [stage.name for stage in subscription.statistics().stages]

    stages = run(main())
    assert [name for name in stages if "map" in name] == ["map|map"]
    assert run(flow.to_list()) == ["1.0", "0.5"]
    assert logged(caplog) == []


def test_a_run_that_is_closed_or_drained_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A run without a request never began."""
    caplog.set_level("INFO", "penstock")

    async def main() -> None:
        flow = ps.range_(9).log(limit=0)
        async with flow.subscribe():
            pass
        async with flow.subscribe() as subscription:
            await subscription.request(2)
        async with flow.subscribe() as subscription:
            await subscription.request(3)
            await subscription.drain()
            await subscription.request(1)

    run(main())
    assert [text for _, text in logged(caplog)] == ["closed after 2 items", "drained after 3 items"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"level": "LOUD"}, "level must be a number, or one of"),
        ({"level": 1.5}, "level must be a number"),
        ({"logger": 3}, "log takes the name of a logger, not int"),
        ({"every": 0}, "every must be a whole number"),
        ({"limit": -1}, "limit must be a whole number"),
    ],
)
def test_wrong_arguments_of_log_are_refused(arguments: dict[str, Any], words: str) -> None:
    """The graph is not built."""
    with pytest.raises(GraphError, match=words):
        op.log(**arguments)


# -- several on_error_skip ---------------------------------------------------------------------------


def test_each_on_error_skip_handles_its_own_kinds() -> None:
    """The nearest one that selects an error skips the item; an error that none selects ends the run."""
    divided: list[Any] = []
    others: list[Any] = []
    source = ps.from_iterable(["1", "x", "0", "2"]).map(int).map(inverse)
    first = source.on_error_skip(lambda _, item: divided.append(item), errors=ZeroDivisionError)
    second = first.on_error_skip(lambda _, item: others.append(item), errors=(KeyError, ValueError))
    assert run(second.to_list()) == [1.0, 0.5]
    assert (divided, others) == ([0], ["x"])
    with pytest.raises(ValueError, match="invalid literal"):
        run(first.on_error_skip(print, errors=KeyError).to_list())


def test_an_error_that_the_function_raises_goes_to_the_next_one() -> None:
    """So a function can let an error through."""
    told: list[Any] = []

    def through(error: Exception, item: Any) -> None:
        raise error

    flow = FLOW.on_error_skip(through).on_error_skip(lambda error, item: told.append((type(error), item)))
    assert run(flow.to_list()) == [1.0, 0.5]
    assert told == [(ZeroDivisionError, 0)]


def test_errors_must_be_types() -> None:
    """The graph is not built with anything else."""
    for errors in (3, "x", ZeroDivisionError("x"), (3,)):
        with pytest.raises(GraphError, match="errors must be one or more exception types"):
            op.on_error_skip(print, errors=errors)  # type: ignore[arg-type]
