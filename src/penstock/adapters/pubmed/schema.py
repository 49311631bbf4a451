"""The keys of a PubMed document's ``metadata``, always present unless marked ``NotRequired``.

A text is all the text of an element, without the tags of inline markup and MathML, stripped at the ends. The
value of an absent element is ``""`` or ``[]``; no value is ever ``None``, so that each key has one type. Y/N
attributes are booleans.
Element and attribute names of the format are those of NLM's PubMed DTD
(https://www.nlm.nih.gov/bsd/licensee/elements_descriptions.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, get_origin, get_type_hints

from penstock.adapters.pubmed.dates import PubMedDate

if TYPE_CHECKING:
    from collections.abc import Callable


class Identifier(TypedDict):
    """An identifier; ``type`` is its kind or issuer: ``doi``, ``pmc``, ``pubmed``, ``ORCID``, ``NASA``."""

    type: str
    value: str
    valid: NotRequired[bool]
    """``ValidYN``, if the element has it."""


class Section(TypedDict):
    """One ``AbstractText``; an unstructured abstract is one section without a label."""

    label: str
    nlm_category: str
    text: str


class OtherAbstract(TypedDict):
    """Another abstract: in another language, in plain language, or from an older database."""

    type: str
    language: str
    sections: list[Section]
    copyright: str


class Affiliation(TypedDict):
    """Where an author worked."""

    name: str
    identifiers: list[Identifier]


class Author(TypedDict):
    """An author, editor, investigator or personal name subject: a person, or a ``collective_name``."""

    last_name: str
    fore_name: str
    initials: str
    suffix: str
    collective_name: str
    affiliations: list[Affiliation]
    identifiers: list[Identifier]
    valid: bool
    equal_contribution: bool


class Journal(TypedDict):
    """A journal and one issue of it."""

    title: str
    iso_abbreviation: str
    medline_abbreviation: str
    issn: str
    issn_type: str
    issn_linking: str
    nlm_id: str
    country: str
    volume: str
    issue: str
    cited_medium: str


class DatedEvent(PubMedDate):
    """A date and its event: ``DateType`` of an article date, ``PubStatus`` in the history."""

    type: str


class Term(TypedDict):
    """A term of a vocabulary with its unique identifier (``""`` in older files)."""

    name: str
    ui: str
    type: NotRequired[str]


class Qualifier(TypedDict):
    """A qualifier of a MeSH descriptor."""

    name: str
    ui: str
    major: bool


class Chemical(TypedDict):
    """A chemical substance."""

    name: str
    ui: str
    registry_number: str


class MeshHeading(TypedDict):
    """A MeSH descriptor; ``major`` is its own: qualifiers have theirs."""

    name: str
    ui: str
    major: bool
    type: str
    qualifiers: list[Qualifier]


class Keyword(TypedDict):
    """A keyword; ``owner`` is the owner of its list, ``NOTNLM`` for the authors' keywords."""

    text: str
    major: bool
    owner: str


class Grant(TypedDict):
    """A grant that paid for the work."""

    id: str
    acronym: str
    agency: str
    country: str


class DataBank(TypedDict):
    """Accession numbers in a molecular or trial registry."""

    name: str
    accessions: list[str]


class Reference(TypedDict):
    """A cited work; ``section`` joins the titles of the reference lists around it by `` / ``."""

    citation: str
    section: str
    ids: list[Identifier]


class CommentCorrection(TypedDict):
    """A link to another citation; ``type`` is ``RefType``: ``RetractionIn``, ``ErratumFor``, ``Cites``."""

    type: str
    source: str
    pmid: str
    pmid_version: str
    note: str


class Note(TypedDict):
    """A general note of a database that contributed the citation."""

    owner: str
    text: str


class LinkedObject(TypedDict):
    """An ``Object`` of the ``ObjectList``."""

    type: str
    parameters: list[Identifier]


class AuthorGroup(TypedDict):
    """One ``AuthorList``: ``type`` is ``authors`` or ``editors``."""

    type: str
    complete: bool
    authors: list[Author]


class BookSection(TypedDict):
    """A section of a book article; ``level`` is 1 at the top."""

    title: str
    location: str
    level: int


class ItemList(TypedDict):
    """A list of a book article, such as ``ListType="Synonyms"``."""

    type: str
    items: list[str]


class Book(TypedDict):
    """The book that a ``PubmedBookArticle`` is part of."""

    title: str
    publisher: str
    publisher_location: str
    beginning_date: NotRequired[PubMedDate]
    ending_date: NotRequired[PubMedDate]
    contribution_date: NotRequired[PubMedDate]
    author_groups: list[AuthorGroup]
    investigators: list[Author]
    volume: str
    volume_title: str
    edition: str
    collection_title: str
    isbns: list[str]
    elocation_ids: list[Identifier]
    medium: str
    report_number: str
    locations: list[str]
    sections: list[BookSection]
    item_lists: list[ItemList]


class PubMedMetadata(TypedDict):
    """All data of a citation except its title and abstract text."""

    pmid: str
    kind: str
    """``article``, ``book`` or ``deletion``; a deletion has only this key, ``pmid``, and any ``extra``."""
    status: str
    owner: str
    indexing_method: str
    version_id: str
    version_date: str
    publication_status: str
    publication_model: str
    languages: list[str]
    vernacular_title: str
    journal: NotRequired[Journal]
    book: NotRequired[Book]
    publication_date: NotRequired[PubMedDate]
    article_dates: list[DatedEvent]
    date_created: NotRequired[PubMedDate]
    date_completed: NotRequired[PubMedDate]
    date_revised: NotRequired[PubMedDate]
    history: list[DatedEvent]
    pages: str
    start_page: str
    end_page: str
    doi: str
    """The first DOI of ``article_ids``, else the first valid one of ``elocation_ids``."""
    pmc: str
    article_ids: list[Identifier]
    elocation_ids: list[Identifier]
    other_ids: list[Identifier]
    abstract: list[Section]
    abstract_copyright: str
    other_abstracts: list[OtherAbstract]
    authors: list[Author]
    authors_complete: bool
    editors: list[Author]
    investigators: list[Author]
    personal_name_subjects: list[Author]
    publication_types: list[Term]
    mesh: list[MeshHeading]
    supplementary_mesh: list[Term]
    chemicals: list[Chemical]
    gene_symbols: list[str]
    keywords: list[Keyword]
    citation_subsets: list[str]
    grants: list[Grant]
    grants_complete: bool
    databanks: list[DataBank]
    databanks_complete: bool
    references: list[Reference]
    number_of_references: str
    comments_corrections: list[CommentCorrection]
    space_flight_missions: list[str]
    general_notes: list[Note]
    conflict_of_interest: str
    objects: list[LinkedObject]
    extra: dict[str, list[str]]
    """All that has no other key, so that nothing of a newer DTD is lost.

    Texts by their path in the record: ``MedlineCitation/Article/New``, and ``…/New@kind`` for an attribute.
    Also all forms of an element that should be single and is not. Attributes of MathML are left out.
    """


def empty(schema: type) -> Callable[[], dict[str, Any]]:
    """Return a function that returns a new, empty dictionary of ``schema``.

    Its values are ``""``, ``[]`` or ``{}``, by type; a boolean is ``True``, for "complete". A key that is not
    required has the value ``None``, to keep its place; see `drop_absent`.
    """
    kinds = {key: get_origin(hint) or hint for key, hint in get_type_hints(schema).items()}
    plain: dict[type, Any] = {str: "", bool: True}
    template = {key: plain.get(kind) for key, kind in kinds.items()}
    containers = [(key, kind) for key, kind in kinds.items() if kind in (list, dict)]

    def new() -> dict[str, Any]:
        values = template.copy()
        for key, kind in containers:
            values[key] = kind()
        return values

    return new


def drop_absent(schema: type) -> Callable[[dict[str, Any]], None]:
    """Return a function that removes the keys without a value from a dictionary of ``schema``."""
    hints = get_type_hints(schema, include_extras=True).items()
    optional = [key for key, hint in hints if get_origin(hint) is NotRequired]

    def drop(values: dict[str, Any]) -> None:
        for key in optional:
            if values[key] is None:
                del values[key]

    return drop
