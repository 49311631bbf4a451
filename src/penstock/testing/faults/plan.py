"""``Faults`` plans which calls of a storage, sink or ledger fail, and how."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.testing.time import turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

T = TypeVar("T")


class Killed(BaseException):
    """The simulated process is gone. A ``BaseException``, because no handler runs in a killed process."""


@dataclass
class Faults:
    """Counts calls, and makes the chosen ones fail.

    Args:
        at: The number of the call that fails, counted from 0; -1 for none.
        kill: Whether the failing call kills the process: from there on no call has any effect, and each
            raises ``Killed``. If not, that call fails with an error, and the next ones work.
        after: Whether the call fails after it had its effect, instead of before.
        every: Each ``every``-th call fails too; 0 for none.
        only: The names of the calls to count, such as ``fsync`` or ``sink.commit``; empty for all.
        code: The ``errno`` of a storage's errors: ``errno.EIO`` by default, ``errno.ENOSPC`` for a full disk.
        turns: Turns of the event loop that each call of a sink or ledger takes, before its effect and after.

    ``calls`` is the number of counted calls, and ``log`` has their names. To fail each call once, run
    without a fault, and then once for each ``at`` in ``range(faults.calls)``.
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
        """Call ``function``, or fail with ``OSError``; a failure before the call first calls ``half``."""
        now = self._counted(name)
        if now and not self.after:
            half()
            raise self._failure(name, OSError(self.code, os.strerror(self.code), where))
        try:
            result = function()
        except Exception as error:
            if now and self.kill:  # no handler runs in a killed process
                raise self._failure(name, error) from error
            raise
        if now:
            raise self._failure(name, OSError(self.code, os.strerror(self.code), where))
        return result

    async def around(self, name: str, error: type[Exception], call: Callable[[], Awaitable[Any]]) -> Any:
        """Await ``call()``, or fail with ``error``."""
        now = self._counted(name)
        failure = error(f"{name} failed, as planned")
        if now and not self.after:
            raise self._failure(name, failure)
        await turns(self.turns)
        try:
            result = await call()
        except Exception:
            if now and self.kill:
                raise self._failure(name, failure) from None
            raise
        await turns(self.turns)
        if self.dead:
            raise Killed(name)  # another task of this process was killed meanwhile
        if now:
            raise self._failure(name, failure)
        return result

    def _counted(self, name: str) -> bool:
        """Count a call; return whether it fails."""
        if self.dead:
            raise Killed(name)
        if self.only and name not in self.only:
            return False
        now = self.calls == self.at or bool(self.every and not (self.calls + 1) % self.every)
        self.calls += 1
        self.log.append(name)
        return now

    def _failure(self, name: str, error: Exception) -> BaseException:
        if self.kill:
            self.dead = True
            return Killed(name)
        return error
