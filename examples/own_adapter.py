"""An adapter of your own: a ``Source`` for a CSV file of laboratory notes.

Run it: ``python examples/own_adapter.py``
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from expression import Error, Ok, Result

from penstock import Document, DocumentCompleted, DocumentFailed, IngestionPipeline, Page, RawRecord
from penstock.abc import JSON, Source
from penstock.adapters import Adapter
from penstock.document import content_hash
from penstock.errors import DocumentError, SourceError

NOTES = """\
id|title|text
n1|Buffer|Prepared PBS, pH 7.4.
|lost|No identifier.
n2|Gel|Ran for 40 minutes.
broken
"""


class Notes(Source):
    """Lines of ``id|title|text``; a position is the number of the next line to read."""

    name = "notes"

    def __init__(self, path: Path) -> None:
        self.path = path

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        """Yield the lines from ``position`` on, two per page."""
        try:
            lines = self.path.read_bytes().splitlines()[1:]
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}") from error
        for start in range(position or 0, len(lines), 2):
            page = list(enumerate(lines[start : start + 2], start))
            records = [RawRecord(f"{self.path.name}#{number}", line) for number, line in page]
            yield Page(records, position=start + len(page), promised=len(lines))

    def identify(self, raw: RawRecord) -> str:
        """Return the text before the first bar."""
        doc_id = raw.data.partition(b"|")[0].decode()
        if not doc_id:
            raise DocumentError("it has no identifier")
        return doc_id

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Split the line into its fields; a malformed line is an ``Error``."""
        try:
            doc_id, title, content = raw.data.decode().split("|")
        except ValueError:
            return Error(DocumentError("it is not of the form id|title|text"))
        digest = content_hash(raw.data)
        return Ok(
            Document(doc_id=doc_id, source=self.name, title=title, content=content, content_hash=digest)
        )


async def main(path: Path) -> None:
    pipeline = IngestionPipeline(Adapter(Notes(path), page_size=2))
    async for event in pipeline.stream_events():
        if isinstance(event, DocumentCompleted):
            print("completed", event.doc_id, json.dumps(event.document.title))
        elif isinstance(event, DocumentFailed):
            print("failed   ", event.doc_id, "-", event.error)


with tempfile.TemporaryDirectory() as folder:
    notes = Path(folder, "notes.csv")
    notes.write_text(NOTES, "utf-8")
    asyncio.run(main(notes))
