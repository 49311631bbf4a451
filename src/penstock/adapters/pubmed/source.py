"""PubMed's own files (baseline, update, efetch) as a `Source` of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from expression import Error, Result

from penstock.adapters.pubmed.columns import PubMedColumns
from penstock.adapters.pubmed.medline import (
    MedlineSplitter,
    begins_medline,
    is_medline,
    medline_pmid,
    medline_xml,
)
from penstock.adapters.pubmed.parse import SOURCE, glance_record, identify_record, parse_record
from penstock.adapters.xml_files.outcome import ok
from penstock.adapters.xml_files.records import Format, TextFormat
from penstock.adapters.xml_files.source import XmlFilesSource
from penstock.adapters.xml_files.splitter import MAX_RECORD_BYTES, Piece, RecordSplitter
from penstock.document import content_hash
from penstock.errors import DocumentError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.document import Document, RawRecord

PUBMED_ROOTS = {
    "PubmedArticleSet": ("PubmedArticle", "PubmedBookArticle", "DeleteCitation"),
    "PubmedBookArticleSet": ("PubmedBookArticle",),
    "MedlineCitationSet": ("MedlineCitation", "DeleteCitation"),
    "BookDocumentSet": ("BookDocument", "DeleteDocument"),
}
"""The root elements of PubMed's DTDs (the last two are from before 2015), and the records of each."""

_DELETIONS = ("DeleteCitation", "DeleteDocument")
_MAX_LIST_BYTES = 100 * 1024 * 1024  # a list is split and not parsed, so it may be larger than a record
_CHUNK = 64 * 1024


class PubMedSource(XmlFilesSource):
    """Citations from PubMed XML or MEDLINE text; see `XmlFilesSource` for arguments, reading and resuming.

    Each ``PubmedArticle`` and ``PubmedBookArticle`` is a record. Each ``PMID`` of a ``DeleteCitation`` is a
    record too, and becomes a tombstone (``Document.deleted``). A ``doc_id`` is ``PMID:<number>.<version>``.
    `PubMedMetadata` describes the ``metadata``, and `PubMedColumns` the typed columns.
    """

    name: ClassVar[str] = SOURCE
    schema: ClassVar[type | None] = PubMedColumns
    checked: ClassVar[bool] = True

    @property
    def format(self) -> Format:
        """The format of PubMed's files."""
        usual = self._max_record_bytes == MAX_RECORD_BYTES
        return Format(
            PUBMED_ROOTS,
            expand=deletions_of,
            max_record_bytes=self._max_record_bytes,
            limits=dict.fromkeys(_DELETIONS, _MAX_LIST_BYTES) if usual else {},
            unpacking=self._unpacking,
            text=TextFormat(begins_medline, MedlineSplitter),
        )

    def identify(self, raw: RawRecord) -> str:
        """Return ``PMID:<number>.<version>``; raise `DocumentError` if there is no PMID."""
        data = medline_pmid(raw.data) if is_medline(raw.data) else raw.data
        try:
            return identify_record(data, raw.key, raw.context.get("namespaces"))
        except DocumentError:
            fault = _fault(raw)
            if fault is not None:
                raise fault from None
            raise

    def glance(self, raw: RawRecord) -> str | None:
        """Return ``PMID:<number>.<version>`` if the record begins as usual."""
        return glance_record(medline_pmid(raw.data) if is_medline(raw.data) else raw.data)

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        """Parse the record; see `parse_record`."""
        fault = _fault(raw)
        if fault is not None:
            return Error(fault)
        try:
            if is_medline(raw.data):
                return ok(parse_medline(raw))
            return ok(parse_record(raw.data, raw.key, raw.context.get("namespaces")))
        except DocumentError as error:
            return Error(error)


def parse_medline(raw: RawRecord) -> Document:
    """Parse a record of MEDLINE text; raise `DocumentError` if it cannot be read."""
    document = parse_record(medline_xml(raw.data, raw.key), raw.key)
    document.content_hash = content_hash(raw.data)
    return document


def deletions_of(piece: Piece) -> Iterable[Piece]:
    """Split a ``DeleteCitation`` into one record per ``PMID``; return any other record unchanged.

    A list is split bit by bit, because millions of records at once would not fit into memory. If it is
    damaged, the records before the damage come first, and then the list itself with its fault.
    """
    if piece.name not in _DELETIONS or piece.fault:
        return (piece,)
    return _deletions(piece)


def _deletions(piece: Piece) -> Iterator[Piece]:
    splitter = RecordSplitter({piece.name: ("PMID",)}, where=piece.name)
    try:
        for start in range(0, len(piece.data), _CHUNK):
            yield from splitter.feed(piece.data[start : start + _CHUNK])
        splitter.close()
    except SourceError as error:
        yield piece._replace(fault=f"its PMIDs cannot be read: {error}")


def _fault(raw: RawRecord) -> DocumentError | None:
    """Return the fault that the splitter found in the record, as an error."""
    fault = raw.context.get("fault")
    return None if fault is None else DocumentError(f"record {raw.key} cannot be read: {fault}")
