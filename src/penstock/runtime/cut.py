"""``Cut``: where the Python stack of a deep graph is cut, so that no depth reaches the recursion limit.

A stage awaits the request of the stage above, which awaits that of the next one: some hundred stages fill
Python's stack. So a ``Cut`` stands between two stages every ``DEEPEST`` stages. It does not await the
coroutine of the upper stage. It hands it to a ``_Flat`` further down, which runs the coroutines of one task
from a list. A cut holds no items and starts no task, so a request returns, fails and is cancelled as if the
stages awaited each other.

Starting, closing and positions are cut at the same places: the upper stage is started when the first request
of the run begins, and its ``Marks`` are called by ``evaluated``, not by those of the stages below.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.runtime.upstream import Later, Upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator, Iterable

    from penstock.runtime.node import Site
    from penstock.runtime.places import Places
    from penstock.runtime.upstream import Marks, States

    Work = Coroutine[Any, Any, Any]

DEEPEST = 32
"""How many stages are called on one Python stack. A stage takes two frames in a request, seven to start."""


class Cut(Upstream[Any], Later):
    """The stage above, started when it is first needed, on a Python stack of its own."""

    def __init__(self, site: Site) -> None:
        self.run = site.run
        self._site = replace(site, depth=0)
        self._stage: Upstream[Any] | None = None
        self._marks: Marks = self._given  # of the last chunk
        self._offset = 0  # where ``marks(0)`` of this cut stands in that chunk
        self._size = 0
        self.run.expect(self)

    def enter(self) -> None:
        """Start the stage, because the first request begins: there may be a hot input above."""
        self._started()

    def _given(self, _: int) -> States:
        """Return the states that the stage starts from."""
        states = self._site.states
        return {v.id: states[v.id] for v in self._site.vertex.within() if v.id in states}

    def _started(self) -> Upstream[Any]:
        if self._stage is None:
            self._stage = self._site.start()
        return self._stage

    async def request(self, n: int) -> list[Any]:
        stage = self._started()
        self._offset = self._size
        self._size = 0
        try:
            items: list[Any] = await _aside(stage.request(n))
            self._size = len(items)
        finally:  # now: later the marks of the stages above could be called only one inside the other
            self._marks, self._offset = stage.marks(), 0
        return items

    def marks(self) -> Marks:
        marks, offset = self._marks, self._offset
        return lambda i: {self: (marks, offset + i)}

    async def settle(self, count: int) -> None:
        if self._stage is not None:
            await _aside(self._stage.settle(count))

    async def aclose(self) -> None:
        """Close the stage; one that was never asked must still leave a shared run, for example."""
        await _aside(self._started().aclose())

    def title(self) -> str:
        return self._site.vertex.node.operator

    def upstreams(self) -> Iterable[Upstream[Any]]:
        return () if self._stage is None else (self._stage,)

    def measured(self, places: Places) -> None:  # noqa: ARG002  it is none of the graph's nodes
        return None

    def waited(self, now: float) -> float:
        return 0.0 if self._stage is None else self._stage.waited(now)


class _Handed:
    """Awaited, it hands a coroutine to the ``_Flat`` that runs, and returns the coroutine's result."""

    __slots__ = ("work",)

    def __init__(self, work: Work) -> None:
        self.work = work

    def __await__(self) -> Generator[_Handed, Any, Any]:
        return (yield self)


class _Flat:
    """Runs a coroutine, and every coroutine that is handed over meanwhile, from a list."""

    __slots__ = ("_task", "_works")

    running: ClassVar[_Flat | None] = None
    """The one that is running a coroutine at this moment."""

    def __init__(self, work: Work) -> None:
        self._task = asyncio.current_task()
        self._works = [work]

    def runs_here(self) -> bool:
        """Return whether it runs the present task: a coroutine can start another task, eagerly."""
        return self._task is asyncio.current_task()

    def __await__(self) -> Generator[Any, Any, Any]:
        works = self._works
        value: Any = None
        error: BaseException | None = None
        try:
            while works:
                outer, _Flat.running = _Flat.running, self
                try:
                    step = works[-1].send(value) if error is None else works[-1].throw(error)
                except StopIteration as returned:
                    del works[-1]
                    value, error = returned.value, None
                    continue
                except BaseException as raised:  # noqa: BLE001  thrown into the coroutine that waits for it
                    del works[-1]
                    value, error = None, raised
                    continue
                finally:
                    _Flat.running = outer
                value = error = None
                if isinstance(step, _Handed):
                    works.append(step.work)
                    continue
                try:
                    value = yield step
                except BaseException as thrown:  # noqa: BLE001  the task is cancelled, or thrown away
                    error = thrown
            if error is not None:
                raise error
            return value
        finally:
            del error  # its traceback holds this frame


def _aside(work: Work) -> Awaitable[Any]:
    """Return an awaitable that runs ``work`` on a Python stack of its own."""
    flat = _Flat.running
    return _Handed(work) if flat is not None and flat.runs_here() else _Flat(work)
