# ruff: noqa: TC001 - the types of the columns are read from the annotations
"""The typed columns of PubMed's documents."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

from penstock.adapters.pubmed.dates import PubMedDate, first_day, last_day
from penstock.adapters.pubmed.schema import (
    Author,
    Book,
    Chemical,
    CommentCorrection,
    DataBank,
    DatedEvent,
    Grant,
    Identifier,
    Keyword,
    MeshHeading,
    OtherAbstract,
    Reference,
    Section,
    Term,
)
from penstock.columns import INDEXED

if TYPE_CHECKING:
    from penstock.document import Document

Reader = Callable[["Document"], Any]


def _pmid(document: Document) -> int | None:
    pmid = document.metadata.get("pmid")
    return int(pmid) if pmid else None


def _text(key: str) -> Reader:
    """Return a reader of a text that has no value instead of an empty one."""
    return lambda document: document.metadata.get(key) or None


def _journal(key: str, instead: str = "") -> Reader:
    """Return a reader of a key of the journal, or of another key if that one is empty."""

    def read(document: Document) -> str | None:
        journal = document.metadata.get("journal")
        return (journal.get(key) or journal.get(instead) or None) if journal else None

    return read


def _language(document: Document) -> str | None:
    languages = document.metadata.get("languages")
    return languages[0] if languages else None


def _published(document: Document) -> PubMedDate | None:
    found: PubMedDate | None = document.metadata.get("publication_date")
    return found if found and found["date"] else None


def _year(document: Document) -> int | None:
    published = _published(document)
    return int(published["date"][:4]) if published else None


def _publication_date(document: Document) -> str | None:
    published = _published(document)
    return first_day(published["date"]) if published else None


def _precision(document: Document) -> str | None:
    published = _published(document)
    return published["precision"] if published else None


def _end(document: Document) -> str | None:
    published = _published(document)
    return last_day(published["end"]) if published and "end" in published else None


class PubMedColumns:
    """The columns; nested types are those of `PubMedMetadata`."""

    pmid: Annotated[int, "The PubMed identifier.", INDEXED, _pmid]
    kind: Annotated[str, "`article`, `book` or `deletion`."]
    doi: Annotated[str, "The DOI.", INDEXED, _text("doi")]
    pmc: Annotated[str, "The PubMed Central identifier.", _text("pmc")]
    journal: Annotated[str, "The title of the journal.", _journal("title")]
    journal_abbreviation: Annotated[
        str, "Its abbreviation in MEDLINE, or by ISO.", _journal("medline_abbreviation", "iso_abbreviation")
    ]
    issn: Annotated[str, "The linking ISSN, or that of the issue.", _journal("issn_linking", "issn")]
    volume: Annotated[str, "The volume.", _journal("volume")]
    issue: Annotated[str, "The issue.", _journal("issue")]
    pages: Annotated[str, "The pages, as MEDLINE abbreviates them.", _text("pages")]
    year: Annotated[int, "The year of publication.", _year]
    publication_date: Annotated[date, "The first day on which it can have been published.", _publication_date]
    publication_date_precision: Annotated[str, "`year`, `month`, `day`, `season` or `range`.", _precision]
    publication_date_end: Annotated[date, "The last day of a range.", _end]
    language: Annotated[str, "The first language.", _language]
    languages: Annotated[list[str], "All languages."]
    status: Annotated[str, "The status of the citation: `MEDLINE`, `PubMed-not-MEDLINE`, ..."]
    publication_status: Annotated[str, "`ppublish`, `epublish`, `aheadofprint`."]
    publication_types: Annotated[list[Term], "Publication types."]
    abstract: Annotated[list[Section], "The sections of the abstract."]
    other_abstracts: Annotated[list[OtherAbstract], "Abstracts in other languages, or in plain language."]
    authors: Annotated[list[Author], "The authors with their affiliations."]
    authors_complete: Annotated[bool, "Whether all authors are listed."]
    editors: Annotated[list[Author], "The editors of a book."]
    investigators: Annotated[list[Author], "The members of a group of authors."]
    mesh: Annotated[list[MeshHeading], "MeSH descriptors with their qualifiers.", INDEXED]
    supplementary_mesh: Annotated[list[Term], "Supplementary concepts: diseases, protocols, organisms."]
    keywords: Annotated[list[Keyword], "Keywords."]
    chemicals: Annotated[list[Chemical], "Chemical substances."]
    gene_symbols: Annotated[list[str], "Gene symbols (1991 to 1996)."]
    grants: Annotated[list[Grant], "The grants that paid for the work."]
    databanks: Annotated[list[DataBank], "Accession numbers, also of clinical trials."]
    references: Annotated[list[Reference], "The cited works."]
    comments_corrections: Annotated[list[CommentCorrection], "Comments, errata, retractions."]
    article_ids: Annotated[list[Identifier], "All identifiers of the article."]
    elocation_ids: Annotated[list[Identifier], "Electronic locations: DOI or publisher item identifier."]
    other_ids: Annotated[list[Identifier], "Identifiers in other databases."]
    history: Annotated[list[DatedEvent], "When it was received, accepted, indexed, ..."]
    article_dates: Annotated[list[DatedEvent], "When it was published electronically."]
    date_completed: Annotated[PubMedDate, "When indexing was completed."]
    date_revised: Annotated[PubMedDate, "When the citation was revised."]
    citation_subsets: Annotated[list[str], "Citation subsets."]
    conflict_of_interest: Annotated[str, "The statement on conflicts of interest."]
    book: Annotated[Book, "The book that a book article is part of."]
