"""The tasks that aioreactive's observables start and do not end.

In aioreactive 0.20, a worker whose iterable fails dies without calling its observer, and the tasks of
its mailboxes wait until they are destroyed while pending. ``Workers`` reports the first and ends the second.
"""

from __future__ import annotations

import asyncio
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aioreactive
import expression

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

THEIRS = tuple(str(Path(package.__path__[0])) for package in (aioreactive, expression))


class Workers:
    """The tasks of aioreactive that one subscription to an observable started."""

    def __init__(self) -> None:
        self.death: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """The error of the first worker that failed."""
        self._tasks: list[asyncio.Task[Any]] = []

    async def watch(self, subscribing: Coroutine[Any, Any, Any]) -> Any:
        """Await ``subscribing``, and remember the tasks that it starts."""
        return await self._step(subscribing)

    @types.coroutine
    def _step(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Run ``work`` step by step. No other task runs during a step, so the new tasks are its own."""
        step: Any = work.send
        argument: Any = None
        while True:
            before = asyncio.all_tasks()
            try:
                waits_for = step(argument)
            except StopIteration as done:
                return done.value
            finally:
                self._adopt(asyncio.all_tasks() - before)
            try:
                argument = yield waits_for
                step = work.send
            except BaseException as error:  # noqa: BLE001  thrown into the work, as ``await`` would
                step, argument = work.throw, error

    def _adopt(self, born: set[asyncio.Task[Any]]) -> None:
        for task in sorted(born, key=asyncio.Task.get_name):
            code = getattr(task.get_coro(), "cr_code", None)
            if code is not None and code.co_filename.startswith(THEIRS):
                self._tasks.append(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self.death.done():
            self.death.set_result(error)

    async def end(self) -> None:
        """Cancel the tasks that still run, and wait for their end."""
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
