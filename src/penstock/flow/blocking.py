"""What ``flow.sync`` is made of: a flow for code that is not async."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from penstock.fusion.drive import SlowStart
from penstock.notebook.interrupts import say_where
from penstock.runtime.clock import SYSTEM_CLOCK
from penstock.runtime.subscription import Running
from penstock.system.own_loop import OwnLoop, run_in_own_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from penstock.abc import Subscription
    from penstock.flow.terminals import Terminals

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")


class Blocking(Generic[T_co]):
    """A flow that synchronous code iterates over; the base of ``SyncFlow``, which adds the terminals."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Terminals[T_co]) -> None:
        self._flow = flow

    def __repr__(self) -> str:
        return f"{self._flow!r}.sync"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        shown: dict[str, str] = self._flow._repr_mimebundle_()  # type: ignore[attr-defined]
        return {**shown, "text/plain": repr(self)}

    def __iter__(self) -> Iterator[T_co]:
        """Yield the items of a new run; the run is closed when the iteration is left.

        Items are requested in lists, as by ``async for``. Between two lists nothing runs.
        """
        with OwnLoop() as loop:
            demand = SlowStart()
            subscription: Subscription[T_co] = loop.run(self._begin)
            try:
                while items := loop.run(lambda: subscription.request(demand.n)):
                    began = SYSTEM_CLOCK.monotonic()
                    yield from items
                    demand.took(SYSTEM_CLOCK.monotonic() - began)
            except (KeyboardInterrupt, asyncio.CancelledError) as interrupt:
                say_where(interrupt, lambda: f"Interrupted: {subscription!r}")
                raise
            finally:
                loop.run(subscription.aclose)

    async def _begin(self) -> Subscription[T_co]:
        return Running(self._flow.node)

    def _run(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        return run_in_own_loop(work)
