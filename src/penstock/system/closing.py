"""Close several things and lose no error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

Item = TypeVar("Item")


class Ended(Generic[Item]):
    """``aclosing`` for a generator in a coroutine that may be thrown away, as when its event loop is closed.

    The generator of such a coroutine still runs and cannot be closed: Python would report an error.
    """

    def __init__(self, generator: AsyncGenerator[Item, None]) -> None:
        self._generator = generator

    async def __aenter__(self) -> AsyncGenerator[Item, None]:
        return self._generator

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not GeneratorExit or not getattr(self._generator, "ag_running", False):
            await self._generator.aclose()


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
