"""``Flow``: the cold, immutable description of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isfunction
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from aioreactive import AsyncObserver

from penstock import operators
from penstock.abc import Statistics
from penstock.errors import GraphError, PositionError
from penstock.flow.methods import Methods
from penstock.flow.picture import graph_of
from penstock.flow.sync import SyncFlow
from penstock.flow.terminals import Terminals
from penstock.fusion.drive import iterate
from penstock.interop import aioreactive as bridge
from penstock.runtime.arguments import at, began_at, positive, refuse, shown
from penstock.runtime.graph import runs_of
from penstock.runtime.node import Node
from penstock.runtime.other_names import advice_on
from penstock.runtime.stream import describes
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from aioreactive.types import CloseAsync, SendAsync, ThrowAsync
    from expression.system import AsyncDisposable

    from penstock.abc import Position, Subscription
    from penstock.flow.picture import Graph
    from penstock.runtime.order import Order

T_co = TypeVar("T_co", covariant=True)
R = TypeVar("R")

MOST_NAMES = 20
"""How many operators ``repr`` names."""


@describes(Node)
class Flow(Methods[T_co], Terminals[T_co]):
    """A description of a stream. Each subscription starts a new run.

    Compose with ``flow | op.map(f)``, with ``expression.pipe``, or with the methods. Consume with
    ``subscribe()`` and ``request(n)``, with ``async for``, with a terminal such as ``to_list()``, or as
    an aioreactive ``AsyncObservable``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        names = [vertex.node.operator for last in runs_of(self.node) for vertex in last.run]
        if len(names) > MOST_NAMES:
            names[MOST_NAMES // 2 : -MOST_NAMES // 2] = [f"... {len(names) - MOST_NAMES:,} more ..."]
        return f"<{type(self).__name__} {' | '.join(names)}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.graph().to_svg(), "text/plain": repr(self)}

    def subscribe(self, position: Position | None = None) -> Subscription[T_co]:
        """Return a new run, from the beginning or from a ``position`` of an earlier run.

        It does nothing before its first request. Use it as an async context manager.

        Raises:
            PositionError: the position belongs to another graph; the message says what differs.
            NotResumable: a position was given, but a node of this flow cannot start from one.
        """
        if callable(position) or isinstance(position, AsyncObserver):
            advice = "To receive items, use await flow.for_each(...), or await flow.subscribe_async(...)."
            refuse("subscribe", "a position of an earlier run", position, advice=advice)
        if position is not None and not isinstance(position, Mapping):
            msg = f"subscribe({shown(position)}){at()}: this is not a position of an earlier run"
            raise PositionError(msg)
        return Running(self.node, position, began_at())

    @property
    def sync(self) -> SyncFlow[T_co]:
        """This flow for code that is not async: ``for item in flow.sync``, ``flow.sync.to_list()``.

        Each iteration and each terminal is a run in an event loop of its own. If this thread has a running
        loop, as in a notebook, the run is in another thread and this one waits: in async code, use
        ``async for`` and ``await`` instead. Ctrl-C closes the run.
        """
        return SyncFlow(self)

    def __aiter__(self) -> AsyncIterator[T_co]:
        return iterate(self.node)

    def requesting(self, n: int) -> AsyncGenerator[T_co, None]:
        """Iterate over single items like ``async for``, but always request ``n`` instead of more and more.

        So at most ``n`` items after a checkpoint come again when the loop is left. For lists of items, use
        ``batch``.
        """
        positive("requesting", "n", n)
        return iterate(self.node, n)

    async def subscribe_async(
        self,
        send: SendAsync[Any] | AsyncObserver[Any] | None = None,
        throw: ThrowAsync | None = None,
        close: CloseAsync | None = None,
    ) -> AsyncDisposable:
        """Send the items to an aioreactive observer; dispose the result to end the run."""
        return await bridge.observe(self.node, bridge.as_observer(send, throw, close))

    @property
    def order(self) -> Order:
        """How the items depend on the schedule of requests (law 5)."""
        return self.node.order

    @property
    def resumable(self) -> bool:
        """Whether a subscription has a position."""
        return self.node.obstacle is None

    def max_in_flight(self, n: int = 1) -> float:
        """Return the most source items that can be in flight while ``n`` are requested (law 1)."""
        positive("max_in_flight", "n", n)
        return self.node.bound(n)

    def graph(self, statistics: Statistics | None = None) -> Graph:
        """Return the nodes and edges of this flow, with the statistics of a run of it if given.

        Raises:
            ValueError: the statistics are from another flow.
        """
        if statistics is not None and not isinstance(statistics, Statistics):
            refuse("graph", "Statistics", statistics, advice="Pass subscription.statistics().")
        graph = graph_of(self.node)
        return graph if statistics is None else graph.with_statistics(statistics)

    def explain(self, statistics: Statistics | None = None) -> str:
        """Return the graph as text: the last operator first, its inputs below.

        With the statistics of a run, it also says what every stage did, how long it took, and whether a
        stage or the subscriber is the bottleneck.
        """
        if statistics is not None and not isinstance(statistics, Statistics):
            refuse("explain", "Statistics", statistics, advice="Pass subscription.statistics().")
        return str(self.graph(statistics))

    def __or__(self, step: Callable[[Flow[T_co]], R]) -> R:
        if not callable(step):
            advice = "To join two flows, use merge, concat or zip." if isinstance(step, Flow) else ""
            refuse("flow | operator", "an operator after it", step, "step", advice)
        name = getattr(step, "__name__", "")
        if name in dir(operators) and getattr(operators, name) is step:
            msg = (
                f"the operator {name} was not called{at(before=', ')}. "
                f"Wrong: flow | op.{name}. Right: flow | op.{name}(...)."
            )
            raise GraphError(msg)
        return step(self)

    if not TYPE_CHECKING:  # type checkers report these mistakes themselves

        def __getattr__(self, name: str) -> NoReturn:
            """Answer an unknown name with a similar one, or with ours for that of another library."""
            msg = f"a {type(self).__name__} has no {name!r}"
            if not name.startswith("_"):
                advice = advice_on(name, "flow") or "The page Operators lists what there is."
                msg = f"{msg}{at(before=', ')}. {advice}"
            raise AttributeError(msg, name=name)  # with obj=, Python would add a guess of its own

        def __getitem__(self, index: object) -> NoReturn:
            """Refuse ``for item in flow`` too: with ``__iter__``, a flow would count as an iterable."""
            if isinstance(index, slice):
                advice = "has no square brackets: use flow.skip(start).take(count)"
            elif index != 0:
                advice = f"has no square brackets: use flow.element_at({index!r}), or flow.head(n)"
            else:
                advice = (
                    "is read asynchronously: use `async for item in flow`, `await flow.to_list()`, or "
                    "`for item in flow.sync` in synchronous code"
                )
            msg = f"a Flow {advice}{at()}"
            raise TypeError(msg)

        async def __aenter__(self) -> NoReturn:
            msg = f"a Flow is no context manager{at(before=', ')}: use `async with flow.subscribe() as run`"
            raise TypeError(msg)

        async def __aexit__(self, *_: object) -> None:
            """Python looks this up before it calls ``__aenter__``, which raises."""


for _base in (Methods, Terminals):
    for _name, _method in vars(_base).items():
        if isfunction(_method):
            _method.__qualname__ = (
                f"Flow.{_name}"  # Python's errors name it, as in "Flow.map() missing 1 ..."
            )
