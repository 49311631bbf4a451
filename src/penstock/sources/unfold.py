"""The sources ``unfold`` and ``iterate``, which compute their items from a state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.abc import Page
from penstock.runtime.arguments import assembled_at, at, function_for, is_async, shown, text_for
from penstock.runtime.failures import Failure, raised_by_user
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Site, node
from penstock.runtime.run import STRETCH, Pace
from penstock.runtime.stream import flow_of
from penstock.sources.from_pages import FromPages
from penstock.sources.source import SourceNode, SourceStage

if TYPE_CHECKING:
    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks

Mark = list[Any] | None
"""``None`` is the beginning; ``[state]`` is the position after an item. The state itself may be ``None``."""
Step = tuple[Any, Mark] | None
"""An item and the position after it; ``None`` is the end."""

LAZY = "a function that is no async def"
"""What returned an awaitable, in messages: an async def would have been awaited."""

S = TypeVar("S")
T = TypeVar("T")


@overload
def unfold(
    seed: S, function: Callable[[S], Coroutine[Any, Any, tuple[T, S] | None]], *, name: str | None = None
) -> Flow[T]: ...
@overload
def unfold(seed: S, function: Callable[[S], tuple[T, S] | None], *, name: str | None = None) -> Flow[T]: ...
def unfold(seed: Any, function: Callable[[Any], Any], *, name: str | None = None) -> Flow[Any]:
    """Create a flow whose items ``function`` computes from a state.

    ``function(state)`` returns ``(item, next state)``, or ``None`` at the end; ``seed`` is the first state.

    ``function`` may be an ``async def``, for instance one that fetches the page at a cursor; it then runs in
    its own task. It is called for one item at a time, and only under demand. The position is the state after
    the last item delivered. So states must be JSON for a run to be resumable, and ``function`` must return
    new ones instead of changing them in place.
    """
    function_for("unfold", function, asynchronous=True)
    text_for("unfold", "name", name, optional=True)
    if is_async(function):
        pages = _pages(_unfold_async(seed, function))
        return flow_of(AsyncUnfold(pages=pages, seekable=True, page_size=1, name=name))
    return flow_of(Unfold(advance=_unfold(seed, function), name=name))


@overload
def iterate(
    seed: T, function: Callable[[T], Coroutine[Any, Any, T]], *, name: str | None = None
) -> Flow[T]: ...
@overload
def iterate(seed: T, function: Callable[[T], T], *, name: str | None = None) -> Flow[T]: ...
def iterate(seed: Any, function: Callable[[Any], Any], *, name: str | None = None) -> Flow[Any]:
    """Create the endless flow ``seed``, ``function(seed)``, ``function(function(seed))`` and so on.

    ``function`` may be an ``async def``. It is called only when its item is requested. The position is the
    last item delivered, which must be JSON for a run to be resumable. Apply ``take`` or ``take_while`` to
    end the flow.
    """
    function_for("iterate", function, asynchronous=True)
    text_for("iterate", "name", name, optional=True)
    if is_async(function):
        pages = _pages(_iterate_async(seed, function))
        return flow_of(AsyncIterate(pages=pages, seekable=True, page_size=1, name=name))
    return flow_of(Iterate(advance=_iterate(seed, function), name=name))


def _unfold(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], Step]:
    origin = assembled_at()

    def advance(mark: Mark) -> Step:
        return _checked(function(seed if mark is None else mark[0]), origin)

    return advance


def _unfold_async(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], Awaitable[Step]]:
    origin = assembled_at()

    async def advance(mark: Mark) -> Step:
        return _checked(await function(seed if mark is None else mark[0]), origin)

    return advance


def _iterate(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], Step]:
    origin, known = assembled_at(), False

    def advance(mark: Mark) -> Step:
        nonlocal known
        if mark is None:
            return seed, [seed]
        item = function(mark[0])
        if not known:
            plain_result(item, "iterate", origin, LAZY)
            known = True
        return item, [item]

    return advance


def _iterate_async(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], Awaitable[Step]]:
    async def advance(mark: Mark) -> Step:
        item = seed if mark is None else await function(mark[0])
        return item, [item]

    return advance


def _pages(advance: Callable[[Mark], Awaitable[Step]]) -> Callable[[Mark], AsyncIterator[Page[Any]]]:
    """Return a function for ``FromPages`` whose pages have one item each."""

    async def pages(mark: Mark) -> AsyncIterator[Page[Any]]:
        while step := await advance(mark):
            item, mark = step
            yield Page([item], position=mark)

    return pages


def _checked(returned: Any, origin: str) -> Step:
    if returned is None:
        return None
    if not isinstance(returned, tuple) or len(returned) != 2:  # noqa: PLR2004  a pair
        plain_result(returned, "unfold", origin, LAZY)
        msg = (
            f"the function of unfold{at(origin)} must return (item, next state), or None at the end, "
            f"not {shown(returned)}"
        )
        raise TypeError(msg)
    item, state = returned
    return item, [state]


@node
class Unfold(SourceNode):
    """Computes its items from a state, which is the position."""

    operator = "unfold"

    advance: Callable[[Mark], Step]

    def start(self, site: Site) -> SourceStage:
        return _UnfoldStage(site, self)


class Iterate(Unfold):
    """Computes each item from the one before, which is the position."""

    operator = "iterate"


class AsyncUnfold(FromPages):
    """``Unfold`` with an async function, in its own task."""

    operator = "unfold"


class AsyncIterate(FromPages):
    """``Iterate`` with an async function, in its own task."""

    operator = "iterate"


class _UnfoldStage(SourceStage):
    def __init__(self, site: Site, node: Unfold) -> None:
        super().__init__(site)
        self._node = node
        self._marks: list[Mark] = [
            site.state
        ]  # the positions before the last chunk and after each item of it
        self._pace = Pace()
        self._failure: Failure | None = None
        self._ended = False

    def marks(self) -> Marks:
        key, marks = self.site.vertex.id, self._marks
        return lambda i: {key: marks[min(i, len(marks) - 1)]}

    async def _request(self, n: int) -> list[Any]:
        self._marks = marks = [self._marks[-1]]
        if self._failure is not None:
            self._failure.throw()
        if self.run.strained():
            await self.run.breathe()
        out: list[Any] = []
        try:
            while len(out) < n and not self._ended and not self.run.draining:
                if self._slice(out, marks, n):
                    break
        except BaseException as error:  # noqa: BLE001  it is raised after the items before it
            self._failure = Failure(raised_by_user(error, self._node.describe()))
            if not out:
                self._failure.throw()
        return out

    def _slice(self, out: list[Any], marks: list[Mark], n: int) -> bool:
        """Compute some items. Returns whether the request must end: at the end, or to let other tasks run."""
        clock, advance = self.run.clock.monotonic, self._node.advance
        began = clock()
        for _ in range(min(self._pace.size, n - len(out))):
            step = advance(marks[-1])
            if step is None:
                self._ended = True
                return True
            out.append(step[0])
            marks.append(step[1])
        now = clock()
        self._pace.took(now - began)
        return now - self.run.stretch > STRETCH
