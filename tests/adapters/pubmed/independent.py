"""A second, independent reader of PubMed XML, to check the parser: slow and simple.

It shares no code with the parser. It reads a file as one document with lxml, has an XPath for each field, and
its own code for dates.
"""

from __future__ import annotations

import datetime as dt
import gzip
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = ("PubmedArticle", "PubmedBookArticle")


def read_file(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the expected document of each record of the file, in order."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for _, element in etree.iterparse(
            file, tag=(*RECORDS, "DeleteCitation"), no_network=True, load_dtd=False, remove_comments=True
        ):
            if element.tag == "DeleteCitation":
                for pmid in element.findall("PMID"):
                    yield deletion(pmid)
            else:
                yield article(element) if element.tag == "PubmedArticle" else book_article(element)
            element.clear(keep_tail=True)
            while element.getprevious() is not None:
                del element.getparent()[0]


@cache
def path_of(expression: str) -> etree.XPath:
    return etree.XPath(expression, smart_strings=False)


def all_of(element, expression: str) -> list[Any]:
    return path_of(expression)(element)


def text(element, expression: str = ".") -> str:
    """Return the string value of the first node, or ""."""
    return path_of(f"string({expression})")(element).strip()


def texts(element, expression: str) -> list[str]:
    return [
        text(found) if not isinstance(found, str) else found.strip() for found in all_of(element, expression)
    ]


def yes(element, expression: str) -> bool:
    return text(element, expression) == "Y"


def not_no(element, expression: str) -> bool:
    return text(element, expression) != "N"


def identifiers(element, expression: str, attribute: str) -> list[dict[str, Any]]:
    found = []
    for item in all_of(element, expression):
        one: dict[str, Any] = {"type": item.attrib.get(attribute, ""), "value": text(item)}
        if "ValidYN" in item.attrib:
            one["valid"] = item.attrib["ValidYN"] == "Y"
        found.append(one)
    return found


# -- dates

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
M = r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
S = r"((?:Spring|Summer|Autumn|Fall|Winter)(?:-(?:Spring|Summer|Autumn|Fall|Winter))?)"
FORMS = [
    (rf"(\d{{4}}) {M}-{M}", lambda y, a, b: (ym(y, a), ym(y, b), "")),
    (rf"(\d{{4}}) {M} (\d+)-(\d+)", lambda y, m, a, b: (ymd(y, m, a), ymd(y, m, b), "")),
    (rf"(\d{{4}}) {M} (\d+)-{M} (\d+)", lambda y, m, a, n, b: (ymd(y, m, a), ymd(y, n, b), "")),
    (rf"(\d{{4}}) {M}-(\d{{4}}) {M}", lambda y, m, z, n: (ym(y, m), ym(z, n), "")),
    (r"(\d{4})-(\d{4})", lambda y, z: (y, z, "")),
    (rf"(\d{{4}})-(\d{{4}}) {S}", lambda y, z, s: (y, z, s)),
    (rf"(\d{{4}}) {S}", lambda y, s: (y, "", s)),
]


def ym(year: str, month: str) -> str:
    return f"{year}-{MONTHS.index(month[:3].lower()) + 1:02d}"


def ymd(year: str, month: str, day: str) -> str:
    return f"{ym(year, month)}-{int(day):02d}"


def precision(known: str) -> str:
    return ["", "year", "month", "day"][len(known[:10].split("-")) if known else 0]


def free_date(words: str) -> dict[str, str]:
    for form, made in FORMS:
        match = re.fullmatch(form, words)
        if match:
            start, end, season = made(*match.groups())
            return {
                "date": start,
                "precision": "range" if end > start else "season" if season else precision(start),
                **({"end": end} if end > start else {}),
                **({"season": season} if season else {}),
            }
    raise AssertionError(f"unknown form of date: {words!r}")


def date(element) -> dict[str, str] | None:
    if element is None:
        return None
    year, month, day = (text(element, part) for part in ("Year", "Month", "Day"))
    hour, minute = text(element, "Hour"), text(element, "Minute")
    season, medline = text(element, "Season"), text(element, "MedlineDate")
    raw = " ".join(part for part in (year, month, day, season, medline) if part)
    if hour:
        raw += f" {hour}:{minute}"
    if medline:
        return {**free_date(medline), "raw": raw}
    if season:
        return {**free_date(f"{year} {season}"), "raw": raw}
    known = year
    if month:
        number = int(month) if month.isdigit() else MONTHS.index(month.lower()) + 1
        known = f"{int(year):04d}-{number:02d}"
        if day:
            known = dt.date(int(year), number, int(day)).isoformat()
            if hour:
                known += f"T{int(hour):02d}:{int(minute):02d}"
    return {"date": known, "precision": precision(known), "raw": raw}


def date_at(element, expression: str) -> dict[str, str] | None:
    return date(next(iter(all_of(element, expression)), None))


def events(element, expression: str, attribute: str) -> list[dict[str, Any]]:
    return [{"type": one.attrib.get(attribute, ""), **date(one)} for one in all_of(element, expression)]


# -- parts


def sections(element) -> list[dict[str, str]]:
    return [
        {"label": text(one, "@Label"), "nlm_category": text(one, "@NlmCategory"), "text": text(one)}
        for one in all_of(element, "AbstractText")
    ]


def person(element) -> dict[str, Any]:
    return {
        "last_name": text(element, "LastName"),
        "fore_name": text(element, "ForeName"),
        "initials": text(element, "Initials"),
        "suffix": text(element, "Suffix"),
        "collective_name": text(element, "CollectiveName"),
        "affiliations": [
            {"name": text(one, "Affiliation"), "identifiers": identifiers(one, "Identifier", "Source")}
            for one in all_of(element, "AffiliationInfo")
        ],
        "identifiers": identifiers(element, "Identifier", "Source"),
        "valid": not_no(element, "@ValidYN"),
        "equal_contribution": yes(element, "@EqualContrib"),
    }


def people(element, expression: str) -> list[dict[str, Any]]:
    return [person(one) for one in all_of(element, expression)]


def term(element) -> dict[str, Any]:
    kind = {"type": element.attrib["Type"]} if "Type" in element.attrib else {}
    return {"name": text(element), "ui": text(element, "@UI"), **kind}


def keywords(element, expression: str) -> list[dict[str, Any]]:
    return [
        {"text": text(one), "major": yes(one, "@MajorTopicYN"), "owner": text(one, "../@Owner")}
        for one in all_of(element, expression)
    ]


def references(element, expression: str) -> list[dict[str, Any]]:
    return [
        {
            "citation": text(one, "Citation"),
            "section": " / ".join(found for found in texts(one, "ancestor::ReferenceList/Title") if found),
            "ids": identifiers(one, "ArticleIdList/ArticleId", "IdType"),
        }
        for one in all_of(element, expression)
    ]


def grants(element, expression: str) -> list[dict[str, str]]:
    return [
        {
            "id": text(one, "GrantID"),
            "acronym": text(one, "Acronym"),
            "agency": text(one, "Agency"),
            "country": text(one, "Country"),
        }
        for one in all_of(element, expression)
    ]


def joined(abstract: list[dict[str, str]]) -> str:
    return "\n\n".join(f"{one['label']}: {one['text']}" if one["label"] else one["text"] for one in abstract)


def document(pmid, title: str, metadata: dict[str, Any]) -> dict[str, Any]:
    version = text(pmid, "@Version") or "1"
    return {
        "doc_id": f"PMID:{text(pmid)}.{version}",
        "source": "pubmed",
        "record_id": f"PMID:{text(pmid)}",
        "version": version,
        "title": title,
        "content": joined(metadata.get("abstract", [])),
        "metadata": given(metadata),
        "deleted": False,
    }


def given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value, in a book too."""
    return {
        key: given(one) if key == "book" and one else one for key, one in fields.items() if one is not None
    }


def deletion(pmid) -> dict[str, Any]:
    return {**document(pmid, "", {"pmid": text(pmid), "kind": "deletion"}), "deleted": True}


def article(element) -> dict[str, Any]:
    citation, inner = "MedlineCitation", "MedlineCitation/Article"
    journal = f"{inner}/Journal"
    info = f"{citation}/MedlineJournalInfo"
    ids = identifiers(element, "PubmedData/ArticleIdList/ArticleId", "IdType")
    eids = identifiers(element, f"{inner}/ELocationID", "EIdType")
    dois = [one["value"] for one in ids if one["type"] == "doi"]
    dois += [one["value"] for one in eids if one["type"] == "doi" and one["valid"]]
    abstracts = all_of(element, f"{inner}/Abstract")
    metadata = {
        "pmid": text(element, f"{citation}/PMID"),
        "kind": "article",
        "status": text(element, f"{citation}/@Status"),
        "owner": text(element, f"{citation}/@Owner"),
        "indexing_method": text(element, f"{citation}/@IndexingMethod"),
        "version_id": text(element, f"{citation}/@VersionID"),
        "version_date": text(element, f"{citation}/@VersionDate"),
        "publication_status": text(element, "PubmedData/PublicationStatus"),
        "publication_model": text(element, f"{inner}/@PubModel"),
        "languages": texts(element, f"{inner}/Language"),
        "vernacular_title": text(element, f"{inner}/VernacularTitle"),
        "journal": {
            "title": text(element, f"{journal}/Title"),
            "iso_abbreviation": text(element, f"{journal}/ISOAbbreviation"),
            "medline_abbreviation": text(element, f"{info}/MedlineTA"),
            "issn": text(element, f"{journal}/ISSN"),
            "issn_type": text(element, f"{journal}/ISSN/@IssnType"),
            "issn_linking": text(element, f"{info}/ISSNLinking"),
            "nlm_id": text(element, f"{info}/NlmUniqueID"),
            "country": text(element, f"{info}/Country"),
            "volume": text(element, f"{journal}/JournalIssue/Volume"),
            "issue": text(element, f"{journal}/JournalIssue/Issue"),
            "cited_medium": text(element, f"{journal}/JournalIssue/@CitedMedium"),
        },
        "book": None,
        "publication_date": date_at(element, f"{journal}/JournalIssue/PubDate"),
        "article_dates": events(element, f"{inner}/ArticleDate", "DateType"),
        "date_created": date_at(element, f"{citation}/DateCreated"),
        "date_completed": date_at(element, f"{citation}/DateCompleted"),
        "date_revised": date_at(element, f"{citation}/DateRevised"),
        "history": events(element, "PubmedData/History/PubMedPubDate", "PubStatus"),
        "pages": text(element, f"{inner}/Pagination/MedlinePgn"),
        "start_page": text(element, f"{inner}/Pagination/StartPage"),
        "end_page": text(element, f"{inner}/Pagination/EndPage"),
        "doi": next(iter(dois), ""),
        "pmc": next((one["value"] for one in ids if one["type"] == "pmc"), ""),
        "article_ids": ids,
        "elocation_ids": eids,
        "other_ids": identifiers(element, f"{citation}/OtherID", "Source"),
        "abstract": [one for abstract in abstracts for one in sections(abstract)],
        "abstract_copyright": text(element, f"{inner}/Abstract/CopyrightInformation"),
        "other_abstracts": [
            {
                "type": text(one, "@Type"),
                "language": text(one, "@Language"),
                "sections": sections(one),
                "copyright": text(one, "CopyrightInformation"),
            }
            for one in all_of(element, f"{citation}/OtherAbstract")
        ],
        "authors": people(element, f"{inner}/AuthorList/Author"),
        "authors_complete": not_no(element, f"{inner}/AuthorList/@CompleteYN"),
        "editors": [],
        "investigators": people(element, f"{citation}/InvestigatorList/Investigator"),
        "personal_name_subjects": people(element, f"{citation}/PersonalNameSubjectList/PersonalNameSubject"),
        "publication_types": [
            term(one) for one in all_of(element, f"{inner}/PublicationTypeList/PublicationType")
        ],
        "mesh": [
            {
                "name": text(one, "DescriptorName"),
                "ui": text(one, "DescriptorName/@UI"),
                "major": yes(one, "DescriptorName/@MajorTopicYN"),
                "type": text(one, "DescriptorName/@Type"),
                "qualifiers": [
                    {"name": text(two), "ui": text(two, "@UI"), "major": yes(two, "@MajorTopicYN")}
                    for two in all_of(one, "QualifierName")
                ],
            }
            for one in all_of(element, f"{citation}/MeshHeadingList/MeshHeading")
        ],
        "supplementary_mesh": [
            term(one) for one in all_of(element, f"{citation}/SupplMeshList/SupplMeshName")
        ],
        "chemicals": [
            {
                "name": text(one, "NameOfSubstance"),
                "ui": text(one, "NameOfSubstance/@UI"),
                "registry_number": text(one, "RegistryNumber"),
            }
            for one in all_of(element, f"{citation}/ChemicalList/Chemical")
        ],
        "gene_symbols": texts(element, f"{citation}/GeneSymbolList/GeneSymbol"),
        "keywords": keywords(element, f"{citation}/KeywordList/Keyword"),
        "citation_subsets": texts(element, f"{citation}/CitationSubset"),
        "grants": grants(element, f"{inner}/GrantList/Grant"),
        "grants_complete": not_no(element, f"{inner}/GrantList/@CompleteYN"),
        "databanks": [
            {
                "name": text(one, "DataBankName"),
                "accessions": texts(one, "AccessionNumberList/AccessionNumber"),
            }
            for one in all_of(element, f"{inner}/DataBankList/DataBank")
        ],
        "databanks_complete": not_no(element, f"{inner}/DataBankList/@CompleteYN"),
        "references": references(element, "PubmedData//Reference"),
        "number_of_references": text(element, f"{citation}/NumberOfReferences"),
        "comments_corrections": [
            {
                "type": text(one, "@RefType"),
                "source": text(one, "RefSource"),
                "pmid": text(one, "PMID"),
                "pmid_version": text(one, "PMID/@Version"),
                "note": text(one, "Note"),
            }
            for one in all_of(element, f"{citation}/CommentsCorrectionsList/CommentsCorrections")
        ],
        "space_flight_missions": texts(element, f"{citation}/SpaceFlightMission"),
        "general_notes": [
            {"owner": text(one, "@Owner"), "text": text(one)}
            for one in all_of(element, f"{citation}/GeneralNote")
        ],
        "conflict_of_interest": text(element, f"{citation}/CoiStatement"),
        "objects": [
            {"type": text(one, "@Type"), "parameters": identifiers(one, "Param", "Name")}
            for one in all_of(element, "PubmedData/ObjectList/Object")
        ],
        "extra": {},
    }
    return document(all_of(element, f"{citation}/PMID")[0], text(element, f"{inner}/ArticleTitle"), metadata)


def links(element) -> dict[str, list[str]]:
    """Read the places in the NCBI Bookshelf to which titles link, by path: no reader takes them."""
    found: dict[str, list[str]] = {}
    for title in element.xpath(".//*[@book or @part or @sec]"):
        path = "/".join([*(above.tag for above in [*title.iterancestors()][-3::-1]), title.tag])
        for name, value in title.attrib.items():
            found.setdefault(f"{path}@{name}", []).append(value)
    return found


def book_article(element) -> dict[str, Any]:
    [inner] = all_of(element, "BookDocument")
    abstracts = all_of(inner, "Abstract")
    ids = identifiers(element, "BookDocument/ArticleIdList/ArticleId", "IdType")
    ids += identifiers(element, "PubmedBookData/ArticleIdList/ArticleId", "IdType")
    metadata = {
        "pmid": text(inner, "PMID"),
        "kind": "book",
        "status": "",
        "owner": "",
        "indexing_method": "",
        "version_id": "",
        "version_date": "",
        "publication_status": text(element, "PubmedBookData/PublicationStatus"),
        "publication_model": "",
        "languages": texts(inner, "Language"),
        "vernacular_title": text(inner, "VernacularTitle"),
        "journal": None,
        "book": book(inner),
        "publication_date": date_at(inner, "Book/PubDate"),
        "article_dates": [],
        "date_created": None,
        "date_completed": None,
        "date_revised": date_at(inner, "DateRevised"),
        "history": events(element, "PubmedBookData/History/PubMedPubDate", "PubStatus"),
        "pages": text(inner, "Pagination/MedlinePgn"),
        "start_page": text(inner, "Pagination/StartPage"),
        "end_page": text(inner, "Pagination/EndPage"),
        "doi": next((one["value"] for one in ids if one["type"] == "doi"), ""),
        "pmc": next((one["value"] for one in ids if one["type"] == "pmc"), ""),
        "article_ids": ids,
        "elocation_ids": [],
        "other_ids": [],
        "abstract": [one for abstract in abstracts for one in sections(abstract)],
        "abstract_copyright": text(inner, "Abstract/CopyrightInformation"),
        "other_abstracts": [],
        "authors": people(inner, "AuthorList[not(@Type='editors')]/Author"),
        "authors_complete": not_no(inner, "AuthorList[not(@Type='editors')]/@CompleteYN"),
        "editors": people(inner, "AuthorList[@Type='editors']/Author"),
        "investigators": people(inner, "InvestigatorList/Investigator"),
        "personal_name_subjects": [],
        "publication_types": [term(one) for one in all_of(inner, "PublicationType")],
        "mesh": [],
        "supplementary_mesh": [],
        "chemicals": [],
        "gene_symbols": [],
        "keywords": keywords(inner, "KeywordList/Keyword"),
        "citation_subsets": [],
        "grants": grants(inner, "GrantList/Grant"),
        "grants_complete": not_no(inner, "GrantList/@CompleteYN"),
        "databanks": [],
        "databanks_complete": True,
        "references": references(inner, ".//Reference"),
        "number_of_references": "",
        "comments_corrections": [],
        "space_flight_missions": [],
        "general_notes": [],
        "conflict_of_interest": "",
        "objects": [],
        "extra": links(element),
    }
    title = text(inner, "ArticleTitle") or text(inner, "Book/BookTitle")
    return document(all_of(inner, "PMID")[0], title, metadata)


def book(inner) -> dict[str, Any]:
    return {
        "title": text(inner, "Book/BookTitle"),
        "publisher": text(inner, "Book/Publisher/PublisherName"),
        "publisher_location": text(inner, "Book/Publisher/PublisherLocation"),
        "beginning_date": date_at(inner, "Book/BeginningDate"),
        "ending_date": date_at(inner, "Book/EndingDate"),
        "contribution_date": date_at(inner, "ContributionDate"),
        "author_groups": [
            {
                "type": text(one, "@Type"),
                "complete": not_no(one, "@CompleteYN"),
                "authors": people(one, "Author"),
            }
            for one in all_of(inner, "Book/AuthorList")
        ],
        "investigators": people(inner, "Book/InvestigatorList/Investigator"),
        "volume": text(inner, "Book/Volume"),
        "volume_title": text(inner, "Book/VolumeTitle"),
        "edition": text(inner, "Book/Edition"),
        "collection_title": text(inner, "Book/CollectionTitle"),
        "isbns": texts(inner, "Book/Isbn"),
        "elocation_ids": identifiers(inner, "Book/ELocationID", "EIdType"),
        "medium": text(inner, "Book/Medium"),
        "report_number": text(inner, "Book/ReportNumber"),
        "locations": texts(inner, "LocationLabel"),
        "sections": [
            {
                "title": text(one, "SectionTitle"),
                "location": text(one, "LocationLabel"),
                "level": len(all_of(one, "ancestor-or-self::Section")),
            }
            for one in all_of(inner, "Sections//Section")
        ],
        "item_lists": [
            {"type": text(one, "@ListType"), "items": texts(one, "Item")} for one in all_of(inner, "ItemList")
        ],
    }
