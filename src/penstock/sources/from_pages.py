"""The source ``from_pages``, a flow of the items of pages, for instance of a paged API."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.abc import Page
from penstock.abc.notices import noticing
from penstock.runtime.arguments import flag_for, function_for, positive, text_for
from penstock.runtime.node import Site, node
from penstock.runtime.pump import PumpStage, closing
from penstock.runtime.stream import flow_of
from penstock.sources.from_async_iterable import asynchronous
from penstock.sources.source import SourceNode

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.flow import Flow
    from penstock.runtime.upstream import Marks

T = TypeVar("T")

_NOTICES = 100
"""The most notices that wait for the next page."""


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
    """Create a flow of the items of pages that an async generator function yields.

    Args:
        pages: Without ``seekable``, it is called without arguments and yields lists; a resumed run counts
            items from the beginning. With ``seekable``, it is called with the position to start from
            (``None`` at the beginning) and yields ``Page(items, position)``: the position *after* the page.
        seekable: Whether ``pages`` takes a position.
        page_size: The largest number of items in a page. Without it ``max_in_flight`` is infinite.
        name: The id of this source in positions.
    """
    function_for("from_pages", pages, yields=True)
    flag_for("from_pages", seekable=seekable)
    text_for("from_pages", "name", name, optional=True)
    if page_size is not None:
        positive("from_pages", "page_size", page_size)
    size = float("inf") if page_size is None else page_size
    return flow_of(FromPages(pages=pages, seekable=seekable, page_size=size, name=name))


@node
class FromPages(SourceNode):
    """Yields the items of pages; see ``from_pages`` for the fields."""

    operator = "from_pages"

    pages: Callable[..., AsyncIterable[Any]]
    seekable: bool = False
    page_size: float = float("inf")

    def bound(self, n: int) -> float:
        return n + self.page_size - 1

    def start(self, site: Site) -> PumpStage:
        return PagesStage(site, self)


class PagesStage(PumpStage):
    """The state is the position of a page (``at``), and how many items after it are settled (``skip``).

    Items are numbered as they enter the queue. Items that an earlier run delivered do not enter it and have
    no number.

    A *turn* ``(number, at, skip)`` says: the item with this number comes after the first ``skip`` items that
    can be fetched from ``at``, and the later items follow it, up to the next turn. The first turn is the
    position at which the run began. Each page with a position adds a turn, even if none of its items entered
    the queue, so an empty page moves the position forwards and never back.
    """

    def __init__(self, site: Site, node: FromPages) -> None:
        super().__init__(site, node)
        self._pages = node.pages
        self._seekable = node.seekable
        state = site.state or {"at": None, "skip": 0}
        self._turns: deque[tuple[int, Any, int]] = deque([(0, state["at"], state["skip"])])
        self._queued = 0  # items that entered the queue
        self.estimated_total: int | None = None
        self.promised: int | None = None
        self.notices: deque[str] = deque(maxlen=_NOTICES)
        """What the pages announced since somebody took it; see ``penstock.abc.announce``."""

    def marks(self) -> Marks:
        key, before, turns = self.site.vertex.id, self._before, tuple(self._turns)

        def at(i: int) -> dict[str, Any]:
            number, place, skip = next(turn for turn in reversed(turns) if turn[0] <= before + i)
            return {key: {"at": place, "skip": skip + before + i - number}}

        return at

    async def _fill(self) -> None:
        with noticing(self.notices):
            await self._fill_from_pages()

    async def _fill_from_pages(self) -> None:
        _, at, to_skip = self._turns[0]
        pages = self._pages(at) if self._seekable else self._pages()
        async with closing(aiter(asynchronous(self._node, pages))) as iterator:
            async for page in iterator:
                items, behind = self._unwrap(page)
                new = items[to_skip:] if to_skip else items
                to_skip = max(to_skip - len(items), 0)
                self._queued += len(new)
                if behind is not None:
                    self._turn(behind, to_skip)
                if new:
                    self._put(new)
                if self.run.strained():
                    await self.run.breathe()
                await self._until_wanted()

    def _turn(self, at: Any, skip: int) -> None:
        """Add a turn for the next item to enter the queue, and drop the turns that no position needs."""
        turns = self._turns
        turns.append((self._queued, at, skip))
        while len(turns) > 1 and turns[1][0] <= self._before:
            turns.popleft()

    def _unwrap(self, page: Any) -> tuple[list[Any], Any]:
        if isinstance(page, Page):
            self.estimated_total = (
                page.estimated_total if page.estimated_total is not None else self.estimated_total
            )
            self.promised = page.promised if page.promised is not None else self.promised
            items = page.items if type(page.items) is list else list(page.items)
            return items, page.position if self._seekable else None
        if not isinstance(page, list | tuple):
            given = type(page).__name__
            msg = f"{self._node.describe()} takes pages (lists or Page objects), but one is a {given}"
            raise TypeError(msg)
        return list(page), None
