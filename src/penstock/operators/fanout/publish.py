"""The operator ``publish``: subscribers share one run, which starts on ``connect()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar, cast

from penstock.errors import SubscriptionClosed
from penstock.operators.fanout.share import Share, attach_shared
from penstock.operators.fanout.stuck import PATIENCE
from penstock.operators.fanout.subscriber import CAPACITY, limits
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.flow import Flow
    from penstock.flow.hot import Connectable
    from penstock.operators.concurrency.overflow import OverflowName
    from penstock.operators.fanout.share import ShareRun


__all__ = ["Connection", "Publish", "publish"]

T = TypeVar("T")


def publish(
    *,
    replay: int = 0,
    capacity: int = CAPACITY,
    overflow: OverflowName = "wait",
    patience: float | None = PATIENCE,
) -> Callable[[Flow[T]], Connectable[T]]:
    """Share one run that starts on ``connect()`` and ends when the connection is closed.

    Subscribers wait for the connection. While it lasts they may come and go, and nothing is requested while
    there are none. When it is closed, the present subscribers receive the items that are held for them, then
    ``SubscriptionClosed``. Later subscribers wait for the next connection.

    Args:
        replay: How many of the last items a late subscriber receives first.
        capacity: How many items a subscriber may lag behind the fastest one.
        overflow: What happens to a subscriber that lags behind further (see ``broadcast``).
        patience: How long a stuck subscriber may hold the others back (see ``broadcast``).
    """
    positive("publish", "replay", replay, least=0)
    return cast(
        "Callable[[Flow[T]], Connectable[T]]",
        attach_shared(Publish, limits("publish", capacity, overflow, patience), replay),
    )


class Publish(Share):
    """A shared flow whose run starts on ``connect()``."""

    operator = "publish"
    manual = True

    def connect(self) -> Connection:
        """Start the shared run, or return a handle of the run that is under way."""
        run = self.runs.get(self, ended=False)
        run.connected = True
        if run.queues:
            run.begin()
        run.ask()
        return Connection(run)


class Connection:
    """The shared run of a published flow, until ``aclose`` or its end: what ``connect`` returns.

    An async context manager. Closing is idempotent.
    """

    __slots__ = ("_run",)

    def __init__(self, run: ShareRun) -> None:
        self._run = run

    @property
    def connected(self) -> bool:
        """Whether the shared run has neither ended nor been closed."""
        return not self._run.over

    async def aclose(self) -> None:
        """Close the shared run: subscribers receive the held items, then ``SubscriptionClosed``."""
        msg = f"the connection of {self._run.where} was closed; call connect() again for a new run"
        await self._run.close(None if self._run.ended else Failure(SubscriptionClosed(msg)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
