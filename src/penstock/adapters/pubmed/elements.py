"""Reads the elements that PubMed articles and book articles share: one small function per element.

lxml creates a Python object for every element that is accessed, so frequent elements are read with few
accesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from penstock.adapters.pubmed.dates import read_date

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

    from penstock.adapters.pubmed.schema import (
        Affiliation,
        Author,
        Chemical,
        CommentCorrection,
        DataBank,
        DatedEvent,
        Grant,
        Identifier,
        Keyword,
        LinkedObject,
        MeshHeading,
        Qualifier,
        Reference,
        Section,
        Term,
    )


def text_of(element: Element) -> str:
    """Return all text of ``element``, without the tags of markup and MathML, stripped at the ends."""
    if len(element):
        return "".join(cast("Iterator[str]", element.itertext())).strip()
    text = element.text
    return text.strip() if text else ""


def texts_of(element: Element) -> list[str]:
    """Return the text of every child."""
    return [text_of(child) for child in element]


def read_identifier(element: Element, attribute: str) -> Identifier:
    """Read an identifier whose type is in ``attribute``."""
    identifier: Identifier = {"type": element.get(attribute, ""), "value": text_of(element)}
    valid = element.get("ValidYN")
    if valid is not None:
        identifier["valid"] = valid == "Y"
    return identifier


def first_value(identifiers: list[Identifier], kind: str) -> str:
    """Return the first value of type ``kind`` that is not marked invalid, or ``""``."""
    for identifier in identifiers:
        if identifier["type"] == kind and identifier.get("valid", True):
            return identifier["value"]
    return ""


def read_abstract(element: Element) -> tuple[list[Section], str]:
    """Read the sections and the copyright of an ``Abstract`` or ``OtherAbstract``."""
    sections: list[Section] = []
    rights = ""
    for child in element:
        if child.tag == "AbstractText":
            sections.append(
                {
                    "label": child.get("Label", ""),
                    "nlm_category": child.get("NlmCategory", ""),
                    "text": text_of(child),
                }
            )
        elif child.tag == "CopyrightInformation":
            rights = text_of(child)
    return sections, rights


_NameKey: TypeAlias = Literal["last_name", "fore_name", "initials", "suffix", "collective_name"]
NAME_KEYS: dict[str, _NameKey] = {
    "LastName": "last_name",
    "ForeName": "fore_name",
    "FirstName": "fore_name",
    "Initials": "initials",
    "Suffix": "suffix",
    "CollectiveName": "collective_name",
}


def read_author(element: Element) -> Author:
    """Read an ``Author``, ``Investigator`` or ``PersonalNameSubject``."""
    affiliations: list[Affiliation] = []
    identifiers: list[Identifier] = []
    author: Author = {
        "last_name": "",
        "fore_name": "",
        "initials": "",
        "suffix": "",
        "collective_name": "",
        "affiliations": affiliations,
        "identifiers": identifiers,
        "valid": element.get("ValidYN") != "N",
        "equal_contribution": element.get("EqualContrib") == "Y",
    }
    for child in element:
        tag = child.tag
        key = NAME_KEYS.get(tag)
        if key is not None:
            author[key] = text_of(child)
        elif tag == "AffiliationInfo":
            affiliations.append(_affiliation(child))
        elif tag == "Identifier":
            identifiers.append(read_identifier(child, "Source"))
        elif tag == "Affiliation":  # files before 2015 have it here
            affiliations.append({"name": text_of(child), "identifiers": []})
    return author


def _affiliation(element: Element) -> Affiliation:
    name = ""
    identifiers: list[Identifier] = []
    for child in element:
        if child.tag == "Affiliation":
            name = text_of(child)
        elif child.tag == "Identifier":
            identifiers.append(read_identifier(child, "Source"))
    return {"name": name, "identifiers": identifiers}


def read_event(element: Element, attribute: str) -> DatedEvent:
    """Read a date whose kind of event is in ``attribute``."""
    event: DatedEvent = {"type": element.get(attribute, ""), **read_date(element)}
    return event


def read_term(element: Element) -> Term:
    """Read a ``PublicationType`` or ``SupplMeshName``."""
    term: Term = {"name": text_of(element), "ui": element.get("UI", "")}
    kind = element.get("Type")
    if kind is not None:
        term["type"] = kind
    return term


def read_mesh(element: Element) -> list[MeshHeading]:
    """Read a ``MeshHeadingList``."""
    headings: list[MeshHeading] = []
    for each in element:
        qualifiers: list[Qualifier] = []
        heading: MeshHeading = {"name": "", "ui": "", "major": False, "type": "", "qualifiers": qualifiers}
        headings.append(heading)
        for child in each:
            name, ui, major = text_of(child), child.get("UI", ""), child.get("MajorTopicYN") == "Y"
            if child.tag == "QualifierName":
                qualifiers.append({"name": name, "ui": ui, "major": major})
            else:
                heading["name"], heading["ui"], heading["major"] = name, ui, major
                heading["type"] = child.get("Type", "")
    return headings


_JOURNAL_KEYS = {
    "Country": "country",
    "MedlineTA": "medline_abbreviation",
    "NlmUniqueID": "nlm_id",
    "ISSNLinking": "issn_linking",
}


def read_journal_info(element: Element) -> dict[str, str]:
    """Read a ``MedlineJournalInfo``, which has some of the keys of a `Journal`."""
    return {_JOURNAL_KEYS[child.tag]: text_of(child) for child in element if child.tag in _JOURNAL_KEYS}


def read_chemical(element: Element) -> Chemical:
    """Read a ``Chemical``."""
    term: Chemical = {"name": "", "ui": "", "registry_number": ""}
    for child in element:
        if child.tag == "NameOfSubstance":
            term["name"] = text_of(child)
            term["ui"] = child.get("UI", "")
        elif child.tag == "RegistryNumber":
            term["registry_number"] = text_of(child)
    return term


def read_keywords(element: Element) -> list[Keyword]:
    """Read a ``KeywordList``."""
    owner = element.get("Owner", "")
    return [
        {"text": text_of(child), "major": child.get("MajorTopicYN") == "Y", "owner": owner}
        for child in element
    ]


def read_grant(element: Element) -> Grant:
    """Read a ``Grant``."""
    part = {child.tag: text_of(child) for child in element}.get
    return {
        "id": part("GrantID", ""),
        "acronym": part("Acronym", ""),
        "agency": part("Agency", ""),
        "country": part("Country", ""),
    }


def read_databank(element: Element) -> DataBank:
    """Read a ``DataBank``."""
    name = ""
    accessions: list[str] = []
    for child in element:
        if child.tag == "DataBankName":
            name = text_of(child)
        elif child.tag == "AccessionNumberList":
            accessions += texts_of(child)
    return {"name": name, "accessions": accessions}


def read_comment(element: Element) -> CommentCorrection:
    """Read a ``CommentsCorrections``."""
    comment: CommentCorrection = {
        "type": element.get("RefType", ""),
        "source": "",
        "pmid": "",
        "pmid_version": "",
        "note": "",
    }
    for child in element:
        if child.tag == "RefSource":
            comment["source"] = text_of(child)
        elif child.tag == "PMID":
            comment["pmid"] = text_of(child)
            comment["pmid_version"] = child.get("Version", "")
        elif child.tag == "Note":
            comment["note"] = text_of(child)
    return comment


def read_references(element: Element, section: str = "") -> list[Reference]:
    """Read a ``ReferenceList`` and the lists inside it, in the order of the text."""
    references: list[Reference] = []
    for child in element:
        tag = child.tag
        if tag == "Reference":
            references.append(_reference(child, section))
        elif tag == "Title":
            title = text_of(child)
            section = f"{section} / {title}" if section and title else section or title
        elif tag == "ReferenceList":
            references += read_references(child, section)
    return references


def _reference(element: Element, section: str) -> Reference:
    citation = ""
    ids: list[Identifier] = []
    for child in element:
        if child.tag == "Citation":
            citation = text_of(child)
        elif child.tag == "ArticleIdList":
            ids += [read_identifier(item, "IdType") for item in child]
    return {"citation": citation, "section": section, "ids": ids}


def read_object(element: Element) -> LinkedObject:
    """Read an ``Object`` of the ``ObjectList``."""
    return {
        "type": element.get("Type", ""),
        "parameters": [read_identifier(child, "Name") for child in element],
    }
