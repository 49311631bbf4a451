"""How long a run that was told to stop waits for documents in flight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")


class CutShort(Exception):  # no error: the documents that were cut come again
    """The grace period is over, and something was still unfinished."""


class Grace:
    """Bounds one wait after the other, all together by ``seconds`` after ``begin``.

    Args:
        seconds: On the clock of the loop; ``None`` sets no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None
        self._scope: asyncio.Timeout | None = None

    def begin(self) -> None:
        """Start the grace period, once. Safe in a signal handler, and after the loop was closed."""
        if self.seconds is not None and self._until is None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin, self.seconds)

    def _begin(self, seconds: float) -> None:
        if self._until is None:
            self._until = self._loop.time() + seconds
            if self._scope is not None:
                self._scope.reschedule(self._until)

    async def wait_for(self, awaited: Awaitable[T]) -> T:
        """Await ``awaited``; cancel it when the grace period ends.

        Raises:
            CutShort: the grace period ended first.
        """
        scope = asyncio.timeout_at(self._until)
        try:
            async with scope:
                self._scope = scope
                try:
                    return await awaited
                finally:
                    self._scope = None
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise CutShort(f"{self.seconds:g} s after it was stopped, something was unfinished") from error
