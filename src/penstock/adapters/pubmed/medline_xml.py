"""The fields of a MEDLINE record, placed where PubMed's XML has them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable

# Fields whose value is the text of one element: tag, and the path of the element below the citation.
_PLAIN = {
    "TI": "Article/ArticleTitle",
    "TT": "Article/VernacularTitle",
    "PG": "Article/Pagination/MedlinePgn",
    "AB": "Article/Abstract/AbstractText",
    "CI": "Article/Abstract/CopyrightInformation",
    "VI": "Article/Journal/JournalIssue/Volume",
    "IP": "Article/Journal/JournalIssue/Issue",
    "DP": "Article/Journal/JournalIssue/PubDate/MedlineDate",
    "JT": "Article/Journal/Title",
    "PL": "MedlineJournalInfo/Country",
    "TA": "MedlineJournalInfo/MedlineTA",
    "JID": "MedlineJournalInfo/NlmUniqueID",
    "RF": "NumberOfReferences",
    "COIS": "CoiStatement",
}
# The same for fields that a record has several times; each value is an element.
_LISTS = {
    "LA": "Article/Language",
    "PT": "Article/PublicationTypeList/PublicationType",
    "SB": "CitationSubset",
    "GS": "GeneSymbolList/GeneSymbol",
    "SFM": "SpaceFlightMission",
    "GN": "GeneralNote",
}
_DAYS = {"DA": "DateCreated", "DCOM": "DateCompleted", "LR": "DateRevised"}
_EVENTS = {"EDAT": "pubmed", "MHDA": "medline", "CRDT": "entrez"}
_LINKS = {
    "CIN": "CommentIn", "CON": "CommentOn", "EIN": "ErratumIn", "EFR": "ErratumFor", "RIN": "RetractionIn",
    "ROF": "RetractionOf", "CRI": "CorrectedandRepublishedIn", "CRF": "CorrectedandRepublishedFrom",
    "UIN": "UpdateIn", "UOF": "UpdateOf", "SPIN": "SummaryForPatientsIn", "ORI": "OriginalReportIn",
    "ECI": "ExpressionOfConcernIn", "ECF": "ExpressionOfConcernFor", "DDIN": "AssociatedDataset",
    "RPI": "RetractedandRepublishedIn", "RPF": "RetractedandRepublishedFrom",
}  # fmt: skip
_DAY = re.compile(r"(\d{4})/?(\d{2})/?(\d{2})(?: (\d{1,2}):(\d{2}))?")
_TYPED = re.compile(r"(.+?) *\[([^\[\]]+)\]")
_KIND = re.compile(r"(\S+) *\(([^()]+)\)")
_SUBSTANCE = re.compile(r"(\S.*?) \((.+)\)")
_PMID = re.compile(r"(.*?) *PMID: *(\d+)")
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML cannot hold
_GRANT_PARTS, _ACRONYM = 3, 2


class MedlineRecord:
    """One record: `take` its fields in their order, then ask for its `xml`."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = defaultdict(list)
        self._status = self._owner = self._model = self._pmid = ""
        self._people: dict[str, list[list[str]]] = {"Author": [], "Investigator": [], "Editor": []}
        self._last: list[str] | None = None
        self._full_name = ""
        self._keyword_owner = ""

    def take(self, tag: str, value: str) -> None:
        """Place a field. A value that is not in the form of its field is kept under the field's tag."""
        if not self._take(tag, value):
            self._found[tag].append(_element(tag, value))

    def _take(self, tag: str, value: str) -> bool:
        handler = getattr(self, f"_take_{tag.lower()}", None)
        if handler is not None:
            return bool(handler(value))
        if tag in _PLAIN:
            path = _PLAIN[tag]
            return not self._found[path] and self._add(path, value)
        if tag in _LISTS:
            return self._add(_LISTS[tag], value)
        if tag in _DAYS:
            return self._day(_DAYS[tag], value)
        if tag in _EVENTS:
            return self._event(_EVENTS[tag], value)
        return tag in _LINKS and self._link(_LINKS[tag], value)

    def _add(self, path: str, value: str, **attributes: str) -> bool:
        self._found[path].append(_element(path.rpartition("/")[2], value, **attributes))
        return True

    def _put(self, path: str, *children: str, **attributes: str) -> bool:
        inside = "".join(children)
        self._found[path].append(_wrap(path.rpartition("/")[2], inside, **attributes))
        return True

    # -- single fields

    def _take_pmid(self, value: str) -> bool:
        self._pmid = self._pmid or value
        return self._pmid == value

    def _take_stat(self, value: str) -> bool:
        self._status = self._status or value
        return self._status == value

    def _take_own(self, value: str) -> bool:
        self._owner = self._owner or value
        return self._owner == value

    def _take_pubm(self, value: str) -> bool:
        self._model = self._model or value
        return self._model == value

    def _take_pst(self, value: str) -> bool:
        return not self._found["-/PublicationStatus"] and self._add("-/PublicationStatus", value)

    def _take_is(self, value: str) -> bool:
        match = _KIND.fullmatch(value)
        path = "Article/Journal/ISSN"
        if match is None:
            return False
        if match[2] == "Linking":
            path = "MedlineJournalInfo/ISSNLinking"
            return not self._found[path] and self._add(path, match[1])
        return not self._found[path] and self._add(path, match[1], IssnType=match[2])

    def _take_dep(self, value: str) -> bool:
        return self._day("Article/ArticleDate", value, DateType="Electronic")

    def _take_lid(self, value: str) -> bool:
        match = _TYPED.fullmatch(value)
        path = "Article/ELocationID"
        return match is not None and self._add(path, match[1], EIdType=match[2], ValidYN="Y")

    def _take_aid(self, value: str) -> bool:
        match = _TYPED.fullmatch(value)
        return match is not None and self._add("-/ArticleIdList/ArticleId", match[1], IdType=match[2])

    def _take_pmc(self, value: str) -> bool:
        return self._add("-/ArticleIdList/ArticleId", value, IdType="pmc")

    def _take_mid(self, value: str) -> bool:
        return self._add("-/ArticleIdList/ArticleId", value, IdType="mid")

    def _take_phst(self, value: str) -> bool:
        match = _TYPED.fullmatch(value)
        return match is not None and self._event(match[2], match[1])

    def _take_oab(self, value: str) -> bool:
        return self._put("OtherAbstract", _element("AbstractText", value))

    def _take_gr(self, value: str) -> bool:
        parts = value.split("/")
        if len(parts) < _GRANT_PARTS:
            return False
        *rest, agency, country = parts
        acronym = rest.pop() if len(rest) > 1 and len(rest[-1]) == _ACRONYM and rest[-1].isupper() else ""
        return self._put(
            "Article/GrantList/Grant",
            _element("GrantID", "/".join(rest)), _element("Acronym", acronym) if acronym else "",
            _element("Agency", agency), _element("Country", country),
        )  # fmt: skip

    def _take_si(self, value: str) -> bool:
        name, slash, accession = value.partition("/")
        numbers = _wrap("AccessionNumberList", _element("AccessionNumber", accession)) if slash else ""
        return self._put("Article/DataBankList/DataBank", _element("DataBankName", name), numbers)

    def _take_rn(self, value: str) -> bool:
        match = _SUBSTANCE.fullmatch(value)
        if match is None:
            return False
        number, name = _element("RegistryNumber", match[1]), _element("NameOfSubstance", match[2])
        return self._put("ChemicalList/Chemical", number, name)

    def _take_mh(self, value: str) -> bool:
        descriptor, *qualifiers = value.split("/")
        inside = [_starred("DescriptorName", descriptor)]
        return self._put(
            "MeshHeadingList/MeshHeading", *inside, *(_starred("QualifierName", q) for q in qualifiers)
        )

    def _take_oto(self, value: str) -> bool:
        self._keyword_owner = value
        return bool(value)

    def _take_ot(self, value: str) -> bool:
        return self._put("KeywordList", _starred("Keyword", value), Owner=self._keyword_owner or "NOTNLM")

    # -- people: the full name comes first, then the short one, then what belongs to that person

    def _take_fau(self, value: str) -> bool:
        return self._full("Author", value)

    def _take_au(self, value: str) -> bool:
        return self._short("Author", value)

    def _take_fir(self, value: str) -> bool:
        return self._full("Investigator", value)

    def _take_ir(self, value: str) -> bool:
        return self._short("Investigator", value)

    def _take_fed(self, value: str) -> bool:
        return self._full("Editor", value)

    def _take_ed(self, value: str) -> bool:
        return self._short("Editor", value)

    def _take_cn(self, value: str) -> bool:
        return self._person("Author", _element("CollectiveName", value))

    def _take_ad(self, value: str) -> bool:
        return self._of_last(_wrap("AffiliationInfo", _element("Affiliation", value)))

    def _take_auid(self, value: str) -> bool:
        source, colon, number = value.partition(": ")
        return bool(colon) and self._of_last(_element("Identifier", number, Source=source))

    def _full(self, kind: str, value: str) -> bool:
        last, _, fore = value.partition(", ")
        self._full_name = last
        return self._person(kind, _element("LastName", last) + (_element("ForeName", fore) if fore else ""))

    def _short(self, kind: str, value: str) -> bool:
        full, self._full_name = self._full_name, ""
        last, _, initials = value.rpartition(" ")
        if full and self._last is not None:
            if not value.startswith(f"{full} "):
                return value == full
            self._last.append(_element("Initials", value.removeprefix(f"{full} ")))
            return True
        if not last:
            return self._person(kind, _element("LastName", value))
        return self._person(kind, _element("LastName", last) + _element("Initials", initials))

    def _person(self, kind: str, name: str) -> bool:
        self._last = [name]
        self._people[kind].append(self._last)
        return True

    def _of_last(self, element: str) -> bool:
        if self._last is None:
            return False
        self._last.append(element)
        return True

    # -- shapes

    def _day(self, path: str, value: str, **attributes: str) -> bool:
        match = _DAY.fullmatch(value)
        return match is not None and not self._found[path] and self._put(path, _date(match), **attributes)

    def _event(self, status: str, value: str) -> bool:
        match = _DAY.fullmatch(value)
        return match is not None and self._put("-/History/PubMedPubDate", _date(match), PubStatus=status)

    def _link(self, kind: str, value: str) -> bool:
        match = _PMID.fullmatch(value)
        source, pmid = (match[1], _element("PMID", match[2])) if match else (value, "")
        path = "CommentsCorrectionsList/CommentsCorrections"
        return self._put(path, _element("RefSource", source), pmid, RefType=kind)

    # -- the whole

    def xml(self) -> bytes:
        """Return the record as a ``PubmedArticle``."""
        for kind, path in (
            ("Author", "Article/AuthorList"),
            ("Editor", "Article/AuthorList"),
            ("Investigator", "InvestigatorList"),
        ):
            name = "Author" if kind == "Editor" else kind
            people = "".join(_wrap(name, "".join(parts)) for parts in self._people[kind])
            if people:
                self._found[path].append(_wrap(path.rpartition("/")[2], people, **_list_type(kind)))
        pmid = _element("PMID", self._pmid, Version="1") if self._pmid else ""
        attributes = {"Status": self._status, "Owner": self._owner}
        article = {"PubModel": self._model}
        citation = [
            (path, text) for path, texts in self._found.items() if not path.startswith("-") for text in texts
        ]
        data = [
            (path[2:], text) for path, texts in self._found.items() if path.startswith("-") for text in texts
        ]
        if self._model:
            citation.append(("Article/-", ""))  # the attribute needs its element
        inside = pmid + _nested(citation, {"Article": article})
        whole = _wrap("MedlineCitation", inside, **attributes) + _wrap("PubmedData", _nested(data, {}))
        return _wrap("PubmedArticle", whole).encode("utf-8")


def _list_type(kind: str) -> dict[str, str]:
    return {} if kind == "Investigator" else {"Type": f"{kind.lower()}s", "CompleteYN": "Y"}


def _nested(found: Iterable[tuple[str, str]], attributes: dict[str, dict[str, str]]) -> str:
    """Return the elements in the elements that their paths name; each of those comes once."""
    inside: dict[str, list[tuple[str, str]]] = {}
    for path, text in found:
        first, _, rest = path.partition("/")
        inside.setdefault(first if rest else "", []).append((rest, text))
    return "".join(
        "".join(text for _, text in items)
        if not name
        else _wrap(name, _nested(items, {}), **attributes.get(name, {}))
        for name, items in inside.items()
    )


def _date(match: re.Match[str]) -> str:
    names = ("Year", "Month", "Day", "Hour", "Minute")
    return "".join(_element(name, part) for name, part in zip(names, match.groups(), strict=True) if part)


def _starred(name: str, value: str) -> str:
    return _element(name, value.removeprefix("*"), MajorTopicYN="Y" if value.startswith("*") else "N")


def _element(name: str, text: str, **attributes: str) -> str:
    return _wrap(name, escape(_UNFIT.sub("\ufffd", text)), **attributes)


def _wrap(name: str, inside: str, **attributes: str) -> str:
    given = "".join(
        f" {key}={quoteattr(_UNFIT.sub('�', value))}" for key, value in attributes.items() if value
    )
    return f"<{name}{given}>{inside}</{name}>"
