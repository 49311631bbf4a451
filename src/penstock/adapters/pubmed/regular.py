"""Reads the parts of a record that nearly always have one form, without an XML parser.

A regular expression checks the form of a whole part. If a part has another form (other attributes, another
order, a text over several lines), its reader returns ``None`` and the part is left to lxml. So a reader
returns exactly what the reader of the element in `elements` would return.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from penstock.adapters.pubmed.dates import read_numbers
from penstock.adapters.pubmed.elements import NAME_KEYS

if TYPE_CHECKING:
    from penstock.adapters.pubmed.schema import Author, Identifier, MeshHeading, Qualifier, Reference

_BLANKS = b" \t\r\n"
_SPACE = rb"[ \t\r\n]*+"
# Text of one line: no markup, and no entity but those that all XML parsers know. `_decoded` checks more.
_CHARACTERS = rb"[ -%'-;=?-~\x80-\xff]*+"
_TEXT = rb"C(?:&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});C)*+".replace(b"C", _CHARACTERS)
_MARKED = rb"T(?:<(?:i>T</i|b>T</b|u>T</u|sup>T</sup|sub>T</sub)>T)*+".replace(b"T", _TEXT)
_MARKUP = re.compile("</?(?:[ibu]|su[bp])>")
_LEGAL = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LAST = 0x10FFFF
_NAMES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_ENTITY = re.compile(r"&(?:#(?:x(\w+)|(\d+))|(\w+));")
_REMEMBERED = 4096  # dates; those of one file have a few thousand different values


def _form(pattern: bytes) -> re.Pattern[bytes]:
    """Compile a form: ``~`` is optional space, ``{text}`` a text, ``{marked}`` a text with markup."""
    filled = pattern.replace(b"~", _SPACE).replace(b"{text}", _TEXT).replace(b"{marked}", _MARKED)
    return re.compile(filled)


def _decoded(data: bytes) -> str | None:
    """Return the text of a part, with its entities; ``None`` if XML does not allow one of its characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if not data.isascii() and ("\ufffe" in text or "\uffff" in text):
        return None
    if "&#" in text and not all(map(_allowed, _ENTITY.finditer(text))):
        return None
    return text


def _allowed(entity: re.Match[str]) -> bool:
    """Whether XML allows the character of ``entity``."""
    if entity[3]:
        return True
    code = _code(entity)
    return code <= _LAST and _LEGAL.fullmatch(chr(code)) is not None


def _code(entity: re.Match[str]) -> int:
    return int(entity[1], 16) if entity[1] else int(entity[2])


def _character(entity: re.Match[str]) -> str:
    return _NAMES[entity[3]] if entity[3] else chr(_code(entity))


def _plain(text: str) -> str:
    """Return the text that an XML parser would return, stripped."""
    return (_ENTITY.sub(_character, text) if "&" in text else text).strip()


# --- History

_EVENT = _form(
    rb'~<PubMedPubDate PubStatus="([a-z]+)">~<Year>([0-9]{4})</Year>~<Month>([0-9]{1,2})</Month>~'
    rb"<Day>([0-9]{1,2})</Day>(?:~<Hour>([0-9]{1,2})</Hour>~<Minute>([0-9]{1,2})</Minute>)?+~"
)
_BEFORE, _BETWEEN, _AFTER = b"<History>", b"</PubMedPubDate>", b"</History>"


@lru_cache(_REMEMBERED)
def _event(data: bytes) -> dict[str, Any] | None:
    match = _EVENT.fullmatch(data)
    if match is None:
        return None
    kind, *date = match.groups(b"")
    return {"type": kind.decode(), **read_numbers(*date)}


def regular_history(data: bytes) -> list[Any] | None:
    """Read a ``History``; most of its dates occur in other records too."""
    *events, end = data[len(_BEFORE) : -len(_AFTER)].split(_BETWEEN)
    if end.strip(_BLANKS):
        return None
    history = []
    for text in events:
        event = _event(text)
        if event is None:
            return None
        history.append(event.copy())
    return history


# --- MeSH

_TERM = (
    rb' UI="[A-Z0-9]*" MajorTopicYN="[YN]"(?: Type="[A-Za-z]*")?>[ -%\'-;=?-~]*+(?:&amp;[ -%\'-;=?-~]*+)*+'
)
_HEADINGS = _form(
    rb"<MeshHeadingList>(?:~<MeshHeading>~<DescriptorNameT</DescriptorName>"
    rb"(?:~<QualifierNameT</QualifierName>)*+~</MeshHeading>)*+~</MeshHeadingList>".replace(
        b"NameT", b"Name" + _TERM.replace(b"?-~", b"?-\\x7e")
    )
)
_TERMS = re.compile(r'<([DQ])\w+ UI="(\w*)" MajorTopicYN="(\w)"(?: Type="(\w*)")?>([^<]*)')


def regular_headings(data: bytes) -> list[MeshHeading] | None:
    """Read a ``MeshHeadingList`` as `read_mesh` does."""
    if not _HEADINGS.fullmatch(data):
        return None
    headings: list[MeshHeading] = []
    qualifiers: list[Qualifier] = []
    for sort, ui, major, kind, text in _TERMS.findall(data.decode("ascii").replace("&amp;", "&")):
        if sort == "Q":
            qualifiers.append({"name": text.strip(), "ui": ui, "major": major == "Y"})
            continue
        qualifiers = []
        headings.append(
            {"name": text.strip(), "ui": ui, "major": major == "Y", "type": kind, "qualifiers": qualifiers}
        )
    return headings


# --- Authors

_IDENTIFIER = rb'(?:~<Identifier Source="[A-Za-z]*">{text}</Identifier>)*+'
_AUTHORS = _form(
    rb'<AuthorList CompleteYN="[YN]"(?: Type="authors")?>(?:~<Author ValidYN="[YN]"(?: EqualContrib="[YN]")?>'
    rb"(?:~<LastName>{text}</LastName>)?+(?:~<ForeName>{text}</ForeName>)?+(?:~<Initials>{text}</Initials>)?+"
    rb"(?:~<Suffix>{text}</Suffix>)?+(?:~<CollectiveName>{text}</CollectiveName>)?+" + _IDENTIFIER + rb"(?:~<"
    rb"AffiliationInfo>~<Affiliation>{text}</Affiliation>"
    + _IDENTIFIER
    + rb"~</AffiliationInfo>)*+~</Author>)*+"
    rb"~</AuthorList>"
)
_AUTHOR_PARTS = re.compile(
    r'<(?:Author ValidYN="(.)"(?: EqualContrib="(.)")?|(\w+)(?: Source="(\w*)")?)>([^<]*)'
)


def regular_authors(data: bytes) -> tuple[list[Author], bool] | None:
    """Read an ``AuthorList``: the authors, as `read_author` does, and whether the list is complete."""
    text = _decoded(data) if _AUTHORS.fullmatch(data) else None
    if text is None:
        return None
    authors: list[Author] = []
    author = _author([], valid=True, equal=False)
    identifiers: list[Identifier] = []
    for valid, equal, tag, source, value in _AUTHOR_PARTS.findall(text, text.index(">")):
        key = NAME_KEYS.get(tag)
        if key:
            author[key] = _plain(value)
        elif valid:
            identifiers = []
            author = _author(identifiers, valid=valid == "Y", equal=equal == "Y")
            authors.append(author)
        elif tag == "Affiliation":
            identifiers = []
            author["affiliations"].append({"name": _plain(value), "identifiers": identifiers})
        elif tag == "Identifier":
            identifiers.append({"type": source, "value": _plain(value)})
    return authors, not data.startswith(b'<AuthorList CompleteYN="N"')


def _author(identifiers: list[Identifier], *, valid: bool, equal: bool) -> Author:
    return {
        "last_name": "",
        "fore_name": "",
        "initials": "",
        "suffix": "",
        "collective_name": "",
        "affiliations": [],
        "identifiers": identifiers,
        "valid": valid,
        "equal_contribution": equal,
    }


# --- Ids and references

_IDS = rb'~<ArticleIdList>(?:~<ArticleId IdType="[A-Za-z]*">{text}</ArticleId>)*+~</ArticleIdList>'
_ARTICLE_IDS = _form(_IDS)
_REFERENCES = _form(
    rb"<ReferenceList>(?:~<Title>{text}</Title>)?(?:~<Reference>~<Citation>{marked}</Citation>(?:"
    + _IDS
    + rb")?"
    rb"~</Reference>)++~</ReferenceList>"
)
_NAMED = re.compile(r'<(T|C|A)(?:itle|itation|rticleId)(?: IdType="(\w*)")?>([^<]*)')


def regular_article_ids(data: bytes) -> list[Identifier] | None:
    """Read an ``ArticleIdList``."""
    text = _decoded(data) if _ARTICLE_IDS.fullmatch(data) else None
    if text is None:
        return None
    return [{"type": kind, "value": _plain(value)} for _, kind, value in _NAMED.findall(text)]


def regular_references(data: bytes) -> list[Reference] | None:
    """Read a ``ReferenceList`` as `read_references` does."""
    text = _decoded(data) if _REFERENCES.fullmatch(data) else None
    if text is None:
        return None
    if any(end in text for end in ("</i>", "</b>", "</u>", "</sup>", "</sub>")):
        text = _MARKUP.sub("", text)
    section = ""
    ids: list[Identifier] = []
    references: list[Reference] = []
    for sort, kind, value in _NAMED.findall(text):
        if sort == "A":
            ids.append({"type": kind, "value": _plain(value)})
        elif sort == "C":
            ids = []
            references.append({"citation": _plain(value), "section": section, "ids": ids})
        else:
            section = _plain(value)
    return references
