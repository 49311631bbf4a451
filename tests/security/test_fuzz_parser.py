"""Mutated PubMed records are read as lxml reads the whole file; each is a document or an error, and none is lost.

Every day a few hundred mutants run, ``nox -s fuzz`` runs 100,000, and ``PENSTOCK_MUTANTS`` sets another number.
``PENSTOCK_FIRST_MUTANT`` is the number of the first one: with it, a long run can be continued.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from penstock.adapters.pubmed import parse
from penstock.adapters.pubmed.parse import identify_record, parse_record
from penstock.adapters.pubmed.sample import sample_record
from penstock.adapters.pubmed.source import PUBMED_ROOTS, deletions_of
from penstock.adapters.xml_files.entities import entities_of
from penstock.adapters.xml_files.splitter import Piece, RecordSplitter
from penstock.errors import DocumentError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.document import Document

MUTANTS = int(os.environ.get("PENSTOCK_MUTANTS", "200"))
FIRST = int(os.environ.get("PENSTOCK_FIRST_MUTANT", "0"))
PER_TEST = max(MUTANTS // 4, 1)
DELETIONS = b'<DeleteCitation><PMID Version="1">9</PMID><PMID>8</PMID></DeleteCitation>'
INTERNAL: Any = "internal"  # the stubs of lxml allow only bool
PARSER = etree.XMLParser(resolve_entities=INTERNAL, no_network=True, huge_tree=False)
SNIPPETS = [
    b"<", b">", b"&", b"/", b"'", b'"', b"&amp;", b"&#x2013;", b"&#13;", b"&none;", b"\0", b"\r\n", b"\x1b", b"\xff", b"\xc3",
    b"<!--", b"-->", b"<!-- <PubmedArticle> -->", b"<![CDATA[", b"]]>", b"<![CDATA[</PubmedArticle>]]>", b"<?x y?>",
    b"<PubmedArticle>", b"</PubmedArticle>", b"</PubmedArticleSet>", b"<PMID>1</PMID>", b"<PMID Version='2'>007</PMID>",
    b"<i>", b"</i>", b"<sup>2</sup>", b"<New a='b'>c</New>", b"<New/>", b" xmlns:p='u'", b"<p:x xmlns:p='u'/>", b" Version='x'",
    "\u202e".encode(), "\u00e9".encode(), "\U0001f600".encode(), b"<History/>", b"<AuthorList/>",
    b"<ReferenceList><Title>t</Title></ReferenceList>", b"<ArticleId IdType='doi'>10.1/x</ArticleId>",
]  # fmt: skip
KEPT_WELL = [
    b"&amp;", b"&#x2013;", b"<!-- <PubmedArticle> -->", b"<![CDATA[</PubmedArticle>]]>", b"<?x y?>", b"<PMID>1</PMID>",
    b"<PMID Version='2'>7</PMID>", b"<sup>2</sup>", b"<i>a<b>c</b></i>", b"<New a='b'>c</New>", b"<New/>", b"\n ",
    b"<p:x xmlns:p='u'/>", "\u00e9".encode(), b"<History/>", b"<AuthorList/>", b"<MeshHeadingList/>",
    b"<ReferenceList><Title>t</Title></ReferenceList>", b"<ArticleId IdType='doi'>10.1/x</ArticleId>",
]  # fmt: skip
"""What leaves a file well-formed wherever an element may stand."""
DOCTYPE = """<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://example.org/pubmed.dtd" [
<!-- <!ENTITY none "no"> --> <?x <!ENTITY none "no"> ?> <!ELEMENT e ANY> <!ATTLIST e a CDATA "]>">
<!ENTITY word 'plain &#233; é'> <!ENTITY deep "-&word;-&word;-"> <!ENTITY deeper '&deep;&i;&deep;'>
<!ENTITY i "<i>a&#38;amp;b</i>"> <!ENTITY new "<New a='b'>c</New>"> <!ENTITY signs '&#38;#60;&amp;&gt;&#13;&#37;"]>'>
<!ENTITY text "<![CDATA[</PubmedArticle>&word;]]>"> <!ENTITY empty ""> <!ENTITY word "another"> <!ENTITY amp "&#38;#38;">
<!ENTITY half "<b>"> <!ENTITY self "&self;"> <!ENTITY far SYSTEM "far.xml"> <!ENTITY ü "u">
]>""".encode()
USED = [
    b"&word;", b"&deep;", b"&deeper;", b"&i;", b"&new;", b"&signs;", b"&text;", b"&empty;", "&ü;".encode(),
    b"<New a='&deep;'>&i;</New>", b"<!-- &self; -->", b"<![CDATA[&word;]]>", b"<?x &word;?>",
]  # fmt: skip
USED_BADLY = [*USED, b"&half;", b"&self;", b"&far;", b"&none;", b"&i", b"&", b"&word ;", b"<New a='&i;'/>"]
_SPAN = re.compile(rb"<[^<>]*>[^<>]*")
_LEAF = re.compile(rb"<(\w+)[^<>]*>[^<>]*</\1>")


def mutant(number: int) -> bytes:
    """Return file ``number``: a few records of the usual form, each with up to six changes.

    Half of the files stay well-formed, so that lxml can read them whole. A third declares entities.
    """
    dice = Random(number)
    change, snippets, used = (rearranged, KEPT_WELL, USED) if number % 2 else (mutated, SNIPPETS, USED_BADLY)
    declares = number % 3 == 0
    snippets = [*snippets, *used, *used] if declares else snippets
    texts = [sample_record(dice.randrange(1000), seed=number) for _ in range(dice.choice((1, 2, 3)))]
    records = [change(text.encode(), dice, snippets) for text in texts]
    inside = b"\n".join([*records, DELETIONS])
    return (DOCTYPE if declares else b"") + b"<PubmedArticleSet>" + inside + b"</PubmedArticleSet>"


def mutated(data: bytes, dice: Random, snippets: list[bytes]) -> bytes:
    """Change bytes, or move, repeat and drop whole tags with their texts."""
    for _ in range(dice.randrange(7)):
        spans = [match.span() for match in _SPAN.finditer(data)] or [(0, len(data))]
        (a, b), (c, d) = dice.choice(spans), dice.choice(spans)
        at = dice.randrange(len(data) + 1)
        data = dice.choice(
            [
                data[:at] + dice.choice(snippets) + data[at:],
                data[:a] + dice.choice(snippets) + data[a:],
                data[:a] + data[b:],
                data[:a] + data[c:d] + data[a:],
                data[:b] + data[a:b] + data[b:],
                data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :],
            ]
        )
    return data


def rearranged(data: bytes, dice: Random, snippets: list[bytes]) -> bytes:
    """Move, repeat and drop elements without children, and insert others, so that the record stays well-formed."""
    for _ in range(dice.randrange(7)):
        spans = [match.span() for match in _LEAF.finditer(data)]
        if not spans:
            break
        (a, b), (c, d) = dice.choice(spans), dice.choice(spans)
        inside = data.index(b">", a) + 1
        data = dice.choice(
            [
                data[:a] + dice.choice(snippets) + data[a:],
                data[:inside] + dice.choice(snippets) + data[inside:],
                data[:a] + data[b:],
                data[:a] + data[c:d] + data[a:],
                data[:a] + data[c:d] + data[b:],
                data[:b] + data[a:b] + data[b:],
            ]
        )
    return data


def pieces(data: bytes) -> tuple[list[Piece], SourceError | None]:
    """Split a file, fed in uneven chunks."""
    splitter, found = RecordSplitter(PUBMED_ROOTS), list[Piece]()
    try:
        for start in range(0, len(data), 997):
            found += splitter.feed(data[start : start + 997])
        splitter.close()
    except SourceError as error:
        return found, error
    return found, None


def parts_of(piece: Piece) -> Iterator[Piece]:
    """Yield the records of a piece, each behind the declarations that it needs."""
    for part in deletions_of(piece):
        try:
            yield part if part.fault else part._replace(data=entities_of(piece.subset).declared(part.data))
        except DocumentError as error:
            yield part._replace(fault=str(error))


def read(piece: Piece) -> Document | None:
    """Return the document of a piece, ``None`` if it is an error."""
    if piece.fault:
        return None
    with suppress(DocumentError):
        identify_record(piece.data, "k", piece.namespaces or None)
    try:
        return parse_record(piece.data, "k", piece.namespaces or None)
    except DocumentError:
        return None


def whole(data: bytes) -> Iterator[Piece]:
    """Yield the records that lxml finds in a well-formed file, each serialised anew."""
    for child in etree.fromstring(data, PARSER):
        if isinstance(child.tag, str) and child.tag in PUBMED_ROOTS["PubmedArticleSet"]:
            yield from deletions_of(
                Piece(
                    child.tag,
                    etree.tostring(child, encoding="utf-8", xml_declaration=False, with_tail=False),
                    0,
                )
            )


def outcome(document: Document | None) -> object:
    """Return what two readings of one record have in common: all but the hash of its bytes."""
    return document and document.model_dump(exclude={"content_hash", "raw"})


def check(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mutant(number)
    found, error = pieces(data)
    parts = [part for piece in found for part in parts_of(piece)]
    documents = [read(part) for part in parts]
    with monkeypatch.context() as without:
        without.setattr(parse, "_read_cut", lambda _data: None)
        for part, document in zip(parts, documents, strict=True):
            again = read(part)
            assert again == document, f"mutant {number}: {part.data!r} is read otherwise with the shortcut"
    try:
        wanted = list(whole(data))
    except etree.XMLSyntaxError:
        return
    assert error is None, f"mutant {number} is well-formed, but {error}"
    assert len(parts) == len(wanted), f"mutant {number}: {len(parts)} records, lxml finds {len(wanted)}"
    for document, piece in zip(documents, wanted, strict=True):
        assert outcome(document) == outcome(read(piece)), f"mutant {number}: {piece.data!r}"


def check_all(numbers: range, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in numbers:
        check(number, monkeypatch)


@pytest.mark.parametrize("part", range(4))
def test_mutated_records(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole file or single records, with or without the shortcut for regular parts: the documents are the same."""
    start = FIRST + part * PER_TEST
    check_all(range(start, start + PER_TEST), monkeypatch)


def test_a_wrong_shortcut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails if the shortcut reads another title."""
    right = parse._read_cut

    def wrong(data: bytes) -> object:
        draft = right(data)
        if draft is not None:
            draft.title += "!"
        return draft

    monkeypatch.setattr(parse, "_read_cut", wrong)
    with pytest.raises(AssertionError, match="read otherwise with the shortcut"):
        check_all(range(20), monkeypatch)
