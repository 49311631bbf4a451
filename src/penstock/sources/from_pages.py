"""``from_pages``: the items of pages, which may name positions."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.abc import Page
from penstock.errors import GraphError
from penstock.runtime.arguments import positive
from penstock.runtime.node import node
from penstock.runtime.pump import PumpStage, closing
from penstock.runtime.stream import flow_of
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.stage import Stage
    from penstock.runtime.upstream import Marks


__all__ = ["FromPages", "from_pages"]

T = TypeVar("T")


@overload
def from_pages(
    pages: Callable[[], AsyncIterable[list[T]]],
    *,
    seekable: bool = False,
    page_size: int | None = None,
    name: str | None = None,
) -> Flow[T]: ...
@overload
def from_pages(
    pages: Callable[[JSON], AsyncIterable[Page[T]]],
    *,
    seekable: bool = True,
    page_size: int | None = None,
    name: str | None = None,
) -> Flow[T]: ...
def from_pages(
    pages: Callable[..., AsyncIterable[Any]],
    *,
    seekable: bool = False,
    page_size: int | None = None,
    name: str | None = None,
) -> Flow[Any]:
    """Make a flow of the items of pages that an async generator function yields.

    Args:
        pages: Called without arguments, it yields lists; resuming then counts items from the beginning.
            If ``seekable``, it is called with the position to start from (``None`` at the beginning)
            and yields ``Page(items, position)``, each with the position *behind* it.
        seekable: Whether ``pages`` takes a position.
        page_size: The most items a page can have, if known; without it ``max_in_flight`` is infinite.
        name: The id of this source in positions.
    """
    if not callable(pages):
        msg = f"from_pages takes an async generator function that yields pages, not {type(pages).__name__}"
        raise GraphError(msg)
    if page_size is not None:
        positive("from_pages", "page_size", page_size)
    size = float("inf") if page_size is None else page_size
    return flow_of(FromPages(pages=pages, seekable=seekable, page_size=size, name=name))


@node
class FromPages(SourceNode):
    """Items of pages; the position is that of the page, and how many of its items are settled.

    ``pages`` is called with the position to start from (``None`` at the beginning) if ``seekable``,
    and without arguments otherwise. ``page_size`` is the most items a page can have, if known.
    """

    operator = "from_pages"

    pages: Callable[..., AsyncIterable[Any]]
    seekable: bool = False
    page_size: float = float("inf")

    def bound(self, n: int) -> float:
        """Return n + p - 1."""
        return n + self.page_size - 1

    def start(self, site: Site) -> Stage[Any]:
        """Start a pump that reads pages."""
        return PagesStage(site, self)


class PagesStage(PumpStage):
    """Items are numbered as they enter the queue; what earlier runs delivered never does, and has no number.

    A *turn* ``(number, at, skip)`` says that the item of that number stands behind the first ``skip`` items
    that can be fetched from ``at``, and those after it follow there, up to the next turn. The first turn is
    the position that the run began with. A page with a position of its own ends in a turn, whether it
    brought items or not; so a page that is empty, or skipped whole, moves the position only forwards.
    """

    def __init__(self, site: Site, node: FromPages) -> None:
        super().__init__(site, node)
        self._pages = node.pages
        self._seekable = node.seekable
        state = site.state or {"at": None, "skip": 0}
        self._turns: deque[tuple[int, Any, int]] = deque([(0, state["at"], state["skip"])])
        self._came = 0  # items that entered the queue
        self.estimated_total: int | None = None
        self.promised: int | None = None

    def marks(self) -> Marks:
        """Return positions inside the last chunk."""
        key, before, turns = self.site.vertex.id, self._before, tuple(self._turns)

        def at(i: int) -> dict[str, Any]:
            number, place, skip = next(turn for turn in reversed(turns) if turn[0] <= before + i)
            return {key: {"at": place, "skip": skip + before + i - number}}

        return at

    async def _fill(self) -> None:
        _, at, to_skip = self._turns[0]
        pages = self._pages(at) if self._seekable else self._pages()
        async with closing(aiter(pages)) as iterator:
            async for page in iterator:
                items, behind = self._unwrap(page)
                new = items[to_skip:] if to_skip else items
                to_skip = max(to_skip - len(items), 0)
                self._came += len(new)
                if behind is not None:
                    self._turn(behind, to_skip)
                if new:
                    self._put(new)
                if self.run.strained():
                    await self.run.breathe()
                await self._until_wanted()

    def _turn(self, at: Any, skip: int) -> None:
        """Note where the next item to enter the queue stands, and forget what is behind the last chunk."""
        turns = self._turns
        turns.append((self._came, at, skip))
        while len(turns) > 1 and turns[1][0] <= self._before:
            turns.popleft()

    def _unwrap(self, page: Any) -> tuple[list[Any], Any]:
        if isinstance(page, Page):
            self.estimated_total = (
                page.estimated_total if page.estimated_total is not None else self.estimated_total
            )
            self.promised = page.promised if page.promised is not None else self.promised
            return page.items, page.position if self._seekable else None
        if not isinstance(page, list | tuple):
            came = type(page).__name__
            msg = f"{self._node.describe()} takes pages (lists, or Page objects), but one was a {came}"
            raise TypeError(msg)
        return list(page), None
