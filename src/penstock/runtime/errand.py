"""One piece of work in a task of its own, which survives a cancelled request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from penstock.runtime.run import Gate

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from penstock.runtime.run import Run


class Errand:
    """A coroutine in a task of its own, for a request. If that is cancelled, the next one waits for it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._done = Gate(run)
        self._task: asyncio.Task[Any] | None = None

    @property
    def running(self) -> bool:
        """Whether work was started and its result was not taken yet."""
        return self._task is not None

    def begin(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Start ``work``, one at a time."""
        self._task = self._run.spawn(work, name, result_is_read=True)
        self._task.add_done_callback(lambda _: self._done.open())

    async def result(self) -> Any:
        """Wait for the work, if there is any, and return its result or raise its error."""
        task = self._task
        if task is None:
            return None
        while not task.done():
            await self._done.wait()
        self._task = None
        return task.result()

    async def finish(self) -> None:
        """Wait for the work while the stage closes, and raise its error."""
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait([task])
            task.result()
