"""Close several things and lose no error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


async def close_all(closers: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Call and await every one of ``closers``, in order, even when some fail or are cancelled.

    If one fails, its error is raised as it is. If several fail, an ``ExceptionGroup`` of their errors is
    raised, or a ``BaseExceptionGroup`` if one of them is no ``Exception``.

    If a closer is cancelled, the remaining ones still run. Then ``CancelledError`` itself is raised, because
    asyncio does not recognise a cancellation inside a group; ``__cause__`` holds the other errors.
    """
    errors: list[BaseException] = []
    cancelled: asyncio.CancelledError | None = None
    for close in list(closers):
        try:
            await close()
        except GeneratorExit:  # this coroutine is being thrown away and cannot await any more
            raise
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException as error:  # noqa: BLE001  raised below, once everything is closed
            errors.append(error)
    failure = (
        BaseExceptionGroup("errors while closing", errors) if len(errors) > 1 else next(iter(errors), None)
    )
    if cancelled is not None:
        raise cancelled from failure
    if failure is not None:
        raise failure
