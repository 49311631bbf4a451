"""``adapter``: an adapter from functions of one's own."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from expression import Error, Ok, Result

from penstock.abc import Page, Source
from penstock.adapters.event_flow import Adapter
from penstock.adapters.json_records import json_bytes
from penstock.document import Document, RawRecord, checked_id, content_hash
from penstock.errors import DocumentError, GraphError
from penstock.runtime.arguments import function_for, positive, refuse, text_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE_SIZE = 100

Records: TypeAlias = Iterable[Any] | AsyncIterable[Any]


def adapter(
    name: str,
    fetch: Callable[..., Records] | Iterable[Any],
    parse: Callable[[Any], Any] = lambda record: record,
    *,
    identify: Callable[[Any], str | int] | None = None,
    page_size: int = PAGE_SIZE,
    parameters: Mapping[str, Any] | None = None,
) -> Adapter:
    """Build an adapter from functions: ``adapter("notes", notes, parse)``; a class is needed for more only.

    Args:
        name: The name of the source; every ``doc_id`` without a colon begins with it: ``notes:7``.
        fetch: Where records come from: a list, or a function that returns an iterable or an async iterable,
            such as a generator function. A function with a parameter gets the position to begin at (``None``
            at first) and yields ``Page(records, position)``. Without one, a resumed run asks for all records
            again and leaves out the first ones, so they must come in the same order.
            A record is JSON (a dictionary, a list, a number), text or bytes.
        parse: Gets a record, and returns a `Document`, or a dictionary that becomes the metadata, or a
            ``Result`` of one. Raises ``DocumentError`` for a bad record. By default the record itself.
        identify: Gets a record, and returns its id. By default the field ``id``, and for records without one
            their place: ``notes#17``.
        page_size: The most records that are taken from ``fetch`` at a time; of pages of your own, the most
            records in one.
        parameters: What was asked for, as JSON, for ``DocumentStarted``; no secrets.

    Raises:
        GraphError: ``fetch`` is an iterator, which can run only once, or another argument is wrong.
    """
    text_for("adapter", "name", name)
    function_for("adapter", parse, "parse")
    positive("adapter", "page_size", page_size)
    if identify is not None:
        function_for("adapter", identify, "identify")
    if isinstance(fetch, Iterator | AsyncIterable):
        refuse(
            "adapter", "a list or a function", fetch, "fetch", "An iterator runs once: pass what returns it."
        )
    if not callable(fetch) and not isinstance(fetch, Iterable):
        refuse("adapter", "a list or a function", fetch, "fetch")
    source = OwnSource(name, fetch, parse, identify, page_size, dict(parameters or {}))
    return Adapter(source, page_size=page_size)


class OwnSource(Source):
    """The source of ``adapter(...)``; see there."""

    def __init__(
        self,
        name: str,
        fetch: Callable[..., Records] | Iterable[Any],
        parse: Callable[[Any], Any],
        identify: Callable[[Any], str | int] | None,
        page_size: int,
        parameters: dict[str, Any],
    ) -> None:
        vars(self)["name"] = name  # of one object, not of the class
        self._fetch = fetch
        self._parse = parse
        self._identify = identify
        self._page_size = page_size
        self._parameters = parameters
        self._pages = callable(fetch) and bool(_positional(fetch))

    @property
    def parameters(self) -> dict[str, Any]:
        """What was asked for."""
        return self._parameters

    async def fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records."""
        before, count = position, 0
        async for page in self._all_pages(position):
            place = json.dumps(before) if self._pages and before is not None else ""
            items = [
                self._raw(record, f"{self.name}{place}#{number}")
                for number, record in enumerate(page.items, count)
            ]
            yield Page(items, page.position, page.estimated_total, page.promised)
            count += len(items)
            if page.position is not None:
                before, count = page.position, 0

    async def _all_pages(self, position: Any) -> AsyncIterator[Page[Any]]:
        if not callable(self._fetch):
            made: Any = self._fetch
        else:
            made = self._fetch(position) if self._pages else self._fetch()
        records: list[Any] = []
        async for record in _each(made):
            if self._pages:
                if not isinstance(record, Page):
                    kind = type(record).__name__
                    raise GraphError(
                        f"fetch of the adapter {self.name!r} takes a position, so it must yield "
                        f"Page(records, position), not {kind}"
                    )
                yield record
                continue
            records.append(record)
            if len(records) == self._page_size:
                yield Page(records)
                records = []
        if records:
            yield Page(records)

    def _raw(self, record: Any, key: str) -> RawRecord:
        if isinstance(record, RawRecord):
            return record
        if isinstance(record, bytes | bytearray):
            return RawRecord(key, bytes(record), {"kind": "bytes"})
        if isinstance(record, str):
            return RawRecord(key, record.encode("utf-8", "surrogatepass"), {"kind": "text"})
        try:
            return RawRecord(key, json_bytes(record))
        except (TypeError, ValueError, RecursionError) as error:
            message = f"the record {key} is not JSON, text or bytes, but {type(record).__name__}: {error}"
            raise TypeError(message) from error

    def identify(self, raw: RawRecord) -> str:
        """Return the ``doc_id``."""
        return self._doc_id(raw, _value(raw))

    def _doc_id(self, raw: RawRecord, record: Any) -> str:
        if self._identify is not None:
            found: Any = self._identify(record)
        else:
            found = record.get("id") if isinstance(record, dict) else None
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            if self._identify is not None:
                raise DocumentError(
                    f"identify returned {found!r:.60} for the record {raw.key}, which is no id"
                )
            return checked_id(raw.key)
        text = str(found)
        return checked_id(text if ":" in text else f"{self.name}:{text}")

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Return the document of a record."""
        try:
            record = _value(raw)
            doc_id, made = self._doc_id(raw, record), self._parse(record)
        except DocumentError as error:
            return Error(error)
        if isinstance(made, Result):
            if made.is_error():
                return Error(_as_document_error(made.error))
            made = made.ok
        if isinstance(made, Document):
            return Ok(made)
        if not isinstance(made, dict):
            kind = type(made).__name__
            return Error(DocumentError(f"parse must return a Document or a dictionary, not {kind}"))
        return Ok(
            Document(doc_id=doc_id, source=self.name, metadata=made, content_hash=content_hash(raw.data))
        )


def _as_document_error(error: object) -> DocumentError:
    return error if isinstance(error, DocumentError) else DocumentError(str(error))


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [one for one in found if one.kind in kinds and one.default is inspect.Parameter.empty]


async def _each(made: Any) -> AsyncIterator[Any]:
    if isinstance(made, AsyncIterable):
        async for record in made:
            yield record
    else:
        for record in made:
            yield record


def _value(raw: RawRecord) -> Any:
    kind = raw.context.get("kind")
    if kind == "bytes":
        return raw.data
    if kind == "text":
        return raw.data.decode("utf-8", "surrogatepass")
    try:
        return json.loads(raw.data)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"record {raw.key} is not JSON: {error}") from None
