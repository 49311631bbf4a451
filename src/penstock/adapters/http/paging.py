"""How an API gives its pages: what to ask first, and what the answer says about the next page.

A kind of paging is two functions of plain data, so that a run can go on from any page: ``ask`` turns a
position into a request, and ``following`` reads the next position from an answer. ``pages.py`` does the rest.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from penstock.adapters.http.error import HttpError
from penstock.adapters.places import Place, at, name_of, text_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.adapters.http.answer import Answer

_LINK = re.compile(r"<([^>]*)>([^<]*)")
_RELATION = re.compile(r';\s*rel\s*=\s*"?([^";]*)', re.IGNORECASE)

Ask = tuple[str, "Mapping[str, Any]"]
"""A URL and its parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One page as it was fetched: its answer, the JSON in it, and the list of its records."""

    answer: Answer
    body: Any
    items: list[Any]


class Paging(ABC):
    """A kind of paging. A position is JSON, and contains no secret."""

    @abstractmethod
    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:
        """Return the request of the page at ``position``; ``None`` is the first page."""

    @abstractmethod
    def following(self, page: Fetched, position: Any) -> Any:
        """Return the position of the page after ``page``, or ``None`` if ``page`` is the last one."""


@dataclass(frozen=True, slots=True)
class OnePage(Paging):
    """All records are in one answer."""

    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:  # noqa: ARG002
        """Return the only request."""
        return url, params

    def following(self, page: Fetched, position: Any) -> Any:  # noqa: ARG002
        """Return ``None``: there is no other page."""
        return None


@dataclass(frozen=True, slots=True)
class NextLink(Paging):
    """Each answer has the URL of the next page: at ``place`` in its body, or in its header ``Link``.

    The header is that of RFC 8288, with ``rel="next"``. A relative URL begins at the URL that was asked. The
    parameters of the first request are not repeated: the link has them. A link from ``https`` to ``http`` is
    an error.
    """

    place: Place | None = None

    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:
        """Return the link, or the first request."""
        return (url, params) if position is None else (position, {})

    def following(self, page: Fetched, position: Any) -> Any:  # noqa: ARG002
        """Return the absolute URL of the next page."""
        answer = page.answer
        link = _next_in(answer.headers.get("link", "")) if self.place is None else at(page.body, self.place)
        if not link:
            return None
        if not isinstance(link, str):
            raise HttpError(f"{answer.url}: the link to the next page is no text: {link!r:.80}")
        following = urljoin(answer.url, link)
        if answer.url.startswith("https:") and not following.startswith("https:"):
            raise HttpError(f"{answer.url}: the link to the next page is not encrypted any more: {following}")
        return following


def _next_in(header: str) -> str | None:
    links: list[tuple[str, str]] = _LINK.findall(header)
    for url, rest in links:
        relation = _RELATION.search(rest)
        if relation and "next" in relation[1].lower().split():
            return url
    return None


def ODataNextLink() -> NextLink:  # noqa: N802  it stands among classes
    """Return the paging of OData 4: the link is ``@odata.nextLink``."""
    return NextLink(("@odata.nextLink",))


@dataclass(frozen=True, slots=True)
class PageToken(Paging):
    """Each answer has a token or a cursor for the next page at ``place``, which is sent as ``param``.

    Without a token, or with an empty one, the page is the last. With ``until_empty`` so is a page without
    records, for APIs that always send a token.
    """

    param: str
    place: Place
    until_empty: bool = False

    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:
        """Return the request with the token."""
        return url, params if position is None else {**params, self.param: position}

    def following(self, page: Fetched, position: Any) -> Any:  # noqa: ARG002
        """Return the token."""
        if self.until_empty and not page.items:
            return None
        return text_at(page.body, self.place) or None


Cursor = PageToken
"""The same under its other name."""


@dataclass(frozen=True, slots=True)
class Offset(Paging):
    """The request says how many records to leave out, and how many to send.

    A page without records is the last; so is a page that reaches ``total``, the number of all records at that
    place. Without ``total`` so is a page of fewer than ``size`` records, unless ``until_empty``.

    Args:
        size: The most records of a page.
        param: The parameter that counts the records before the page.
        size_param: The parameter that gets ``size``; ``None`` if there is none.
        total: Where the answer has the number of all records.
        first: The number of the first record.
        until_empty: Whether a page may be short, and others follow.
    """

    size: int
    param: str = "offset"
    size_param: str | None = "limit"
    total: Place | None = None
    first: int = 0
    until_empty: bool = False

    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:
        """Return the request of the page that begins at an offset."""
        begin = self.first if position is None else position
        size = {} if self.size_param is None else {self.size_param: self.size}
        if f"{{{self.param}}}" in url:  # APIs with the offset in the path
            return url.replace(f"{{{self.param}}}", str(begin)), {**params, **size}
        return url, {**params, **size, self.param: begin}

    def following(self, page: Fetched, position: Any) -> Any:
        """Return the offset behind the page."""
        begin = self.first if position is None else position
        behind = begin + len(page.items)
        if not page.items:
            return None
        if self.total is not None:
            total = total_at(page, self.total)
            return None if total is not None and behind - self.first >= total else behind
        return None if len(page.items) < self.size and not self.until_empty else behind


@dataclass(frozen=True, slots=True)
class PageNumber(Paging):
    """Pages are numbered. A page without records is the last; so is number ``pages``, if the answer has it.

    Without ``pages``, so is a page of fewer than ``size`` records.
    """

    size: int
    param: str = "page"
    size_param: str | None = None
    pages: Place | None = None
    first: int = 1

    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:
        """Return the request of a page."""
        size = {} if self.size_param is None else {self.size_param: self.size}
        return url, {**params, **size, self.param: self.first if position is None else position}

    def following(self, page: Fetched, position: Any) -> Any:
        """Return the number of the next page."""
        number = self.first if position is None else position
        if not page.items:
            return None
        if self.pages is not None:
            pages = total_at(page, self.pages)
            return None if pages is not None and number - self.first + 1 >= pages else number + 1
        return None if len(page.items) < self.size else number + 1


@dataclass(frozen=True, slots=True)
class SearchAfter(Paging):
    """The request has the sort keys of the last record before the page. A short page is the last.

    The records must be sorted by ``keys``, and no two may have the same values.
    """

    param: str
    keys: tuple[Place, ...]
    size: int
    size_param: str | None = "limit"

    def ask(self, url: str, params: Mapping[str, Any], position: Any) -> Ask:
        """Return the request of the records behind a record."""
        size = {} if self.size_param is None else {self.size_param: self.size}
        after = {} if position is None else {self.param: ",".join(map(str, position))}
        return url, {**params, **size, **after}

    def following(self, page: Fetched, position: Any) -> Any:  # noqa: ARG002
        """Return the sort keys of the last record."""
        if len(page.items) < self.size:
            return None
        keys = [at(page.items[-1], key) for key in self.keys]
        missing = [name_of(key) for key, value in zip(self.keys, keys, strict=True) if value is None]
        if missing:
            raise HttpError(f"{page.answer.url}: its last record has no {', '.join(missing)} to go on from")
        return keys


def total_at(page: Fetched, place: Place) -> int | None:
    """Return the number at ``place``, which may be written as text; ``None`` if there is none."""
    text = text_at(page.body, place)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004
