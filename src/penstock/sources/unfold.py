"""``unfold`` and ``iterate``: items made from a state."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.abc import Page
from penstock.runtime.arguments import function_for
from penstock.runtime.failures import Failure, annotate
from penstock.runtime.node import node
from penstock.runtime.run import STRETCH, Pace
from penstock.runtime.stage import Stage
from penstock.runtime.stream import flow_of
from penstock.sources.from_pages import FromPages
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Node, Site
    from penstock.runtime.upstream import Marks, Upstream

    Mark = list[Any] | None
    """``None`` is the beginning, ``[state]`` stands behind an item: a state may be ``None`` itself."""
    Advance = Callable[[Mark], tuple[Any, Mark] | None]


__all__ = [
    "AsyncIterate",
    "AsyncUnfold",
    "Iterate",
    "Unfold",
    "iterate",
    "iterating",
    "iterating_async",
    "unfold",
    "unfolding",
    "unfolding_async",
]

S = TypeVar("S")
T = TypeVar("T")


@overload
def unfold(
    seed: S, function: Callable[[S], Coroutine[Any, Any, tuple[T, S] | None]], *, name: str | None = None
) -> Flow[T]: ...
@overload
def unfold(seed: S, function: Callable[[S], tuple[T, S] | None], *, name: str | None = None) -> Flow[T]: ...
def unfold(seed: Any, function: Callable[[Any], Any], *, name: str | None = None) -> Flow[Any]:
    """Make items from a state: ``function(state)`` returns ``(item, next state)``, or ``None`` at the end.

    An ``async def`` may be given, such as one that fetches what a cursor points to; it runs in a task of
    its own. The function is called for one item at a time, and only under demand. The position is the
    state behind the last item delivered, so states must be JSON for a run to be resumable, and ``function``
    must return new ones instead of changing them in place.
    """
    function_for("unfold", function, asynchronous=True)
    if inspect.iscoroutinefunction(function):
        pages = unfolding_async(seed, function)
        return flow_of(AsyncUnfold(pages=pages, seekable=True, page_size=1, name=name))
    return flow_of(Unfold(advance=unfolding(seed, function), name=name))


@overload
def iterate(
    seed: T, function: Callable[[T], Coroutine[Any, Any, T]], *, name: str | None = None
) -> Flow[T]: ...
@overload
def iterate(seed: T, function: Callable[[T], T], *, name: str | None = None) -> Flow[T]: ...
def iterate(seed: Any, function: Callable[[Any], Any], *, name: str | None = None) -> Flow[Any]:
    """Make ``seed``, ``function(seed)``, ``function(function(seed))`` and so on, without an end.

    Each is computed when it is asked for, and not before. An ``async def`` may be given. The position is
    the last item delivered, which must be JSON for a run to be resumable. Put ``take`` or ``take_while``
    behind it.
    """
    function_for("iterate", function, asynchronous=True)
    if inspect.iscoroutinefunction(function):
        pages = iterating_async(seed, function)
        return flow_of(AsyncIterate(pages=pages, seekable=True, page_size=1, name=name))
    return flow_of(Iterate(advance=iterating(seed, function), name=name))


def unfolding(seed: Any, function: Callable[[Any], Any]) -> Advance:
    """Return what makes the next item of ``unfold``."""

    def advance(mark: Mark) -> tuple[Any, Mark] | None:
        return _pair(function(seed if mark is None else mark[0]))

    return advance


def iterating(seed: Any, function: Callable[[Any], Any]) -> Advance:
    """Return what makes the next item of ``iterate``; the state is the item before."""

    def advance(mark: Mark) -> tuple[Any, Mark]:
        item = seed if mark is None else function(mark[0])
        return item, [item]

    return advance


def unfolding_async(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], AsyncIterator[Page[Any]]]:
    """Return the pages, each of one item, of an ``unfold`` with an async function."""

    async def pages(mark: Mark) -> AsyncIterator[Page[Any]]:
        while pair := _pair(await function(seed if mark is None else mark[0])):
            item, mark = pair
            yield Page([item], position=mark)

    return pages


def iterating_async(seed: Any, function: Callable[[Any], Any]) -> Callable[[Mark], AsyncIterator[Page[Any]]]:
    """Return the pages, each of one item, of an ``iterate`` with an async function."""

    async def pages(mark: Mark) -> AsyncIterator[Page[Any]]:
        while True:
            item = seed if mark is None else await function(mark[0])
            mark = [item]
            yield Page([item], position=mark)

    return pages


def _pair(returned: Any) -> tuple[Any, Mark] | None:
    if returned is None:
        return None
    if not isinstance(returned, tuple) or len(returned) != 2:  # noqa: PLR2004  a pair
        if inspect.iscoroutine(returned):
            returned.close()
        msg = f"the function of unfold returns (item, next state), or None at the end, not {returned!r}"
        raise TypeError(msg)
    item, state = returned
    return item, [state]


@node
class Unfold(SourceNode):
    """Items made one after the other from a state; the position is the state."""

    operator = "unfold"

    advance: Advance

    def start(self, site: Site) -> Stage[Any]:
        """Start; the function is called for the first time at the first request."""
        return _UnfoldStage(site, self)


class Iterate(Unfold):
    """Items each made from the one before; the position is the last item."""

    operator = "iterate"


class AsyncUnfold(FromPages):
    """``unfold`` with an async function, in a task of its own."""

    operator = "unfold"


class AsyncIterate(FromPages):
    """``iterate`` with an async function, in a task of its own."""

    operator = "iterate"


class _UnfoldStage(Stage[Any]):
    def __init__(self, site: Site, node: Unfold) -> None:
        super().__init__(site)
        self._node = node
        self._marks: list[Mark] = [site.state]  # before the last chunk, and behind each of its items
        self._pace = Pace()
        self._failure: Failure | None = None
        self._ended = False

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

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
        except Exception as error:  # noqa: BLE001  it is kept, and raised behind the items made before it
            self._failure = _blamed(error, self._node)
            if not out:
                self._failure.throw()
        return out

    def _slice(self, out: list[Any], marks: list[Mark], n: int) -> bool:
        """Make some items; true if it is time to let others run."""
        clock, advance = self.run.clock.monotonic, self._node.advance
        began = clock()
        for _ in range(min(self._pace.size, n - len(out))):
            pair = advance(marks[-1])
            if pair is None:
                self._ended = True
                return True
            out.append(pair[0])
            marks.append(pair[1])
        now = clock()
        self._pace.took(now - began)
        return now - self.run.stretch > STRETCH


def _blamed(error: Exception, node: Node) -> Failure:
    """Keep an error of a user's function; a stray ``StopIteration`` must not look like an end."""
    if isinstance(error, StopIteration):
        stray, error = error, RuntimeError(f"{node.describe()}: the function raised StopIteration")
        error.__cause__ = stray
    annotate(error, node.describe())
    return Failure(error)
