"""JSON Lines as a `Source`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from penstock.adapters.json_records import read_object
from penstock.adapters.text_files.lines import LineSplitter
from penstock.adapters.text_files.source import TextFilesSource

if TYPE_CHECKING:
    from penstock.adapters.xml_files.records import TextSplitter
    from penstock.document import RawRecord


class JsonLinesSource(TextFilesSource):
    """One JSON object a line; blank lines are left out. See `TextFilesSource`."""

    name: ClassVar[str] = "jsonl"
    members: ClassVar[tuple[str, ...]] = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

    def splitter(self, max_record_bytes: int) -> TextSplitter:
        """Return a splitter of lines."""
        return LineSplitter(max_record_bytes)

    def read(self, raw: RawRecord) -> dict[str, Any]:
        """Return the object."""
        return read_object(raw.data, raw.key)
