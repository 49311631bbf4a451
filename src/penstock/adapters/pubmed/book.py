"""Reads ``BookDocument``: a book, or a part of one, such as a chapter of GeneReviews."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.adapters.pubmed.article import (
    Draft,
    Table,
    add,
    each,
    extend,
    put,
    read_authors,
    read_children,
    read_main_abstract,
    read_pagination,
    read_pmid,
    read_title,
)
from penstock.adapters.pubmed.dates import read_date
from penstock.adapters.pubmed.elements import (
    read_author,
    read_grant,
    read_identifier,
    read_keywords,
    read_references,
    read_term,
    text_of,
    texts_of,
)
from penstock.adapters.pubmed.schema import Book, drop_absent, empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml.etree import _Element as Element

    from penstock.adapters.pubmed.schema import AuthorGroup, BookSection

_empty_book = empty(Book)
_drop_absent = drop_absent(Book)


def read_book_document(element: Element, draft: Draft) -> None:
    """Read ``BookDocument``; if it has no title, it gets the title of its book."""
    draft.metadata["book"] = _empty_book()
    read_children(element, draft, _DOCUMENT)
    draft.title = draft.title or draft.metadata["book"]["title"]
    _drop_absent(draft.metadata["book"])


def _read_book(element: Element, draft: Draft) -> None:
    read_children(element, draft, _BOOK)


def _read_publisher(element: Element, draft: Draft) -> None:
    for child in element:
        if child.tag == "PublisherName":
            draft.metadata["book"]["publisher"] = text_of(child)
        elif child.tag == "PublisherLocation":
            draft.metadata["book"]["publisher_location"] = text_of(child)


def _author_group(element: Element) -> AuthorGroup:
    return {
        "type": element.get("Type", ""),
        "complete": element.get("CompleteYN") != "N",
        "authors": [read_author(child) for child in element],
    }


def _read_sections(element: Element, draft: Draft) -> None:
    draft.metadata["book"]["sections"] += _sections(element, level=1)


def _sections(element: Element, level: int) -> list[BookSection]:
    """Return all sections, nested ones included, in the order of the book."""
    found: list[BookSection] = []
    for section in element.iterfind("Section"):
        here: BookSection = {"title": "", "location": "", "level": level}
        for child in section:
            if child.tag == "SectionTitle":
                here["title"] = text_of(child)
            elif child.tag == "LocationLabel":
                here["location"] = text_of(child)
        found.append(here)
        found += _sections(section, level + 1)
    return found


def _item_list(element: Element) -> dict[str, Any]:
    return {"type": element.get("ListType", ""), "items": texts_of(element)}


def _set(key: str, read: Callable[[Element], Any]) -> Callable[[Element, Draft], None]:
    """Return a handler like `put`, for a key of the book."""

    def handler(element: Element, draft: Draft) -> None:
        draft.metadata["book"][key] = read(element)

    return handler


def _append(key: str, read: Callable[[Element], Any]) -> Callable[[Element, Draft], None]:
    """Return a handler like `add`, for a key of the book."""

    def handler(element: Element, draft: Draft) -> None:
        draft.metadata["book"][key].append(read(element))

    return handler


_BOOK: Table = {
    "Publisher": _read_publisher,
    "BookTitle": _set("title", text_of),
    "PubDate": put("publication_date", read_date),
    "BeginningDate": _set("beginning_date", read_date),
    "EndingDate": _set("ending_date", read_date),
    "AuthorList": _append("author_groups", _author_group),
    "InvestigatorList": _set("investigators", lambda element: [read_author(child) for child in element]),
    "Volume": _set("volume", text_of),
    "VolumeTitle": _set("volume_title", text_of),
    "Edition": _set("edition", text_of),
    "CollectionTitle": _set("collection_title", text_of),
    "Isbn": _append("isbns", text_of),
    "ELocationID": _append("elocation_ids", lambda element: read_identifier(element, "EIdType")),
    "Medium": _set("medium", text_of),
    "ReportNumber": _set("report_number", text_of),
}

_DOCUMENT: Table = {
    "PMID": read_pmid,
    "ArticleIdList": each("article_ids", lambda element: read_identifier(element, "IdType")),
    "Book": _read_book,
    "LocationLabel": _append("locations", text_of),
    "ArticleTitle": read_title,
    "VernacularTitle": put("vernacular_title", text_of),
    "Pagination": read_pagination,
    "Language": add("languages", text_of),
    "AuthorList": read_authors,
    "InvestigatorList": each("investigators", read_author),
    "PublicationType": add("publication_types", read_term),
    "Abstract": read_main_abstract,
    "Sections": _read_sections,
    "KeywordList": extend("keywords", read_keywords),
    "ContributionDate": _set("contribution_date", read_date),
    "DateRevised": put("date_revised", read_date),
    "GrantList": each("grants", read_grant, complete="grants_complete"),
    "ItemList": _append("item_lists", _item_list),
    "ReferenceList": extend("references", read_references),
}
