"""Budgets: when the next request to a host may begin. All clients on one event loop share them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from penstock.text import count

_LATE = 0.1
_LATE_SECONDS = 0.005
"""A timer that is late by less than this part of the interval, or than this, moves no later request."""

_FIRST = 1.0
"""The longest wait of the first request, in seconds."""


@dataclass(slots=True)
class Wait:
    """How long the budget kept one request, at the head of the queue, and why."""

    seconds: float
    reason: str


class Budget:
    """The times at which requests to one host may begin: a token bucket that holds one token.

    Requests begin in the order in which they asked, evenly spaced. A request that is cancelled while it waits
    costs nothing. The bucket begins empty, because a process that ended just now may have used the budget: so
    20 requests at 10 per second take 2 seconds.
    """

    def __init__(self) -> None:
        self._queue = asyncio.Lock()
        self._next: float | None = None
        self._held: tuple[float, str] = (0.0, "")

    async def turn(self, per_second: float) -> Wait:
        """Wait until the next request may begin; ``per_second`` may be infinite."""
        loop = asyncio.get_running_loop()
        interval = 1 / per_second
        async with self._queue:
            began = loop.time()
            if self._next is None:
                self._next = began + min(interval, _FIRST)
            while (now := loop.time()) < self._next:  # noqa: ASYNC110  ``hold`` may move it meanwhile
                await asyncio.sleep(self._next - now)
            until, why = self._held
            reason = why if until > began else f"its limit is {_rate(per_second)}"
            late = now - self._next
            nominal = self._next if late < max(interval * _LATE, _LATE_SECONDS) else now
            self._next = nominal + interval
            return Wait(now - began, reason)

    def hold(self, seconds: float, reason: str) -> None:
        """Let no request begin for ``seconds``."""
        until = asyncio.get_running_loop().time() + seconds
        self._held = max(self._held, (until, reason))
        self._next = until if self._next is None else max(self._next, until)


def _rate(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.3g} requests per second"
    return (
        f"{count(round(per_second * 60))} requests per minute"
        if per_second * 60 >= 1
        else (f"a request in {1 / per_second:.3g} s")
    )


_budgets: dict[asyncio.AbstractEventLoop, dict[str, Budget]] = {}


def budget_of(host: str) -> Budget:
    """Return the budget of ``host`` on the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _budgets:
        for other in [*_budgets]:  # a lock holds its loop, so weak keys would keep closed loops for ever
            if other.is_closed():
                _budgets.pop(other, None)
    return _budgets.setdefault(loop, {}).setdefault(host, Budget())
