"""Stages that pass items on until something says otherwise: the end, a failure, or another flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.branches import JoinStage, places_of
from penstock.core.node import Node, Order
from penstock.core.notifications import Completed, Failed, Next
from penstock.core.stage import Stage, behind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.core.graph import Site
    from penstock.core.stage import Marks, States

__all__ = ["DefaultIfEmpty", "Materialize", "SwitchIfEmpty", "TakeUntil"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SwitchIfEmpty(Node):
    """The first input; the second, which starts only then, if the first completes without an item."""

    operator = "switch_if_empty"
    stateful = True

    def bound(self, n: int) -> float:
        """Return the larger bound of the two."""
        return max(node.bound(n) for node in self.inputs)

    def start(self, site: Site) -> Stage[Any]:
        """Start with the input that a position names."""
        return _SwitchIfEmptyStage(site)


class DefaultIfEmpty(SwitchIfEmpty):
    """The first input; the second, one item, if the first completes without one."""

    operator = "default_if_empty"


UNDECIDED, FIRST, SECOND = range(3)


class _SwitchIfEmptyStage(Stage[Any]):
    """Its state is which input was found to be the one."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._choice: int = site.state or UNDECIDED
        self._before = self._choice
        self._current = site.input(1 if self._choice == SECOND else 0, tracked=site.tracked)
        self._others: States = dict(site.states)
        self._done: tuple[Marks, ...] = ()  # of the first input, when it has ended

    def upstreams(self) -> Iterator[Stage[Any]]:
        yield self._current

    def marks(self) -> Marks:
        key, others, above = self.site.vertex.id, self._others, self._current.marks()
        done, before, now = self._done, self._before, self._choice
        return lambda i: {**others, **behind(done), **above(i), key: now if i else before}

    async def _request(self, n: int) -> list[Any]:
        self._before = self._choice
        items = await self._current.request(n)
        if self._choice == UNDECIDED and not items and not self.run.draining:
            self._done = (self._current.marks(),)
            self.run.release(self._current)
            self._current = self.site.input(1, tracked=self.site.tracked)
            self._before = self._choice = SECOND
            items = await self._current.request(n)
        if self._choice == UNDECIDED and items:
            self._choice = FIRST
        return items


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TakeUntil(Node):
    """Items of the first input until the second gives one."""

    operator = "take_until"
    own_order = Order.TIMED
    stateful = True

    def bound(self, n: int) -> float:
        """Return M(n) of the first input and M(1) of the second."""
        return self.inputs[0].bound(n) + self.inputs[1].bound(1)

    @property
    def repeatable(self) -> bool:
        """False: whether the first input gives the next item, or the second ends all, is a matter of time."""
        return False

    def start(self, site: Site) -> Stage[Any]:
        """Start both inputs, the second first; their tasks start with the first request."""
        return _TakeUntilStage(site)


class _TakeUntilStage(JoinStage):
    """Its state is whether the second input has given an item."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.done = bool(site.state)
        self._signalled = self.done

    def ask(self, n: int) -> None:
        items, signal = self.branches
        signal.want(1)  # first, so that what is there from the beginning comes before any item
        items.want(n)

    def collect(self, n: int) -> list[Any]:
        items, signal = self.branches
        return [] if signal.left else items.take(n)

    def over(self) -> bool:
        items, signal = self.branches
        self._signalled = signal.left > 0
        if not self._signalled:
            for branch in (items, signal):
                if branch.failed and branch.failure is not None:
                    branch.failure.throw()
        return self._signalled or items.ended

    def marks(self) -> Marks:
        key, places, signalled = self.site.vertex.id, self.places(), self._signalled
        return lambda i: {**places_of(places, (i, 0)), key: signalled}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materialize(Node):
    """Items, the end and a failure as values."""

    operator = "materialize"
    stateful = True
    answers = True

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _MaterializeStage(site)


class _MaterializeStage(Stage[Any]):
    """Its state is whether it has said how it ended."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._upstream = site.input(tracked=site.tracked)
        self._ended = bool(site.state)
        self._last = 0  # items of the last chunk; a word about the end is none of upstream's
        self._saying = False

    def upstreams(self) -> Iterator[Stage[Any]]:
        yield self._upstream

    def marks(self) -> Marks:
        key, above, saying, ended = self.site.vertex.id, self._upstream.marks(), self._saying, self._ended
        if saying:
            return lambda i: {**above(0), key: i > 0}
        return lambda i: {**above(i), key: ended}

    async def _request(self, n: int) -> list[Any]:
        self._saying = False
        if self._ended:
            return []
        try:
            items = await self._upstream.request(n)
        except Exception as error:
            if self.run.over(error):
                raise
            return self._say(Failed(error))
        if items:
            return [Next(item) for item in items]
        return [] if self.run.draining else self._say(Completed())

    def _say(self, word: Failed | Completed) -> list[Any]:
        self._ended = self._saying = True
        return [word]
