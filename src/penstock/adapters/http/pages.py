"""Fetch pages one after the other, from any position, with at most one request ahead."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

from penstock.adapters.http.error import HttpError
from penstock.adapters.http.paging import Fetched, Paging, total_at
from penstock.adapters.places import Place, at, name_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from penstock.adapters.http.answer import Answer

END = {"end": True}
"""The position behind the last page."""


class Asks(Protocol):
    """What fetching pages needs of a client."""

    async def get(self, url: str, params: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        """Return the answer to a request, or raise `HttpError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list of records behind a URL.

    Args:
        url: Of the first page.
        params: The parameters of the first page; `Paging` says which of them the others have.
        paging: How the next page is found.
        records: Where a page has the list of its records.
        total: Where it has the number of all records.
        error: Where an answer with the status 200 says that it is an error.
        none: Status codes that mean "no records", for instance 404.
        look_ahead: Whether the next page may be asked for while this one is used.
    """

    url: str
    params: Mapping[str, Any]
    paging: Paging
    records: Place = ""
    total: Place | None = None
    error: Place | None = None
    none: tuple[int, ...] = ()
    look_ahead: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsPage:
    """The records of a page, the position behind it, and how many records the server says there are."""

    items: list[Any]
    position: Any
    promised: int | None
    here: Any
    """The position of this page."""


async def pages_of(http: Asks, listing: Listing, position: Any = None) -> AsyncIterator[RecordsPage]:
    """Yield the pages of ``listing``, from the beginning (``None``) or from the position of an earlier page.

    Raises:
        HttpError: an answer is an error, has no list of records, or repeats an earlier page. A page that is
            the same as the one before it may be another one the next time, so that error is retryable.
    """
    if position == END:
        return
    here = None if position is None else position["next"]
    pages, positions = _Loop("" if position is None else position.get("page", "")), _Loop()
    if here is not None:
        positions.remember(repr(here).encode())
    ahead: asyncio.Task[Fetched] | None = None
    try:
        while True:
            page = await (ahead or _fetch(http, listing, here))
            ahead = None
            following = listing.paging.following(page, here)
            if page.items:
                pages.check(page.answer.content, page)
            if following is not None:
                positions.check(repr(following).encode(), page)
                if listing.look_ahead:
                    ahead = asyncio.create_task(_fetch(http, listing, following))
            behind = END if following is None else {"next": following, "page": pages.last}
            total = None if listing.total is None else total_at(page, listing.total)
            yield RecordsPage(items=page.items, position=behind, promised=total, here=here)
            if following is None:
                return
            here = following
    finally:
        if ahead is not None:
            ahead.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # nobody wants its outcome any more
                await ahead


async def _fetch(http: Asks, listing: Listing, position: Any) -> Fetched:
    url, params = listing.paging.ask(listing.url, listing.params, position)
    answer = await http.get(url, params, allow=listing.none)
    if answer.status in listing.none:
        return Fetched(answer=answer, body=None, items=[])
    body = answer.json()
    if listing.error is not None and (problem := at(body, listing.error)):
        raise HttpError(f"{answer.url} answered with an error: {problem!s:.300}", status=answer.status)
    items = at(body, listing.records)
    if not isinstance(items, list):
        place, found = name_of(listing.records) or "the answer", type(items).__name__
        raise HttpError(f"{answer.url}: {place} must be a list of records, not {found}", status=answer.status)
    return Fetched(answer=answer, body=body, items=items)


class _Loop:
    """Notices what comes again: at once, or in a circle of any length, with the memory of two pages.

    Of a circle it remembers one page at a time, and keeps each twice as long as the one before (Brent, An
    improved Monte Carlo factorization algorithm, BIT 20, 1980).
    """

    def __init__(self, last: str = "") -> None:
        self.last = last
        """The digest of what came last. It is in positions, so that another attempt notices it too."""
        self._remembered = ""
        self._since, self._power = 0, 1

    def remember(self, data: bytes) -> None:
        """Take ``data`` as what came last."""
        self.last = _digest(data)

    def check(self, data: bytes, page: Fetched) -> None:
        """Raise ``HttpError`` if ``data``, which belongs to ``page``, has come before."""
        digest = _digest(data)
        if digest == self.last:
            raise HttpError(
                f"{page.answer.url}: this page, or its link to the next one, is that of the page before",
                is_retryable=True,
            )
        if digest == self._remembered:
            raise HttpError(f"{page.answer.url}: the pages go round in a circle; this one has come before")
        self.last = digest
        if self._since == self._power:
            self._remembered, self._since, self._power = digest, 0, self._power * 2
        self._since += 1


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=12).hexdigest()
