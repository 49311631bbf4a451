"""A coroutine, cancelled at each place where it waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

__all__ = ["cancel_everywhere"]

T = TypeVar("T")

_MOST = 100_000


async def cancel_everywhere(
    make: Callable[[], Coroutine[Any, Any, T]],
    check: Callable[[], Awaitable[object]] | None = None,
    *,
    most: int = _MOST,
) -> int:
    """Run ``make()`` again and again, cancelled where it waits first, second, ..., until it ends by itself.

    Args:
        make: Makes the coroutine afresh: on an output that an earlier one left behind, or on a new one.
        check: Awaited after each cancellation; it raises what is wrong.
        most: Places at which to stop, for coroutines that never end.

    Returns:
        At how many places it was cancelled.

    Raises:
        AssertionError: a cancelled coroutine returned: it swallowed its cancellation.
    """
    for place in range(most):
        cancelling = _CancelledAt(make(), place)
        try:
            await asyncio.create_task(cancelling.run(), name=f"cancelled at await {place}")
        except asyncio.CancelledError:
            if not cancelling.cancelled:
                raise
        else:
            if not cancelling.cancelled:
                return place
            raise AssertionError(f"the cancellation at await {place} was swallowed")
        if check is not None:
            await check()
    return most


class _CancelledAt:
    """Passes on what a coroutine waits for, and cancels its task when it waits for the ``place``-th time."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], place: int) -> None:
        self._coroutine = coroutine
        self._place = place
        self.cancelled = False

    async def run(self) -> Any:
        return await self

    def __await__(self) -> Generator[Any, Any, Any]:
        waiting = self._coroutine.__await__()
        waits = 0
        thrown: BaseException | None = None
        while True:
            try:
                waited_for = waiting.throw(thrown) if thrown is not None else next(waiting)
            except StopIteration as end:
                return end.value
            if waits == self._place:
                task = asyncio.current_task()
                if task is not None:
                    self.cancelled = task.cancel()
            waits += 1
            thrown = None
            try:
                yield waited_for
            except GeneratorExit:
                waiting.close()
                raise
            except BaseException as error:  # noqa: BLE001  whatever it is, it is the coroutine's
                thrown = error
