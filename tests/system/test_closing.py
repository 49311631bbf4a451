"""``close_all`` closes everything and loses no error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Closed(list[str]):
    """The names of what was closed, in order."""

    def closer(self, name: str, error: BaseException | None = None) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            await asyncio.sleep(0)
            self.append(name)
            if error is not None:
                raise error

        return close


async def test_everything_is_closed_in_order() -> None:
    """All closers run, one after the other, in the order given."""
    closed = Closed()
    await close_all(closed.closer(name) for name in "abc")
    assert closed == ["a", "b", "c"]


async def test_nothing_to_close() -> None:
    """No closers are no error."""
    await close_all([])


async def test_one_error_is_raised_as_it_is() -> None:
    """A single error is raised itself, after the remaining closers have run."""
    closed, error = Closed(), OSError("disk")
    with pytest.raises(OSError, match="disk") as caught:
        await close_all([closed.closer("a", error), closed.closer("b")])
    assert caught.value is error
    assert closed == ["a", "b"]


async def test_several_errors_are_raised_as_a_group() -> None:
    """Several errors are raised together, in the order in which they happened."""
    closed, errors = Closed(), [OSError("disk"), ValueError("value")]
    with pytest.raises(ExceptionGroup) as caught:
        await close_all([closed.closer("a", errors[0]), closed.closer("b"), closed.closer("c", errors[1])])
    assert caught.value.exceptions == tuple(errors)
    assert closed == ["a", "b", "c"]


async def test_an_exit_does_not_stop_the_closing() -> None:
    """An error that is no ``Exception`` waits for the remaining closers too; the group is then a base group."""
    closed, errors = Closed(), (SystemExit(3), OSError("disk"))
    with pytest.raises(BaseExceptionGroup) as caught:
        await close_all([closed.closer("a", errors[0]), closed.closer("b", errors[1]), closed.closer("c")])
    assert caught.value.exceptions == errors
    assert not isinstance(caught.value, ExceptionGroup)
    assert closed == ["a", "b", "c"]


async def test_a_cancelled_closer_does_not_stop_the_closing() -> None:
    """When the task is cancelled inside one closer, the next ones run and the task ends as cancelled."""
    closed, waits = Closed(), asyncio.Event()

    async def hangs() -> None:
        waits.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(close_all([hangs, closed.closer("b")]))
    await waits.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert closed == ["b"]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_cancellation_keeps_the_errors_as_its_cause(count: int) -> None:
    """A cancellation stays a ``CancelledError``, so that timeouts see it; the other errors are its cause."""
    closed, errors = Closed(), tuple(OSError(str(number)) for number in range(count))

    async def times_out() -> None:
        scope.reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(None) as scope:
            await close_all([*(closed.closer("a", error) for error in errors), times_out])
    cancelled = caught.value.__cause__
    assert isinstance(cancelled, asyncio.CancelledError)
    cause = cancelled.__cause__
    assert (cause.exceptions if isinstance(cause, ExceptionGroup) else (cause,)) == errors


async def test_a_closer_may_change_what_is_being_closed() -> None:
    """The closers are listed first: one that removes itself from a live collection hides no other."""
    closed: list[str] = []
    live: dict[str, Callable[[], Awaitable[None]]] = {}

    def closer(name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            closed.append(name)
            del live[name]

        return close

    live.update({name: closer(name) for name in "ab"})
    await close_all(live.values())
    assert closed == ["a", "b"]


async def test_a_coroutine_that_is_thrown_away_ends_at_once() -> None:
    """``coroutine.close()`` ends the closing where it stands: it can await nothing more."""
    closed = Closed()

    async def hangs() -> None:
        await asyncio.Event().wait()

    closing = close_all([hangs, closed.closer("b")])
    closing.send(None)
    closing.close()
    assert closed == []
