"""An aioreactive observable that plays a script, and misbehaves where the script says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aioreactive import AsyncObservable, AsyncObserver
from expression.system import AsyncDisposable

from penstock.interop.aioreactive import as_observer
from penstock.testing.script import Burst, End, Instruction, Raise

if TYPE_CHECKING:
    from penstock.testing.sources import TestSource

__all__ = ["PlayedObservable"]


class PlayedObservable(AsyncObservable[Any]):
    """Sends the items of a source's script, one at a time, each when the one before has been taken.

    After ``End`` or ``Raise`` it sends what follows all the same, and a ``Burst`` at once. Disposing
    raises what an instruction of the source's ``on_close`` raises.
    """

    def __init__(self, source: TestSource) -> None:
        self._source = source

    async def subscribe_async(self, send: Any = None, throw: Any = None, close: Any = None) -> Any:
        """Start to play in a task of its own."""
        task = asyncio.create_task(self._play(as_observer(send, throw, close)))

        async def dispose() -> None:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

        return AsyncDisposable.create(dispose)

    async def _play(self, observer: AsyncObserver[Any]) -> None:
        source, ended = self._source, False
        began = source.open()
        try:
            for element in source.script:
                ended = ended or isinstance(element, End | Raise)
                await self._send(element, observer, began)
            if not ended:
                await observer.aclose()
        finally:
            await source.close()

    async def _send(self, element: Any, observer: AsyncObserver[Any], began: float) -> None:
        match element:
            case End():
                await observer.aclose()
            case Raise(make):
                error: Any = make()
                await observer.athrow(error)
            case Burst(items):
                self._source.hand(len(items))
                await asyncio.gather(*(observer.asend(item) for item in items))
            case _ if isinstance(element, Instruction):
                await self._source.obey(element, began)
            case _:
                self._source.hand(1)
                await observer.asend(element)
