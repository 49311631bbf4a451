"""A terminal compiled together with the elements it stands behind: no list and no resumption per item.

``map | filter`` behind a source, consumed by ``reduce``, runs as one plain function per slice of inputs;
consumed by ``async for`` as one async generator. Everything above these elements runs as it always does,
in a subscription of its own, which is asked for one slice after the other: each is consumed before the
next is asked for, so that what law 1 and law 12 say of a chunk holds for the slice.

Only elements that pass an item on or drop it take part. One that ends a stage may make any number of items
of one input, and a loop without a pause could then keep everybody waiting (law 11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from penstock.fusion.element import Element
from penstock.fusion.loops import compile_loop
from penstock.runtime.failures import annotate
from penstock.runtime.run import STRETCH, Pace
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from types import TracebackType

    from penstock.fusion.loops import Emit
    from penstock.runtime.node import Node


__all__ = ["Drive"]


class Drive:
    """One run to the end of a graph; an async context manager that closes it.

    Args:
        root: The graph.
        emit: What happens to each of its items.
        function: What ``Emit.EACH`` and ``Emit.FOLD`` call.
        total: Where ``Emit.FOLD`` begins, and ``Emit.COUNT`` at 0.
    """

    __slots__ = ("_began", "_held", "_loop", "_pace", "_upstream", "elements", "function", "states", "total")

    def __init__(
        self, root: Node, emit: Emit, function: Callable[..., object] | None = None, total: Any = 0
    ) -> None:
        chain: list[Element] = []
        node = root
        while isinstance(node, Element) and not node.ends:
            chain.append(node)
            node = node.inputs[0]
        chain.reverse()
        self.elements = tuple(chain)
        self.function = function
        self.total = total
        self._held = [element for element in chain if element.stateful]
        self.states: tuple[Any, ...] = tuple(element.first() for element in self._held)
        self._loop = compile_loop(self.elements, emit=emit)
        self._upstream: Running[Any] = Running(node)
        self._pace = Pace()
        self._began = self._upstream.run.clock.monotonic()

    def iterate(self) -> AsyncGenerator[Any, None]:
        """Return the items as an async generator that closes the run when it is left."""
        return cast("AsyncGenerator[Any, None]", self._loop.run(self))

    async def consume(self) -> Any:
        """Run to the end and return the total."""
        run, turn = self._loop.run, self.turn
        async with self:
            while items := await turn(self.states):
                try:
                    run(items, self)
                except StopIteration as error:  # a coroutine would say only that it raised one
                    msg = "a function let a StopIteration escape"
                    raise RuntimeError(msg).with_traceback(error.__traceback__) from error
        return self.total

    async def turn(self, states: tuple[Any, ...]) -> Iterable[Any]:
        """Return the next slice of inputs; what is false is the end."""
        run = self._upstream.run
        now = run.clock.monotonic()
        self._pace.took(now - self._began)
        if now - run.stretch > STRETCH:
            await run.breathe()
        n = self._pace.size
        for element, state in zip(reversed(self._held), reversed(states), strict=True):
            if element.finished(state):
                return []
            n = element.demand(n, state)
        items = await self._upstream.lazily(n)
        self._began = run.clock.monotonic()
        return items

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc is not None and (k := self._loop.blame(exc)) is not None:
            annotate(exc, self.elements[k].describe())
        await self._upstream.__aexit__(exc_type, exc, tb)
