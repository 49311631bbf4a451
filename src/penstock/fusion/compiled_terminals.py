"""A terminal compiled together with the elements before it, so that no list is built per chunk.

``source | map | filter``, consumed by ``reduce``, runs ``map``, ``filter`` and ``reduce`` as one plain
function per slice of inputs; consumed by ``async for``, as one async generator. The source runs in a
subscription. Each slice is consumed before the next one is requested, so laws 1 and 12 hold for a slice as
for a chunk.

Only elements that pass an item on or drop it take part. An element that reshapes can make any number of items
from one input; in a loop without a pause they would block the event loop (law 11).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, cast

from penstock.fusion.element import Element
from penstock.fusion.loops import LONGEST_LOOP, compile_loop
from penstock.notebook.interrupts import say_where
from penstock.runtime.failures import MISTAKEN, raised_by_user
from penstock.runtime.functions import Plain
from penstock.runtime.run import STRETCH, Pace
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from types import TracebackType

    from penstock.fusion.loops import Emit
    from penstock.runtime.node import Node


class Drive:
    """One run to the end of a graph; an async context manager that closes it.

    ``function`` is called by ``Emit.EACH`` and the folds; ``total`` is the first value of a fold.
    ``terminal`` is the name of the terminal, for messages.
    """

    __slots__ = (
        "_began", "_held", "_loop", "_pace", "_terminal", "_upstream", "calls", "elements", "states", "total"
    )  # fmt: skip

    def __init__(
        self,
        root: Node,
        emit: Emit,
        function: Callable[..., object] | None = None,
        total: Any = 0,
        *,
        terminal: str = "the terminal",
    ) -> None:
        chain: list[Element] = []
        node = root
        while node.absent or (isinstance(node, Element) and not node.reshapes and len(chain) < LONGEST_LOOP):
            if isinstance(node, Element):
                chain.append(node)
            node = node.inputs[0]
        chain.reverse()
        self.elements = tuple(chain)
        self.calls = [element.checked() for element in chain]
        """What the loop reads functions and numbers from, anew for each slice."""
        self._terminal = Plain(function, terminal)
        self.total = total
        self._held = [element for element in chain if element.stateful]
        self.states: tuple[Any, ...] = tuple(element.first() for element in self._held)
        self._loop = compile_loop(self.elements, emit=emit)
        self._upstream: Running[Any] = Running(node)
        self._pace = Pace()
        self._began = self._upstream.run.clock.monotonic()

    @property
    def function(self) -> Any:
        """The terminal's own function."""
        return self._terminal.function

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
                except BaseException as error:  # noqa: BLE001  raised again, with a note
                    raise self._raised(error)  # noqa: B904  it has its cause
        return self.total

    async def turn(self, states: tuple[Any, ...]) -> Iterable[Any]:
        """Return the next slice of inputs; a falsy result means the end."""
        run = self._upstream.run
        if not run.begun:
            run.begin()  # before any await, so that no hot input misses an item
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
        raised = exc
        if exc is not None and self._loop.blame(exc) is not None:
            raised = self._raised(exc)
        await self._upstream.__aexit__(type(raised), raised, tb)
        if isinstance(exc, asyncio.CancelledError | KeyboardInterrupt):
            upstream = self._upstream
            say_where(exc, lambda: f"Interrupted and closed: {upstream!r}")
        del self._upstream  # the frame of the loop, which the error keeps, must not keep the run
        if raised is not exc and raised is not None:
            raise raised

    def _raised(self, error: BaseException) -> BaseException:
        """Return what a run raises for the error of an element's function, or of the terminal's own."""
        k = self._loop.blame(error)
        if k is not None:
            return raised_by_user(error, self.elements[k].describe())
        return raised_by_user(error, "the terminal") if isinstance(error, MISTAKEN) else error
