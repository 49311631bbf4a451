"""Reads ``MedlineCitation``, ``Article`` and ``PubmedData``, child by child.

A *table* maps the tag of a child to its handler. What no handler takes is kept by `set_apart`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lxml.etree import _Element as Element

from penstock.adapters.pubmed.dates import read_date
from penstock.adapters.pubmed.elements import (
    read_abstract,
    read_author,
    read_chemical,
    read_comment,
    read_databank,
    read_event,
    read_grant,
    read_identifier,
    read_journal_info,
    read_keywords,
    read_mesh,
    read_object,
    read_references,
    read_term,
    text_of,
)
from penstock.adapters.pubmed.schema import Journal, empty

_empty_journal = empty(Journal)


@dataclass(slots=True)
class Draft:
    """A document being built: its metadata (`PubMedMetadata`), version and title.

    ``parts`` holds the values that were cut out of its record and not used yet; see `cut_out`.
    """

    metadata: dict[str, Any]
    version: str | None = None
    title: str = ""
    parts: dict[str, Any] = field(default_factory=dict)


Handler: TypeAlias = Callable[[Element, Draft], None]
Table: TypeAlias = Mapping[str, Handler]


def read_children(element: Element, draft: Draft, table: Table) -> None:
    """Call the handler of each child that has one."""
    find = table.get
    for child in element:
        handler = find(child.tag)
        if handler is not None:
            handler(child, draft)


def put(key: str, read: Callable[[Element], Any]) -> Handler:
    """Return a handler that sets ``key`` to ``read(element)``."""

    def handler(element: Element, draft: Draft) -> None:
        draft.metadata[key] = read(element)

    return handler


def add(key: str, read: Callable[[Element], Any]) -> Handler:
    """Return a handler that appends ``read(element)`` to ``key``."""

    def handler(element: Element, draft: Draft) -> None:
        draft.metadata[key].append(read(element))

    return handler


def extend(key: str, read: Callable[[Element], list[Any]]) -> Handler:
    """Return a handler that extends ``key`` by ``read(element)``."""

    def handler(element: Element, draft: Draft) -> None:
        draft.metadata[key] += read(element)

    return handler


def part(take: Callable[[dict[str, Any], Any], None]) -> Handler:
    """Return a handler that calls ``take`` with the metadata and the value of the part that was cut out here.

    If no part was cut out, an element of that name is unknown, and left out.
    """

    def handler(element: Element, draft: Draft) -> None:
        value = draft.parts.pop(element.tag, None)
        if value is not None:
            take(draft.metadata, value)

    return handler


def put_part(key: str) -> Handler:
    """Return a handler that sets ``key`` to the value of a part."""
    return part(lambda metadata, value: metadata.__setitem__(key, value))


def extend_part(key: str) -> Handler:
    """Return a handler that extends ``key`` by the value of a part."""
    return part(lambda metadata, value: metadata[key].extend(value))


def each(key: str, read: Callable[[Element], Any], *, complete: str = "") -> Handler:
    """Return a handler that appends ``read(child)`` of each child to ``key``.

    The key ``complete``, if given, becomes the list's ``CompleteYN``.
    """

    def handler(element: Element, draft: Draft) -> None:
        draft.metadata[key] += [read(child) for child in element]
        if complete:
            draft.metadata[complete] = element.get("CompleteYN") != "N"

    return handler


def read_pmid(element: Element, draft: Draft) -> None:
    """Read the record's own PMID, which is the first one, and its version."""
    if draft.version is None:
        draft.metadata["pmid"] = text_of(element)
        draft.version = element.get("Version", "")


def read_title(element: Element, draft: Draft) -> None:
    """Read ``ArticleTitle``."""
    draft.title = text_of(element)


def read_pagination(element: Element, draft: Draft) -> None:
    """Read ``Pagination``."""
    read_children(element, draft, _PAGINATION)


def read_main_abstract(element: Element, draft: Draft) -> None:
    """Read ``Abstract``."""
    draft.metadata["abstract"], draft.metadata["abstract_copyright"] = read_abstract(element)


def read_authors(element: Element, draft: Draft) -> None:
    """Read an ``AuthorList``; a book article may have a list of authors and a list of editors."""
    authors = [read_author(child) for child in element]
    if element.get("Type") == "editors":
        draft.metadata["editors"] += authors
    else:
        draft.metadata["authors"] += authors
        draft.metadata["authors_complete"] = element.get("CompleteYN") != "N"


def read_citation(element: Element, draft: Draft) -> None:
    """Read ``MedlineCitation``."""
    metadata, get = draft.metadata, element.get
    metadata["status"] = get("Status", "")
    metadata["owner"] = get("Owner", "")
    metadata["indexing_method"] = get("IndexingMethod", "")
    metadata["version_id"] = get("VersionID", "")
    metadata["version_date"] = get("VersionDate", "")
    read_children(element, draft, _CITATION)


def read_pubmed_data(element: Element, draft: Draft) -> None:
    """Read ``PubmedData`` or ``PubmedBookData``."""
    read_children(element, draft, _PUBMED_DATA)


def _read_article(element: Element, draft: Draft) -> None:
    draft.metadata["publication_model"] = element.get("PubModel", "")
    read_children(element, draft, _ARTICLE)


def _take_authors(metadata: dict[str, Any], value: tuple[list[Any], bool]) -> None:
    metadata["authors"] += value[0]
    metadata["authors_complete"] = value[1]


def _read_other_abstract(element: Element, draft: Draft) -> None:
    sections, rights = read_abstract(element)
    draft.metadata["other_abstracts"].append(
        {
            "type": element.get("Type", ""),
            "language": element.get("Language", ""),
            "sections": sections,
            "copyright": rights,
        }
    )


def _journal_of(metadata: dict[str, Any]) -> dict[str, str]:
    journal: dict[str, str] | None = metadata["journal"]
    if journal is None:
        journal = metadata["journal"] = _empty_journal()
    return journal


def _read_journal(element: Element, draft: Draft) -> None:
    journal = _journal_of(draft.metadata)
    for child in element:
        tag = child.tag
        if tag == "JournalIssue":
            _read_issue(child, journal, draft)
        elif tag == "Title":
            journal["title"] = text_of(child)
        elif tag == "ISOAbbreviation":
            journal["iso_abbreviation"] = text_of(child)
        elif tag == "ISSN":
            journal["issn"] = text_of(child)
            journal["issn_type"] = child.get("IssnType", "")


def _read_issue(element: Element, journal: dict[str, str], draft: Draft) -> None:
    journal["cited_medium"] = element.get("CitedMedium", "")
    for child in element:
        tag = child.tag
        if tag == "Volume":
            journal["volume"] = text_of(child)
        elif tag == "Issue":
            journal["issue"] = text_of(child)
        elif tag == "PubDate":
            draft.metadata["publication_date"] = read_date(child)
        elif tag == "_PubDate" and tag in draft.parts:
            draft.metadata["publication_date"] = draft.parts.pop(tag)


def _read_journal_info(element: Element, draft: Draft) -> None:
    _journal_of(draft.metadata).update(read_journal_info(element))


def _read_note(element: Element) -> dict[str, str]:
    return {"owner": element.get("Owner", ""), "text": text_of(element)}


def _identifier_by(attribute: str) -> Callable[[Element], Any]:
    return lambda element: read_identifier(element, attribute)


def _event_by(attribute: str) -> Callable[[Element], Any]:
    return lambda element: read_event(element, attribute)


_PAGINATION: Table = {
    "MedlinePgn": put("pages", text_of),
    "StartPage": put("start_page", text_of),
    "EndPage": put("end_page", text_of),
}

_CITATION: Table = {
    "PMID": read_pmid,
    "DateCreated": put("date_created", read_date),
    "DateCompleted": put("date_completed", read_date),
    "DateRevised": put("date_revised", read_date),
    "_DateCompleted": put_part("date_completed"),
    "_DateRevised": put_part("date_revised"),
    "Article": _read_article,
    "MedlineJournalInfo": _read_journal_info,
    "_MedlineJournalInfo": part(lambda metadata, value: _journal_of(metadata).update(value)),
    "ChemicalList": each("chemicals", read_chemical),
    "SupplMeshList": each("supplementary_mesh", read_term),
    "CitationSubset": add("citation_subsets", text_of),
    "CommentsCorrectionsList": each("comments_corrections", read_comment),
    "GeneSymbolList": each("gene_symbols", text_of),
    "MeshHeadingList": extend("mesh", read_mesh),
    "_MeshHeadingList": extend_part("mesh"),
    "NumberOfReferences": put("number_of_references", text_of),
    "PersonalNameSubjectList": each("personal_name_subjects", read_author),
    "OtherID": add("other_ids", _identifier_by("Source")),
    "OtherAbstract": _read_other_abstract,
    "KeywordList": extend("keywords", read_keywords),
    "CoiStatement": put("conflict_of_interest", text_of),
    "SpaceFlightMission": add("space_flight_missions", text_of),
    "InvestigatorList": each("investigators", read_author),
    "GeneralNote": add("general_notes", _read_note),
}

_ARTICLE: Table = {
    "Journal": _read_journal,
    "ArticleTitle": read_title,
    "Pagination": read_pagination,
    "ELocationID": add("elocation_ids", _identifier_by("EIdType")),
    "Abstract": read_main_abstract,
    "AuthorList": read_authors,
    "_AuthorList": part(_take_authors),
    "Language": add("languages", text_of),
    "DataBankList": each("databanks", read_databank, complete="databanks_complete"),
    "GrantList": each("grants", read_grant, complete="grants_complete"),
    "PublicationTypeList": each("publication_types", read_term),
    "_PublicationTypeList": extend_part("publication_types"),
    "VernacularTitle": put("vernacular_title", text_of),
    "ArticleDate": add("article_dates", _event_by("DateType")),
}

_PUBMED_DATA: Table = {
    "History": each("history", _event_by("PubStatus")),
    "_History": extend_part("history"),
    "PublicationStatus": put("publication_status", text_of),
    "ArticleIdList": each("article_ids", _identifier_by("IdType")),
    "_ArticleIdList": extend_part("article_ids"),
    "_ReferenceList": extend_part("references"),
    "ObjectList": each("objects", read_object),
    "ReferenceList": extend("references", read_references),
}
