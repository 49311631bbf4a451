"""The loop of every ingestion: request, take, commit; and keep what was taken when something fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.fusion.drive import SlowStart
from penstock.system import Ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from penstock.abc import Clock
    from penstock.ingest.delivery import Batch, Delivery, Reached


@dataclass(slots=True, eq=False)
class Transfer:
    """Moves items from a subscription into a delivery.

    Args:
        delivery: An open delivery.
        request: ``request(n)`` returns up to ``n`` items, ``[]`` at the end.
        clock: Measures how long the consumer needs; the size of the next request follows from that.
        commit_every: Documents from one commit to the next.
        read: Returns what the items mean.
        mark: Returns a function that returns the position behind the last items, also later.
        end: Called behind the last item: commits, and ends the logical run.
    """

    delivery: Delivery
    request: Callable[[int], Awaitable[list[Any]]]
    clock: Clock
    commit_every: int
    read: Callable[[list[Any]], Batch]
    mark: Callable[[], Reached]
    end: Callable[[], Awaitable[None]]

    async def chunks(self) -> AsyncGenerator[list[Any], None]:
        """Yield lists of items; asking for the next list acknowledges the last."""
        delivery, clock, demand = self.delivery, self.clock, SlowStart()
        reached: Reached | None = None
        try:
            while items := await self.request(demand.n):
                began = clock.monotonic()
                batch = self.read(items)
                await delivery.see(batch)
                yield items
                reached = self.mark()  # before take() waits: it has the batch from its beginning
                await delivery.take(batch)
                if delivery.is_due(self.commit_every):
                    await delivery.commit(*reached())
                demand.took(clock.monotonic() - began)
            await self.end()
        except (Exception, asyncio.CancelledError, GeneratorExit) as error:
            await delivery.keep(error, reached)
            raise

    async def run(self) -> None:
        """Move all items."""
        async with Ended(self.chunks()) as chunks:
            async for _ in chunks:
                pass
