"""``share`` and ``replay``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from penstock.errors import SubscriptionClosed
from penstock.operators.attach import attach
from penstock.operators.concurrency.overflow import strategy
from penstock.operators.fanout.hot import CAPACITY, Hot
from penstock.operators.fanout.shared_run import Place, PlaceStage, SharedRun
from penstock.runtime.arguments import positive
from penstock.runtime.failures import Failure
from penstock.runtime.node import Order, node

if TYPE_CHECKING:
    from penstock.operators.attach import Same
    from penstock.operators.concurrency.overflow import Overflow, OverflowName
    from penstock.runtime.node import Node, Site
    from penstock.runtime.stage import Stage


__all__ = ["Connection", "Hub", "Replay", "Shared", "replay", "share"]


def share(*, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Same:
    """Let all subscribers share one run, which the first one begins and the last one to leave closes.

    One joins with its first request, and gets what comes from then on. When the run has come to its end, or
    was closed, the next subscriber begins a new one. An error reaches all subscribers.
    """
    positive("share", "capacity", capacity)
    what = strategy("share", overflow)
    return attach(lambda node: Shared(inputs=(node,), capacity=capacity, overflow=what, hub=Hub()))


def replay(count: int, *, capacity: int = CAPACITY, overflow: OverflowName = "wait") -> Same:
    """Share one run like ``share``, and give each subscriber that comes late the last ``count`` items first.

    Who comes when upstream has ended, while others still read, gets the last items and the end. When all
    have left, nothing is kept, and the next subscriber begins a new run.
    """
    positive("replay", "count", count)
    positive("replay", "capacity", capacity)
    what = strategy("replay", overflow)
    return attach(
        lambda node: Replay(inputs=(node,), capacity=capacity, overflow=what, hub=Hub(), replay=count)
    )


class Joined(SharedRun):
    """The shared run of the moment; who joins first gets what the last items were, if so many are kept."""

    def __init__(self, root: Node, where: str, replay: int, *, connected: bool, kept: bool) -> None:
        super().__init__(root, where)
        self.connected = connected
        self.history: deque[Any] = deque(maxlen=replay)
        self._failure: Failure | None = None
        self._kept = kept  # by a connection: nobody else closes it

    def admit(self, capacity: int, overflow: Overflow) -> Place:
        """Return a new place at the present, behind the last items if those are kept."""
        place = Place(self, capacity, overflow)
        if self.history:
            place.held.put(list(self.history))
        if self.ended:
            place.ended, place.failure = True, self._failure
        else:
            self.places.append(place)
        return place

    def finish(self, failure: Failure | None) -> None:
        """Keep how it ended, for those who come for the last items."""
        self._failure = failure
        super().finish(failure)

    def ask(self) -> None:
        """Go on, but not before it is connected."""
        if self.connected:
            super().ask()

    def distribute(self, items: list[Any]) -> None:
        """Give all items to everybody, and keep the last ones."""
        self.history.extend(items)
        super().distribute(items)

    def deserted(self) -> bool:
        """Whether nobody is left, nor a connection that keeps it open."""
        return super().deserted() and (self.ended or not (self._kept and self.connected))

    def drain(self) -> bool:
        """Drain if all want that; a connection does not."""
        return not self._kept and super().drain()


class Hub:
    """Where the subscribers of a shared flow meet: the shared run of the moment, if there is one."""

    def __init__(self) -> None:
        self.now: Joined | None = None

    def enter(self, stage: PlaceStage, node: Shared) -> Place:  # noqa: ARG002  every hub is called like this
        """Join the run of the moment, or begin one."""
        return self.joined(node).admit(node.capacity, node.overflow)

    def joined(self, node: Shared) -> Joined:
        """Return the run of the moment: a new one if there is none that can be joined."""
        now = self.now
        if now is None or now.loop is not asyncio.get_running_loop() or not _open_to_all(now):
            manual = node.manual
            now = Joined(node.inputs[0], node.describe(), node.replay, connected=not manual, kept=manual)
            self.now = now
        return now

    def connect(self, node: Shared) -> Connection:
        """Let the run of the moment begin."""
        now = self.joined(node)
        if now.ended:
            self.now = None
            now = self.joined(node)
        now.connected = True
        now.ask()
        return Connection(now)


def _open_to_all(now: Joined) -> bool:
    """Whether a newcomer may join: after the end only for the last items, while they are being read."""
    if now.closing is not None:
        return False
    return not now.ended or now.history.maxlen != 0


@node
class Shared(Hot):
    """A flow that all its subscribers have in common, from the moment at which each joins."""

    operator = "share"
    own_order = Order.TIMED

    hub: Hub
    replay: int = 0
    manual: bool = False
    """Whether nothing runs before ``connect``."""

    def bound(self, n: int) -> float:
        """Return M_up(capacity) + replay + n."""
        return self.inputs[0].bound(self.capacity) + self.replay + n

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that joins with its first request."""
        return PlaceStage(site, lambda stage: self.hub.enter(stage, self))


class Replay(Shared):
    """The same, with the last items for latecomers."""

    operator = "replay"


class Connection:
    """What ``connect`` returns: the shared run of a published flow, until ``aclose`` or the end.

    An async context manager. Closing is idempotent.
    """

    __slots__ = ("_joined",)

    def __init__(self, joined: Joined) -> None:
        self._joined = joined

    @property
    def connected(self) -> bool:
        """Whether the shared run goes on: it has neither come to its end nor been closed."""
        return not self._joined.over

    async def aclose(self) -> None:
        """End the shared run: its subscribers get what is held for them, then ``SubscriptionClosed``."""
        where = self._joined.where
        error = SubscriptionClosed(f"the connection of {where} was closed; connect() again for a new run")
        await self._joined.close(None if self._joined.ended else Failure(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
