"""Flows inside a flow: what ``group_by`` and ``window`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.errors import AlreadySubscribed, SubscriptionClosed
from penstock.operators.fanout.shared_run import Place, PlaceStage, SharedRun
from penstock.runtime.failures import Failure
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage


@node
class Inside(Node):
    """The flow of one group or window: a place of the run that fills it, read once."""

    operator = "group"
    hot = True

    place: Place

    @property
    def obstacle(self) -> Node:
        """This node itself: there is no way to come to this place again."""
        return self

    @property
    def once(self) -> Node:
        """This node itself: what was read is gone."""
        return self

    def bound(self, n: int) -> float:
        """Return what its place can hold, and ``n``."""
        return self.place.capacity + n

    def start(self, site: Site) -> Stage[Any]:
        """Start a stage that reads at the place from its first request on."""
        return PlaceStage(site, self._enter)

    def _enter(self, _: PlaceStage) -> Place:
        if self.place.reader is not None:
            msg = (
                f"a flow that {self.place.shared.where} gave can be read once, and an earlier subscription "
                "has begun to. For several subscribers put share() or broadcast(n) behind it."
            )
            raise AlreadySubscribed(msg)
        return self.place


class NestedRun(SharedRun):
    """A shared run with one place for the flows that it makes, and one for each of those."""

    def __init__(self, node: Node, outer: int) -> None:
        super().__init__(node.inputs[0], node.describe())
        self.outer = Place(self, outer)
        self.places.append(self.outer)

    def dismiss(self, place: Place) -> None:
        """Go on without a place; with the outer one go all flows that nobody has taken from it."""
        untaken = self.outer.held.take(len(self.outer.held)) if place is self.outer else []
        for flow in untaken:
            self.dismiss(flow.node.place)
        super().dismiss(place)

    async def close(self, failure: Failure | None = None) -> None:
        """Close; a flow that was taken and not read yet ends with an error behind what it holds."""
        if failure is None and not self.ended:
            msg = f"the run of {self.where} was closed, because nobody was reading there any more"
            failure = Failure(SubscriptionClosed(msg))
        await super().close(failure)
