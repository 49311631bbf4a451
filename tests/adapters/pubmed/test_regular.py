"""The readers of regular parts return what the parser of the whole record returns."""

from __future__ import annotations

import pytest

from penstock.adapters.pubmed import parse
from penstock.adapters.pubmed.parse import parse_record
from penstock.adapters.pubmed.regular import regular_references
from penstock.errors import DocumentError

AUTHOR = '<Author ValidYN="Y"><LastName>{}</LastName></Author>'
TEXTS = [
    "Plain",
    " &lt;a&gt; &amp;amp; &quot;b&apos; ",
    "M&#xf6;nting&#8211;x&#x1F600;",
    "\u00e9 > <",
    "<i>in</i> vivo<sup>&lt;</sup>",
    "<i><b>nested</b></i>",
    "two\nlines",
    "&#13;",
]
"""Texts of one line that a regular expression reads, and texts that it leaves to the parser."""


def _record(text: str, attributes: str = 'CompleteYN="Y"') -> bytes:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><AuthorList {attributes}>"
        f'<Author ValidYN="N" EqualContrib="Y"><ForeName>{text}</ForeName><Identifier Source="ORCID">{text}'
        f'</Identifier><AffiliationInfo><Affiliation>{text}</Affiliation><Identifier Source="ROR">{text}'
        f"</Identifier></AffiliationInfo></Author>{AUTHOR.format(text)}</AuthorList></Article></MedlineCitation>"
        f'<PubmedData><ArticleIdList><ArticleId IdType="doi">{text}</ArticleId></ArticleIdList><ReferenceList>'
        f"<Title>{text}</Title><Reference><Citation>{text}</Citation></Reference></ReferenceList></PubmedData>"
        "</PubmedArticle>"
    ).encode()


@pytest.mark.parametrize("attributes", ['CompleteYN="Y"', 'CompleteYN="N" Type="authors"', 'Type="editors"'])
def test_regular_parts_have_the_values_of_the_parser(
    attributes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Authors, ids and references are the same with and without the shortcut, entities and markup included."""
    records = [_record(text.replace("> <", "&gt; &lt;"), attributes) for text in TEXTS]
    short = [parse_record(record) for record in records]
    monkeypatch.setattr(parse, "_read_cut", lambda _data: None)
    assert short == [parse_record(record) for record in records]


@pytest.mark.parametrize("entity", ["&#0;", "&#xD800;", "&#xFFFE;", "&#x110000;", "&#9999999;", "&none;"])
def test_an_entity_that_xml_does_not_allow_is_an_error(entity: str) -> None:
    """A reference to a character that XML forbids fails the record, in regular parts too."""
    with pytest.raises(DocumentError, match="cannot be parsed as XML"):
        parse_record(_record(entity))


def test_the_title_of_a_list_without_references_is_kept() -> None:
    """A ``Title`` that has no reference to stand at is kept in ``extra``."""
    empty = "<ReferenceList><Title>Lost</Title></ReferenceList>"
    assert regular_references(empty.encode()) is None
    citation = "<MedlineCitation><PMID>1</PMID></MedlineCitation>"
    for inner, path in ((empty, ""), (f"<ReferenceList>{empty}</ReferenceList>", "ReferenceList/")):
        record = f"<PubmedArticle>{citation}<PubmedData>{inner}</PubmedData></PubmedArticle>"
        extra = {f"PubmedData/{path}ReferenceList/Title": ["Lost"]}
        assert parse_record(record.encode()).metadata["extra"] == extra
