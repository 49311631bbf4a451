"""A shortcut for the regular parts of a record: `cut_out` reads them before lxml parses the remainder.

lxml builds a tree of all elements, and a Python object for each element that is accessed. Two kinds of
*parts* are read without that:

* Dates, publication types and the journal's catalogue entry repeat hundreds of times in a file. Equal
  bytes of a whole element have an equal value, so they are parsed once.
* MeSH headings, references and the ids of the article are half of a record. Nearly all have one form, which a
  regular expression checks exactly. So has the history, which in a modern record is like no other.

An empty element takes the place of each part; its name is the part's with ``_`` in front. The result is the
same as without the shortcut:

* A record is cut only if it does not contain ``<!``, ``<?`` or ``<_``. Then every start tag is a real one,
  and every element whose name begins with ``_`` is a placeholder.
* A part is cut out only if it is well-formed by itself. So the record is well-formed exactly if the remainder
  is.
* If a part was not used by any reader, it was in an unexpected place. Then the record is read again, uncut.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from lxml.etree import XMLParser, XMLSyntaxError, fromstring

from penstock.adapters.pubmed.dates import read_date, read_numbers
from penstock.adapters.pubmed.elements import read_event, read_journal_info, read_term
from penstock.adapters.pubmed.known import fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml.etree import _Element as Element

    from penstock.adapters.pubmed.schema import Identifier, MeshHeading, Qualifier, Reference

T = TypeVar("T")

# Comments and instructions are removed, so that the text around them is one text. A record that exceeds the
# limits of libxml2 (10 MB of text in one piece, a depth of 256) is refused.
PARSER = XMLParser(
    resolve_entities=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    collect_ids=False,
)
_KNOWN = 512  # values remembered per kind of part; records near each other in a file are similar
_LONGEST = 4096  # bytes; a longer element is not worth remembering
_WHOLE = ((b"!", b"<!"), (b"?", b"<?"), (b"_", b"<_"))  # searching for one byte is faster, and these are rare

# Text that needs no XML parser: printable ASCII without markup, and ``&amp;``.
_SPACE = rb"[ \t\r\n]*+"
_TEXT = rb"[ -%'-;=?-~]*+(?:&amp;[ -%'-;=?-~]*+)*+"
_TERM = rb' UI="[A-Z0-9]*" MajorTopicYN="[YN]"(?: Type="[A-Za-z]*")?>' + _TEXT
_HEADINGS = re.compile(
    rb"<MeshHeadingList>(?:S<MeshHeading>S<DescriptorNameT</DescriptorName>"
    rb"(?:S<QualifierNameT</QualifierName>)*+S</MeshHeading>)*+S</MeshHeadingList>".replace(
        b"S<", _SPACE + b"<"
    ).replace(b"NameT", b"Name" + _TERM)
)
# The same, also with bytes of UTF-8: `_decoded` checks these.
_ANY_TEXT = rb"[ -%'-;=?-~\x80-\xff]*+(?:&amp;[ -%'-;=?-~\x80-\xff]*+)*+"
_IDS = rb'S<ArticleIdList>(?:S<ArticleId IdType="[A-Za-z]*">T</ArticleId>)*+S</ArticleIdList>'
_ARTICLE_IDS, _REFERENCES = (
    re.compile(pattern.replace(b"S<", _SPACE + b"<").replace(b">T<", b">" + _ANY_TEXT + b"<"))
    for pattern in (
        _IDS,
        rb"<ReferenceList>(?:S<Title>T</Title>)?(?:S<Reference>S<Citation>T</Citation>(?:%s)?S</Reference>)*+"
        rb"S</ReferenceList>" % _IDS,
    )
)
_NAMED = re.compile(r'<(T|C|A)(?:itle|itation|rticleId)(?: IdType="(\w*)")?>([^<]*)')
_HISTORY = re.compile(
    rb"<History>(?:S<PubMedPubDate PubStatus=\"[a-z]+\">S<Year>[0-9]{4}</Year>S<Month>[0-9]{1,2}</Month>"
    rb"S<Day>[0-9]{1,2}</Day>(?:S<Hour>[0-9]{1,2}</Hour>S<Minute>[0-9]{1,2}</Minute>)?+S</PubMedPubDate>)*+"
    rb"S</History>".replace(b"S<", _SPACE + b"<")
)
_EVENTS = re.compile(
    rb'PubStatus="([a-z]+)">\s*<Year>(\d+)</Year>\s*<Month>(\d+)</Month>\s*<Day>(\d+)</Day>'
    rb"(?:\s*<Hour>(\d+)</Hour>\s*<Minute>(\d+)</Minute>)?"
)
_TERMS = re.compile(r'<([DQ])\w+ UI="(\w*)" MajorTopicYN="(\w)"(?: Type="(\w*)")?>([^<]*)')


def cut_out(record: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the record without its parts, and their values by the names of the placeholders.

    The values are copies that the caller may change.
    """
    parts: dict[str, Any] = {}
    for byte, mark in _WHOLE:
        if byte in record and mark in record:
            return record, parts
    find = record.find
    rest: list[bytes] = []
    at = 0
    for name, start, end, place, read in _PARTS:
        begin = find(start, at)
        stop = find(end, begin) if begin >= 0 else -1
        if stop < 0:
            continue
        stop += len(end)
        value = read(record[begin:stop])
        if value is not None:
            parts[name] = value
            rest += (record[at:begin], place)
            at = stop
    rest.append(record[at:])
    return b"".join(rest), parts


def _part(tag: str, read: Callable[[bytes], Any]) -> tuple[str, bytes, bytes, bytes, Callable[[bytes], Any]]:
    """Return the placeholder's name, the start and end tag, the placeholder, and the reader of a part."""
    return f"_{tag}", f"<{tag}>".encode(), f"</{tag}>".encode(), f"<_{tag}/>".encode(), read


def _remembered(read: Callable[[Element], T], copy: Callable[[T], T]) -> Callable[[bytes], T | None]:
    """Return a reader that parses equal bytes once.

    It returns ``None`` for what is malformed or too long, or has something that ``read`` does not take.
    """

    @lru_cache(_KNOWN)
    def known(data: bytes) -> T | None:
        root = fromstring(data, PARSER)
        return read(root) if fits(root) else None

    def reader(data: bytes) -> T | None:
        try:
            value = known(data) if len(data) <= _LONGEST else None
        except XMLSyntaxError:
            return None  # parsing the whole record will report the error and its place
        return None if value is None else copy(value)

    return reader


def _copies(dicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one.copy() for one in dicts]


def _events(element: Element) -> list[Any]:
    return [read_event(child, "PubStatus") for child in element]


_remembered_history = _remembered(_events, _copies)


def _history(data: bytes) -> list[Any] | None:
    """Read a ``History``: nearly all have one form, in which other dates stand each time."""
    if not _HISTORY.fullmatch(data):
        return _remembered_history(data)
    return [{"type": kind.decode(), **read_numbers(*date)} for kind, *date in _EVENTS.findall(data)]


def _publication_types(element: Element) -> list[Any]:
    return [read_term(child) for child in element]


def _headings(data: bytes) -> list[MeshHeading] | None:
    """Read a ``MeshHeadingList`` as `read_mesh` does; return ``None`` if it does not have the usual form."""
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


def _decoded(data: bytes) -> str | None:
    """Return the text of a part that has no entity but ``&amp;``; ``None`` if XML does not allow it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if not data.isascii() and ("\ufffe" in text or "\uffff" in text):
        return None
    return text.replace("&amp;", "&")


def _article_ids(data: bytes) -> list[Identifier] | None:
    """Read an ``ArticleIdList``; return ``None`` if it does not have the usual form."""
    text = _decoded(data) if _ARTICLE_IDS.fullmatch(data) else None
    if text is None:
        return None
    return [{"type": kind, "value": value.strip()} for _, kind, value in _NAMED.findall(text)]


def _references(data: bytes) -> list[Reference] | None:
    """Read a ``ReferenceList`` as `read_references` does; ``None`` if it does not have the usual form."""
    text = _decoded(data) if _REFERENCES.fullmatch(data) else None
    if text is None:
        return None
    section = ""
    ids: list[Identifier] = []
    references: list[Reference] = []
    for sort, kind, value in _NAMED.findall(text):
        if sort == "A":
            ids.append({"type": kind, "value": value.strip()})
        elif sort == "C":
            ids = []
            references.append({"citation": value.strip(), "section": section, "ids": ids})
        else:
            section = value.strip()
    return references


# In the order of a record: the search for each part begins after the previous one.
_PARTS = (
    _part("DateCompleted", _remembered(read_date, dict.copy)),
    _part("DateRevised", _remembered(read_date, dict.copy)),
    _part("PubDate", _remembered(read_date, dict.copy)),
    _part("PublicationTypeList", _remembered(_publication_types, _copies)),
    _part("MedlineJournalInfo", _remembered(read_journal_info, dict.copy)),
    _part("MeshHeadingList", _headings),
    _part("History", _history),
    _part("ArticleIdList", _article_ids),
    _part("ReferenceList", _references),
)
