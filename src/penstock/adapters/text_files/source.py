"""``TextFilesSource``: files of text whose records are found by a splitter."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from expression import Error, Result

from penstock.adapters.fields import Fields
from penstock.adapters.xml_files.outcome import ok
from penstock.adapters.xml_files.records import Format, TextFormat
from penstock.adapters.xml_files.source import XmlFilesSource
from penstock.errors import DocumentError

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator

    from penstock.abc import JSON, Page
    from penstock.adapters.xml_files.records import TextSplitter
    from penstock.document import Document, RawRecord


class TextFilesSource(XmlFilesSource):
    """Records of text files; see `XmlFilesSource` for paths, reading, limits and resuming.

    Files are UTF-8, or UTF-16 or UTF-32 with a byte order mark. They may be gzipped, and stand in archives.

    Args:
        paths: Files and globs, at least one.
        fields: Which fields of a record are its id, version, title and text.
        options: Those of `XmlFilesSource`.
    """

    def __init__(self, *paths: str | os.PathLike[str], fields: Fields | None = None, **options: Any) -> None:
        super().__init__(*paths, **options)
        self.fields = Fields() if fields is None else fields
        self._identified: tuple[RawRecord, dict[str, Any]] | None = None
        """The record that was identified last: it is usually parsed next, and need not be read twice."""
        self._context: dict[str, Any] = {}
        """What each record needs to be read again as a dead letter, without the settings of this source."""
        if self.fields != Fields():
            self._context["fields"] = asdict(self.fields)

    @property
    def format(self) -> Format:
        """The format of the files."""
        return Format(
            {},
            text=TextFormat(lambda _: True, self.splitter),
            max_record_bytes=self._max_record_bytes,
            unpacking=self._unpacking,
        )

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield pages of records; see `XmlFilesSource`."""
        async with aclosing(super().fetch(position)) as pages:  # type: ignore[type-var]
            async for page in pages:
                if self._context:
                    for raw in page.items:
                        raw.context.update(self._context)
                yield page

    @abstractmethod
    def splitter(self, max_record_bytes: int) -> TextSplitter:
        """Return a new splitter for one file."""

    @abstractmethod
    def read(self, raw: RawRecord) -> dict[str, Any]:
        """Return the fields of a record; raise `DocumentError` if it cannot be read."""

    def identify(self, raw: RawRecord) -> str:
        """Return the ``doc_id``; see `Fields`."""
        record = self._read(raw)
        self._identified = (raw, record)
        return self._fields_of(raw).doc_id(record, raw.key)

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Return the document of a record, or why there is none."""
        try:
            return ok(self._fields_of(raw).document(self._read(raw), raw, self.name))
        except RecursionError:
            return Error(DocumentError(f"record {raw.key} is nested too deeply to be read"))
        except DocumentError as error:
            return Error(error)

    def _fields_of(self, raw: RawRecord) -> Fields:
        kept = raw.context.get("fields")
        return self.fields if kept is None else Fields(**kept)

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to parse."""
        return {**vars(self), "_identified": None}

    def _read(self, raw: RawRecord) -> dict[str, Any]:
        identified, self._identified = self._identified, None
        if identified is not None and identified[0] is raw:
            return identified[1]
        fault = raw.context.get("fault")
        if fault is not None:
            raise DocumentError(f"record {raw.key} cannot be read: {fault}")
        return self.read(raw)
