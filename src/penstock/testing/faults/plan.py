"""Which call goes wrong, and how: the one mechanism behind faulty storages, sinks and ledgers."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

__all__ = ["Faults", "Killed"]

T = TypeVar("T")


class Killed(BaseException):
    """The process is gone; a ``BaseException``, because no handler runs in a killed process."""


@dataclass
class Faults:
    """Counts calls, and makes the chosen ones go wrong.

    Args:
        at: The number of the call that goes wrong, counted from 0; -1 for none.
        kill: From that call on nothing has any effect, as in a killed process: every call raises ``Killed``.
            Otherwise that call fails with an error, and the next ones work.
        after: Go wrong after the call has had its effect, not before.
        every: Every so many calls one fails (the ``every``-th, twice that, and so on), besides ``at``.
        only: Count calls of these names alone, such as ``fsync`` or ``sink.commit``.
        code: The ``errno`` of errors of a storage: ``errno.EIO`` by default, ``errno.ENOSPC`` is a full disk.
        turns: Turns of the event loop that each call of a sink or ledger takes, before its effect and after.

    ``calls`` says how many were counted, and ``log`` which. To try each call once: run without a fault,
    and then once for each ``at`` in ``range(faults.calls)``.
    """

    at: int = -1
    kill: bool = True
    after: bool = False
    every: int = 0
    only: Collection[str] = ()
    code: int = errno.EIO
    turns: int = 0
    calls: int = field(default=0, init=False)
    dead: bool = field(default=False, init=False)
    log: list[str] = field(default_factory=list, init=False)

    def call(
        self,
        name: str,
        function: Callable[[], T],
        *,
        half: Callable[[], object] = lambda: None,
        where: str = "",
    ) -> T:
        """Call ``function``, or fail with ``OSError``; ``half`` is the part that a failure may leave."""
        now = self._counted(name)
        if now and not self.after:
            half()
            raise self._system_error(name, where)
        result = function()
        if now:
            raise self._system_error(name, where)
        return result

    async def around(self, name: str, error: type[Exception], call: Callable[[], Awaitable[Any]]) -> Any:
        """Await what ``call`` returns, or fail with ``error``."""
        now = self._counted(name)
        if now and not self.after:
            raise self._error(name, error)
        await self._wait()
        result = await call()
        await self._wait()
        if self.dead:
            raise Killed(name)  # another task of this process was killed meanwhile
        if now:
            raise self._error(name, error)
        return result

    def _counted(self, name: str) -> bool:
        """Count a call, and say whether it is one that goes wrong."""
        if self.dead:
            raise Killed(name)
        if self.only and name not in self.only:
            return False
        now = self.calls == self.at or bool(self.every and not (self.calls + 1) % self.every)
        self.calls += 1
        self.log.append(name)
        return now

    def _error(self, name: str, error: type[Exception]) -> BaseException:
        if self.kill:
            self.dead = True
            return Killed(name)
        return error(f"{name} failed, as planned")

    def _system_error(self, name: str, where: str) -> BaseException:
        if self.kill:
            self.dead = True
            return Killed(name)
        return OSError(self.code, os.strerror(self.code), where)

    async def _wait(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
