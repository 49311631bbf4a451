"""Turns the bytes of one PubMed record into a `Document`: `parse_record`, a plain function.

Each record is parsed on its own, so a malformed one does not affect the others. A record begins with its own
start tag, or with the declarations of the entities that it uses (see `xml_files.entities`): only these are
expanded. lxml is the fastest parser for building and reading a tree;
``benchmarks/pubmed_parse.py`` compares it with others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from lxml.etree import XMLSyntaxError, fromstring

from penstock.adapters.pubmed.article import Draft, Table, read_children, read_citation, read_pubmed_data
from penstock.adapters.pubmed.book import read_book_document
from penstock.adapters.pubmed.elements import first_value, text_of
from penstock.adapters.pubmed.known import fits, set_apart
from penstock.adapters.pubmed.parts import EXPANDING, PARSER, cut_out
from penstock.adapters.pubmed.schema import PubMedMetadata, drop_absent, empty
from penstock.adapters.xml_files.entities import without_declarations
from penstock.document import Document, content_hash, id_number, trusted_document
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

    from penstock.adapters.pubmed.schema import Section

SOURCE = "pubmed"

_READERS: Table = {
    "MedlineCitation": read_citation,
    "PubmedData": read_pubmed_data,
    "BookDocument": read_book_document,
    "PubmedBookData": read_pubmed_data,
}
_KINDS = {
    "PubmedArticle": "article",
    "MedlineCitation": "article",
    "PubmedBookArticle": "book",
    "BookDocument": "book",
    "PMID": "deletion",
}
_empty_metadata = empty(PubMedMetadata)
_drop_absent = drop_absent(PubMedMetadata)
# A record begins with its own PMID; the PMIDs of other records (cited, commented) come later.
_OWN_PMID = re.compile(
    rb"(?:<(?:PubmedArticle|PubmedBookArticle)\s*>\s*)?"
    rb"(?:<(?:MedlineCitation|BookDocument)(?:\s[^<>]*)?>\s*)?"
    rb"<PMID(?:\s+Version\s*=\s*[\"']([1-9][0-9]{,8})[\"'])?\s*>\s*([1-9][0-9]{,17})\s*</PMID\s*>"
)
_PLAIN_PMID = re.compile(rb'<PMID(?: Version="([1-9][0-9]{,8})")?>([1-9][0-9]{,17})</PMID>')
"""A deletion as lists have it; any other form is read by lxml."""


def document_id(pmid: str, version: str) -> str:
    """Return ``PMID:<number>.<version>``: the registered prefix, and a version as in sequence databases.

    The version is always included, so that an id does not change when a second version appears.
    """
    return f"PMID:{pmid}.{version}"


def _record_id(pmid: str) -> str:
    """Return ``PMID:<number>``, the same for all versions of a record."""
    return f"PMID:{pmid}"


def identify_record(data: bytes, key: str = "", namespaces: Mapping[str, str] | None = None) -> str:
    """Return the ``doc_id`` of a record, if possible from its first bytes, without parsing it.

    Raises:
        DocumentError: it has no PMID of its own, or is too damaged to find it.
    """
    if found := glance_record(data):
        return found
    _refuse_huge(data, key)
    root = _root(data, key, namespaces)
    own = root if root.tag == "PMID" else next(iter(root.iterfind(_OWN_PATH.get(root.tag, "PMID"))), None)
    if own is None:
        raise _no_pmid(key)
    return document_id(_pmid(text_of(own), key), _version(own.get("Version", ""), key))


def glance_record(data: bytes) -> str | None:
    """Return the ``doc_id`` of a record if its first bytes are as usual."""
    match = _OWN_PMID.match(data)
    if match is None and data.startswith(b"<!"):
        match = _OWN_PMID.match(without_declarations(data)[1])
    return document_id(match[2].decode(), (match[1] or b"1").decode()) if match else None


_OWN_PATH = {"PubmedArticle": "MedlineCitation/PMID", "PubmedBookArticle": "BookDocument/PMID"}


def parse_record(
    data: bytes,
    key: str = "",
    namespaces: Mapping[str, str] | None = None,
    *,
    keep_raw: bool = False,
) -> Document:
    """Parse one record: a PubmedArticle, a PubmedBookArticle, or a PMID of a DeleteCitation.

    The document's ``metadata`` is a `PubMedMetadata`. Its ``content`` is the abstract: sections separated
    by an empty line, each after its label (``METHODS: …``) if it has one.

    Args:
        data: The bytes of the record in UTF-8, from its ``<`` to its ``>``; declarations may come first.
        key: The key of the record, for messages.
        namespaces: Prefixes that the root of its file declares.
        keep_raw: Whether the document keeps ``data`` in ``raw``.

    Raises:
        DocumentError: it is not well-formed, is not a PubMed record, or has no PMID.
    """
    if (plain := _PLAIN_PMID.fullmatch(data)) is not None:  # lists of deletions may have millions
        pmid, version = plain[2].decode(), (plain[1] or b"1").decode()
        return _deletion(pmid, version, {}, data, keep_raw=keep_raw)
    _refuse_huge(data, key)
    draft = None if namespaces else _read_cut(data)
    if draft is None:
        root = _root(data, key, namespaces)
        if root.tag == "PMID":
            pmid, version = _pmid(text_of(root), key), _version(root.get("Version", ""), key)
            extra = {} if fits(root) else set_apart(root)
            return _deletion(pmid, version, extra, data, keep_raw=keep_raw)
        extra = {} if fits(root) else set_apart(root)
        draft = _read_record(root, {})
        draft.metadata["extra"] = extra
    metadata = draft.metadata
    metadata["pmid"] = pmid = _pmid(metadata["pmid"], key)
    version = _version(draft.version or "", key)
    article_ids = metadata["article_ids"]
    metadata["doi"] = first_value(article_ids, "doi") or first_value(metadata["elocation_ids"], "doi")
    metadata["pmc"] = first_value(article_ids, "pmc")
    _drop_absent(metadata)
    return trusted_document(
        {
            "doc_id": document_id(pmid, version),
            "source": SOURCE,
            "record_id": _record_id(pmid),
            "version": version,
            "title": draft.title,
            "content": abstract_text(metadata["abstract"]),
            "metadata": metadata,
            "content_hash": content_hash(data),
            "deleted": False,
            "raw": data if keep_raw else None,
        }
    )


def abstract_text(sections: list[Section]) -> str:
    """Join the sections of an abstract by empty lines, each after its label if it has one."""
    if len(sections) == 1 and not sections[0]["label"]:
        return sections[0]["text"]
    return "\n\n".join(
        f"{section['label']}: {section['text']}" if section["label"] else section["text"]
        for section in sections
    )


def _deletion(pmid: str, version: str, extra: dict[str, Any], data: bytes, *, keep_raw: bool) -> Document:
    metadata: dict[str, Any] = {"pmid": pmid, "kind": "deletion"}
    if extra:
        metadata["extra"] = extra
    return trusted_document(
        {
            "doc_id": document_id(pmid, version),
            "source": SOURCE,
            "record_id": _record_id(pmid),
            "version": version,
            "title": "",
            "content": "",
            "metadata": metadata,
            "content_hash": content_hash(data),
            "deleted": True,
            "raw": data if keep_raw else None,
        }
    )


def _read_cut(data: bytes) -> Draft | None:
    """Read an article without its regular parts (see `cut_out`); ``None`` if it must be read as a whole."""
    if not data.startswith(_ARTICLES):
        return None
    rest, parts = cut_out(data)
    if not parts:
        return None
    try:
        root = fromstring(rest, PARSER)
    except XMLSyntaxError:
        return None
    if not fits(root):
        return None
    draft = _read_record(root, parts)
    return None if parts else draft


_ARTICLES = (b"<PubmedArticle", b"<MedlineCitation")


def _read_record(root: Element, parts: dict[str, Any]) -> Draft:
    draft = Draft(_empty_metadata(), parts=parts)
    draft.metadata["kind"] = _KINDS[root.tag]
    if root.tag in _READERS:  # older sets contain MedlineCitation or BookDocument directly
        _READERS[root.tag](root, draft)
    else:
        read_children(root, draft, _READERS)
    return draft


def _root(data: bytes, key: str, namespaces: Mapping[str, str] | None) -> Element:
    """Build the tree of one record."""
    declarations = b""
    if data.startswith(b"<!"):
        declarations, data = without_declarations(data)
    if not data.startswith(_BEGINNINGS):
        message = f"{_where(key)} is not a PubMed record: it begins with {bytes(data[:40])!r}"
        raise DocumentError(message)
    try:
        whole = declarations + (_wrapped(data, namespaces) if namespaces else data)
        tree = fromstring(whole, EXPANDING if declarations else PARSER)
        root = tree[0] if namespaces else tree
    except XMLSyntaxError as error:
        message = f"{_where(key)} cannot be parsed as XML: {error.msg}"
        raise DocumentError(message) from error
    if root.tag not in _KINDS:
        message = f"{_where(key)} is <{root.tag}>, which is not a PubMed record"
        raise DocumentError(message)
    return root


def _refuse_huge(data: bytes, key: str) -> None:
    """Refuse a record whose tree and texts would take too much memory: libxml2 needs 120 bytes for a node."""
    if len(data) < _NEVER_HUGE:
        return
    copies = 5 if data.isascii() else 12  # one character beyond U+FFFF makes a text four times as large
    size = copies * len(data) + 240 * data.count(b"<") + 220 * data.count(b"=")
    if size > _MAX_MEMORY:
        need = f"{size >> 20} MiB of memory to parse"
        message = f"{_where(key)} has {len(data):,} bytes and would need about {need}"
        raise DocumentError(message)


_NEVER_HUGE = 256 * 1024
_MAX_MEMORY = 160 << 20
_BEGINNINGS = tuple(f"<{tag}".encode() for tag in _KINDS)


def _wrapped(data: bytes, namespaces: Mapping[str, str]) -> bytes:
    declarations = " ".join(f"xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in namespaces.items())
    return b"<_ %s>%s</_>" % (declarations.encode(), data)


def _pmid(text: str, key: str) -> str:
    if not text:
        raise _no_pmid(key)
    return id_number(text, f"the PMID of {_where(key)}")


def _version(text: str, key: str) -> str:
    """Return the version of an id; it is 1 in files before 2010."""
    return "1" if text in ("1", "") else id_number(text, f"the version of {_where(key)}")


def _no_pmid(key: str) -> DocumentError:
    return DocumentError(f"{_where(key)} has no PMID, so it cannot be identified")


def _where(key: str) -> str:
    return f"record {key}" if key else "the record"
