"""What is regular in a record is read by a short way: `cut_out` takes it out before lxml sees the rest.

lxml builds a tree of every element and a Python object for each that is touched. Two kinds of *parts* can do
without:

* Dates, publication types, the journal's entry in the catalogue and the history stand in a baseline file in
  the same words hundreds of times. The same bytes of a whole element say the same: they are parsed once.
* MeSH headings, a third of a record, are of one form, which a regular expression checks to the letter.

In the place of a part stays an empty element, of its name behind ``_``. This changes nothing:

* In a record without ``<!``, ``<?`` and ``<_``, which is cut only then, every start tag is one, and every
  element whose name begins with ``_`` is ours.
* A part is cut out only if it is well-formed by itself: the record is, if and only if the rest is.
* A part that no reader has asked for stood in a place that is not its own: the record is then read uncut.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from lxml.etree import XMLParser, XMLSyntaxError, fromstring

from penstock.adapters.pubmed.dates import read_date
from penstock.adapters.pubmed.elements import read_event, read_journal_info, read_term

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml.etree import _Element as Element

    from penstock.adapters.pubmed.schema import MeshHeading, Term

__all__ = ["PARSER", "cut_out"]

T = TypeVar("T")

# Comments and instructions are left out, so that the text around them is one text. Beyond libxml2's limits (a
# text of 10 MB, a depth of 256) a record is refused.
PARSER = XMLParser(
    resolve_entities=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    collect_ids=False,
)
_KNOWN = 512  # of each kind: what stands together in a file is much the same
_LONGEST = 4096  # bytes of what is worth remembering
_WHOLE = ((b"!", b"<!"), (b"?", b"<?"), (b"_", b"<_"))  # one byte is found much faster than two, and rare

# What XML and every reader of it take as it stands: printable ASCII but for markup, and ``&amp;``.
_SPACE = rb"[ \t\r\n]*+"
_TEXT = rb"[ -%'-;=?-~]*+(?:&amp;[ -%'-;=?-~]*+)*+"
_TERM = rb' UI="[A-Z0-9]*" MajorTopicYN="[YN]"(?: Type="[A-Za-z]*")?>' + _TEXT
_HEADINGS = re.compile(
    rb"<MeshHeadingList>(?:S<MeshHeading>S<DescriptorNameT</DescriptorName>"
    rb"(?:S<QualifierNameT</QualifierName>)*+S</MeshHeading>)*+S</MeshHeadingList>".replace(
        b"S<", _SPACE + b"<"
    ).replace(b"NameT", b"Name" + _TERM)
)
_TERMS = re.compile(r'<([DQ])\w+ UI="(\w*)" MajorTopicYN="(\w)"(?: Type="(\w*)")?>([^<]*)')


def cut_out(record: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the record without its parts, and what these say, by the name of the element in their place.

    What they say belongs to the caller, who may change it.
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
        said = read(record[begin:stop])
        if said is not None:
            parts[name] = said
            rest += (record[at:begin], place)
            at = stop
    rest.append(record[at:])
    return b"".join(rest), parts


def _part(tag: str, read: Callable[[bytes], Any]) -> tuple[str, bytes, bytes, bytes, Callable[[bytes], Any]]:
    """Say how the elements ``tag`` that have no attributes are found and read, and what takes their place."""
    return f"_{tag}", f"<{tag}>".encode(), f"</{tag}>".encode(), f"<_{tag}/>".encode(), read


def _remembered(read: Callable[[Element], T], copy: Callable[[T], T]) -> Callable[[bytes], T | None]:
    """Read an element from its bytes, or remember it; ``None`` if it is not well-formed or too long."""
    known = lru_cache(_KNOWN)(lambda data: read(fromstring(data, PARSER)))

    def reader(data: bytes) -> T | None:
        try:
            return copy(known(data)) if len(data) <= _LONGEST else None
        except XMLSyntaxError:
            return None  # the parser of the whole will say what is wrong, and where

    return reader


def _copies(dicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one.copy() for one in dicts]


def _events(element: Element) -> list[Any]:
    return [read_event(child, "PubStatus") for child in element]


def _publication_types(element: Element) -> list[Any]:
    return [read_term(child) for child in element]


def _headings(data: bytes) -> list[MeshHeading] | None:
    """Read a ``MeshHeadingList`` as `read_mesh` does; ``None`` if it is not written as most are."""
    if not _HEADINGS.fullmatch(data):
        return None
    headings: list[MeshHeading] = []
    qualifiers: list[Term] = []
    for sort, ui, major, kind, text in _TERMS.findall(data.decode("ascii").replace("&amp;", "&")):
        if sort == "Q":
            qualifiers.append({"name": text.strip(), "ui": ui, "major": major == "Y"})
            continue
        qualifiers = []
        headings.append(
            {"name": text.strip(), "ui": ui, "major": major == "Y", "type": kind, "qualifiers": qualifiers}
        )
    return headings


# In the order in which a record has them: each is looked for behind the one before.
_PARTS = (
    _part("DateCompleted", _remembered(read_date, dict.copy)),
    _part("DateRevised", _remembered(read_date, dict.copy)),
    _part("PubDate", _remembered(read_date, dict.copy)),
    _part("PublicationTypeList", _remembered(_publication_types, _copies)),
    _part("MedlineJournalInfo", _remembered(read_journal_info, dict.copy)),
    _part("MeshHeadingList", _headings),
    _part("History", _remembered(_events, _copies)),
)
