"""``cancel_everywhere`` cancels a coroutine at each ``await``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

T = TypeVar("T")

_MOST = 100_000


async def cancel_everywhere(
    make: Callable[[], Coroutine[Any, Any, T]],
    check: Callable[[], Awaitable[object]] | None = None,
    *,
    most: int = _MOST,
) -> int:
    """Run ``make()`` again and again, cancelled at its first await, its second, ..., until it ends by itself.

    Args:
        make: Returns a new coroutine: on a new output, or on the one that the last coroutine left.
        check: Awaited after each cancellation; raises if something is wrong.
        most: The largest number of cancellations, for coroutines that never end.

    Returns:
        How many awaits were cancelled.

    Raises:
        AssertionError: a cancelled coroutine returned instead of raising ``CancelledError``.
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
            raise AssertionError(
                f"the cancellation at await {place} was swallowed; let CancelledError out of the coroutine"
            )
        if check is not None:
            await check()
    return most


class _CancelledAt:
    """Runs a coroutine, and cancels its task when the coroutine waits for the ``place``-th time."""

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
            except BaseException as error:  # noqa: BLE001  thrown into the coroutine
                thrown = error
