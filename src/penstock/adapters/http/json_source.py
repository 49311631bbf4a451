"""``JsonSource``: a source over a JSON API, described by a few attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.abc import Page, Source
from penstock.adapters.http.client import HttpClient
from penstock.adapters.http.pages import Listing, RecordsPage, pages_of
from penstock.adapters.http.paging import OnePage, Paging
from penstock.adapters.json_records import json_bytes, parsed, read_object
from penstock.adapters.places import Place, name_of, text_at
from penstock.document import Document, RawRecord, checked_id, content_hash
from penstock.errors import DocumentError, GraphError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from expression import Result


class JsonSource(Source):
    """Documents from a JSON API. A subclass states where everything is; nothing else must be written.

    A record is one element of the list at ``records``. Its bytes are its own JSON, written again without
    blanks. A ``doc_id`` is ``<name>:<id>``, followed by ``.<version>`` if ``version`` is the place of one.

    A run goes on behind the last page that was committed, and asks for at most one page ahead. Each request
    is tried again under the run's `RetryPolicy`. See `HttpClient` for limits, hosts and secrets.

    Args:
        params: Parameters of the first request, besides those of the class. ``None`` values are left out.
        url: Another address, for instance of a mirror or a test server.
        client: Other options for the `HttpClient`: ``rate``, ``cache``, ``headers``, ``secret_params`` …

    Raises:
        GraphError: neither the class nor ``url`` has an address.
    """

    url: ClassVar[str]
    """The address of the first page."""
    params: ClassVar[Mapping[str, Any]] = {}
    """Parameters of the first request."""
    paging: ClassVar[Paging] = OnePage()
    """How the next page is found."""
    records: ClassVar[Place] = ""
    """Where a page has the list of its records; ``""`` if the page is the list."""
    id: ClassVar[Place] = "id"
    """Where a record has its id."""
    version: ClassVar[Place | None] = None
    """Where a record has its version."""
    title: ClassVar[Place | None] = None
    """Where a record has its title."""
    content: ClassVar[Place | None] = None
    """Where a record has its text."""
    total: ClassVar[Place | None] = None
    """Where a page has the number of all records. A run that settles another number says so."""
    error: ClassVar[Place | None] = None
    """Where an answer with the status 200 says that it is an error."""
    none: ClassVar[tuple[int, ...]] = ()
    """Status codes that mean "no records"."""

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        url: str | None = None,
        client: Mapping[str, Any] | None = None,
    ) -> None:
        asked = {**self.params, **(params or {})}
        self._params = {name: value for name, value in asked.items() if value is not None}
        address = url or getattr(self, "url", None)
        if not address:
            raise GraphError(f"{type(self).__name__} has no address: set its attribute url, or pass url=")
        self._url: str = address
        self._options = {"hosts": [self._url], **(client or {})}

    @property
    def parameters(self) -> dict[str, Any]:
        """The address, and the parameters that are not secret."""
        return {"url": self._url, **self._params}

    def inputs(self) -> list[str]:
        """Return the address."""
        return [self._url]

    @property
    def listing(self) -> Listing:
        """The list of records that is fetched."""
        return Listing(
            url=self._url,
            params=self._params,
            paging=self.paging,
            records=self.records,
            total=self.total,
            error=self.error,
            none=self.none,
        )

    async def fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        """Yield the pages of the API; see `Source.fetch`."""
        async with HttpClient(**self._options) as http:
            async for page in pages_of(http, self.listing, position):
                yield Page(self.raw_records(page), page.position, page.promised, page.promised)

    def raw_records(self, page: RecordsPage) -> list[RawRecord]:
        """Return the raw records of a page. Records without an id are named by their place."""
        where = "" if page.here is None else f"{json.dumps(page.here)}#"
        found = []
        for index, record in enumerate(page.items):
            record_id = text_at(record, self.id)
            found.append(RawRecord(record_id or f"page {where or 'one#'}{index}", json_bytes(record)))
        return found

    def identify(self, raw: RawRecord) -> str:
        """Return the ``doc_id``; raise `DocumentError` if the record has no id."""
        return self.doc_id(read_object(raw.data, raw.key))

    def doc_id(self, record: dict[str, Any]) -> str:
        """Return the ``doc_id`` of a record."""
        record_id, version = self.record_id(record), self.version_of(record)
        return checked_id(f"{record_id}.{version}" if version else record_id)

    def record_id(self, record: dict[str, Any]) -> str:
        """Return ``<name>:<id>``, which is the same for all versions of a record."""
        found = text_at(record, self.id)
        if not found:
            raise DocumentError(f"the record has no {name_of(self.id)}, where its id should be")
        return f"{self.name}:{found}"

    def version_of(self, record: dict[str, Any]) -> str:
        """Return the version of a record; ``""`` if it has none."""
        return "" if self.version is None else text_at(record, self.version)

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Return the document of a record, or why there is none."""
        return parsed(raw, self.document)

    def document(self, record: dict[str, Any], raw: RawRecord) -> Document:
        """Return the document of a record: all of its values are metadata. Raise `DocumentError` if bad."""
        return Document(
            doc_id=self.doc_id(record),
            source=self.name,
            record_id=self.record_id(record) if self.version is not None else "",
            version=self.version_of(record),
            title="" if self.title is None else text_at(record, self.title),
            content="" if self.content is None else text_at(record, self.content),
            metadata=record,
            content_hash=content_hash(raw.data),
        )
