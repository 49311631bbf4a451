"""A shortcut for the regular parts of a record: `cut_out` reads them before lxml parses the remainder.

lxml builds a tree of all elements, and a Python object for each element that is accessed. Two kinds of
*parts* are read without that:

* Dates, publication types and the journal's catalogue entry repeat hundreds of times in a file. Equal
  bytes of a whole element have an equal value, so they are parsed once.
* Authors, MeSH headings, the history, references and the ids of the article are most of a record. Nearly all
  have one form, which a regular expression checks exactly; see `regular`.

An empty element takes the place of each part; its name is the part's with ``_`` in front. The result is the
same as without the shortcut:

* A record is cut only if it does not contain ``<!``, ``<?`` or ``<_``. Then every start tag is a real one,
  and every element whose name begins with ``_`` is a placeholder.
* A part is cut out only if it is well-formed by itself. So the record is well-formed exactly if the remainder
  is.
* If a part was not used by any reader, it was in an unexpected place. Then the record is read again, uncut.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from lxml.etree import XMLParser, XMLSyntaxError, fromstring

from penstock.adapters.pubmed.dates import read_date
from penstock.adapters.pubmed.elements import read_event, read_journal_info, read_term
from penstock.adapters.pubmed.known import fits
from penstock.adapters.pubmed.regular import (
    regular_article_ids,
    regular_authors,
    regular_headings,
    regular_history,
    regular_references,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml.etree import _Element as Element

T = TypeVar("T")

# Comments and instructions are removed, so that the text around them is one text. A record that exceeds the
# limits of libxml2 (10 MB of text in one piece, a depth of 256) is refused.
_OPTIONS: dict[str, Any] = {
    "no_network": True,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    "collect_ids": False,
}
PARSER = XMLParser(resolve_entities=False, **_OPTIONS)
_INTERNAL: Any = "internal"  # the stubs of lxml allow only bool
EXPANDING = XMLParser(resolve_entities=_INTERNAL, **_OPTIONS)
"""For a record with declarations in front of it; see `xml_files.entities`, which checks their size."""

_KNOWN = 512  # values remembered per kind of part; records near each other in a file are similar
_LONGEST = 4096  # bytes; a longer element is not worth remembering
_WHOLE = ((b"!", b"<!"), (b"?", b"<?"), (b"_", b"<_"))  # searching for one byte is faster, and these are rare


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


def _part(
    tag: str, read: Callable[[bytes], Any], *, start: bytes = b""
) -> tuple[str, bytes, bytes, bytes, Callable[[bytes], Any]]:
    """Return the placeholder's name, the start and end tag, the placeholder, and the reader of a part."""
    return f"_{tag}", start or f"<{tag}>".encode(), f"</{tag}>".encode(), f"<_{tag}/>".encode(), read


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
    events = regular_history(data)
    return _remembered_history(data) if events is None else events


def _publication_types(element: Element) -> list[Any]:
    return [read_term(child) for child in element]


# In the order of a record: the search for each part begins after the previous one.
_PARTS = (
    _part("DateCompleted", _remembered(read_date, dict.copy)),
    _part("DateRevised", _remembered(read_date, dict.copy)),
    _part("PubDate", _remembered(read_date, dict.copy)),
    _part("AuthorList", regular_authors, start=b"<AuthorList "),
    _part("PublicationTypeList", _remembered(_publication_types, _copies)),
    _part("MedlineJournalInfo", _remembered(read_journal_info, dict.copy)),
    _part("MeshHeadingList", regular_headings),
    _part("History", _history),
    _part("ArticleIdList", regular_article_ids),
    _part("ReferenceList", regular_references),
)
