"""Records that real files do not contain, or not in every form."""

from __future__ import annotations

from typing import NotRequired, get_origin, get_type_hints

import pytest

from penstock.adapters.pubmed.dates import first_day, last_day, medline_date, read_date
from penstock.adapters.pubmed.parse import identify_record, parse_record
from penstock.adapters.pubmed.schema import PubMedMetadata
from penstock.errors import DocumentError


def article(
    inside: str = "", citation: str = "", data: str = "", pmid: str = '<PMID Version="1">1</PMID>'
) -> bytes:
    return (
        f"<PubmedArticle><MedlineCitation>{pmid}<Article>{inside}</Article>{citation}</MedlineCitation>"
        f"<PubmedData>{data}</PubmedData></PubmedArticle>"
    ).encode()


def test_metadata_has_every_key_of_the_schema() -> None:
    """The metadata of an empty article has the required keys of `PubMedMetadata`, with empty values."""
    document = parse_record(article())
    hints = get_type_hints(PubMedMetadata, include_extras=True)
    assert set(document.metadata) == {
        key for key, hint in hints.items() if get_origin(hint) is not NotRequired
    }
    assert document.metadata["pmid"] == "1"
    empty = {"", True}
    kept = {"pmid", "kind"}
    assert all(not value or value in empty for key, value in document.metadata.items() if key not in kept)


def test_nothing_inside_a_text_is_cut() -> None:
    """Text inside markup, MathML and CDATA is kept; comments do not split it; its ends are stripped."""
    title = (
        " a<i>b<sup>c</sup></i>d<!-- x -->e<?pi x?>f<![CDATA[<g>&amp;]]>&#104;&lt;"
        "<mml:math xmlns:mml='http://www.w3.org/1998/Math/MathML'><mml:mi>i</mml:mi> <mml:mn>j</mml:mn>"
        "</mml:math>\n"
    )
    assert parse_record(article(f"<ArticleTitle>{title}</ArticleTitle>")).title == "abcdef<g>&amp;h<i j"


def test_structured_abstracts_keep_their_labels() -> None:
    """Sections are separated by an empty line; a section without a label has no prefix."""
    document = parse_record(
        article(
            "<Abstract><AbstractText Label='AIM' NlmCategory='OBJECTIVE'>One.</AbstractText>"
            "<AbstractText>Two <b>2</b>.</AbstractText><AbstractText Label='END'/>"
            "<CopyrightInformation>(c)</CopyrightInformation></Abstract>"
        )
    )
    assert document.content == "AIM: One.\n\nTwo 2.\n\nEND: "
    assert document.metadata["abstract"][0] == {"label": "AIM", "nlm_category": "OBJECTIVE", "text": "One."}
    assert document.metadata["abstract_copyright"] == "(c)"


def test_rare_elements() -> None:
    """Gene symbols, objects, invalid identifiers, older affiliations and names, and notes are read."""
    document = parse_record(
        article(
            "<ELocationID EIdType='doi' ValidYN='N'>bad</ELocationID>"
            "<ELocationID EIdType='doi' ValidYN='Y'>good</ELocationID>"
            "<AuthorList CompleteYN='N'><Author ValidYN='N'><LastName>L</LastName><FirstName>F"
            "</FirstName><Affiliation>old</Affiliation></Author></AuthorList>",
            "<GeneSymbolList><GeneSymbol>abc1</GeneSymbol></GeneSymbolList><CommentsCorrectionsList>"
            "<CommentsCorrections RefType='ErratumIn'><RefSource>s</RefSource><Note>n</Note>"
            "</CommentsCorrections></CommentsCorrectionsList>",
            "<ObjectList><Object Type='grant'><Param Name='id'>7</Param></Object></ObjectList>"
            "<ReferenceList><Title>A</Title><ReferenceList><Title>B</Title><Reference><Citation>c</Citation>"
            "</Reference></ReferenceList></ReferenceList>",
        )
    )
    metadata = document.metadata
    assert metadata["doi"] == "good"
    assert metadata["elocation_ids"][0] == {"type": "doi", "value": "bad", "valid": False}
    assert metadata["authors_complete"] is False
    [author] = metadata["authors"]
    assert (author["last_name"], author["fore_name"], author["valid"]) == ("L", "F", False)
    assert author["affiliations"] == [{"name": "old", "identifiers": []}]
    assert metadata["gene_symbols"] == ["abc1"]
    assert metadata["comments_corrections"] == [
        {"type": "ErratumIn", "source": "s", "pmid": "", "pmid_version": "", "note": "n"}
    ]
    assert metadata["objects"] == [{"type": "grant", "parameters": [{"type": "id", "value": "7"}]}]
    assert metadata["references"] == [{"citation": "c", "section": "A / B", "ids": []}]


def test_elements_of_a_newer_dtd_are_kept() -> None:
    """Unknown elements are kept as text, by path."""
    document = parse_record(article("<New>1</New>", "<New>2 <b>3</b></New>", "<Newer/>"))
    assert document.metadata["extra"] == {
        "MedlineCitation/Article/New": ["1"],
        "MedlineCitation/New": ["2 3"],
        "PubmedData/Newer": [""],
    }


def test_versions() -> None:
    """The version is part of the id; a PMID without a version has version 1."""
    second = article(pmid='<PMID Version="2">7</PMID>')
    assert parse_record(second).doc_id == identify_record(second) == "PMID:7.2"
    assert parse_record(second).version == "2"
    assert parse_record(second).record_id == "PMID:7"
    old = article(pmid="<PMID>7</PMID>")
    assert parse_record(old).doc_id == identify_record(old) == "PMID:7.1"


def record(content: str, kind: str = "PubmedArticle", citation: str = "MedlineCitation") -> str:
    return f"<{kind}>{content}</{citation}></{kind}>"


@pytest.mark.parametrize(
    "data",
    [
        "<PubmedArticle a='>'>" + record("<MedlineCitation b='>'><PMID Version='3'>8</PMID>")[15:],
        record("<!-- <PMID>1</PMID> --><MedlineCitation>\n<PMID  Version = '3' > 8 </PMID >"),
        record("<MedlineCitation><PMID Version='3'><![CDATA[8]]></PMID>"),
        record(
            "<PubmedData><PMID>1</PMID></PubmedData><MedlineCitation><Article/><PMID Version='3'>8</PMID>"
        ),
        record("<BookDocument><PMID Version='3'>8</PMID>", "PubmedBookArticle", "BookDocument"),
        "<BookDocument><PMID Version='3'>8</PMID></BookDocument>",
        "<PMID Version='3'>8</PMID>",
        "<PMID Version=' 03 '> 0008\n</PMID>",
        record("<MedlineCitation><PMID Version='003'>8</PMID>"),
        record("<MedlineCitation><PMID Version='3'>0008</PMID>"),
        record("<MedlineCitation><PMID Version='3 '><i>8</i></PMID>"),
        record("<MedlineCitation><PMID Version='3'>8</PMID><PMID>9</PMID>"),
    ],
)
def test_identify_agrees_with_parse(data: str) -> None:
    """Both find the same id in unusual records, and never the PMID of another record."""
    assert identify_record(data.encode()) == parse_record(data.encode()).doc_id == "PMID:8.3"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "record k is not a PubMed record: it begins with b''"),
        (b"<?xml version='1.0'?><PubmedArticle/>", 'is not a PubMed record: it begins with b"<?xml'),
        (b"<!DOCTYPE a [<!ENTITY e 'x'>]><PubmedArticle>&e;</PubmedArticle>", "is not a PubMed record"),
        (b"<PubmedArticles/>", "is <PubmedArticles>, which is not a PubMed record"),
        (b"<PubmedArticle>", "record k cannot be parsed as XML: "),
        (b"<PubmedArticle>&lol;</PubmedArticle>", "cannot be parsed as XML: Entity 'lol' not defined"),
        (b"<PubmedArticle>\xff</PubmedArticle>", "cannot be parsed as XML"),
        (b"<PubmedArticle><x:y/></PubmedArticle>", "cannot be parsed as XML: Namespace prefix x"),
        (b"<PubmedArticle/><PubmedArticle/>", "cannot be parsed as XML: Extra content"),
        (b"<PubmedArticle/>", "record k has no PMID, so it cannot be identified"),
        (
            record("<MedlineCitation><Article><PMID>1</PMID></Article>").encode(),
            "no PMID",
        ),
        (b"<PMID>0</PMID>", "the PMID of record k is not a number"),
        (b"<PMID>1/2</PMID>", "the PMID of record k is not a number"),
        (b"<PMID>\xd9\xa1</PMID>", "the PMID of record k is not a number"),
        (b"<PMID Version='1/2'>1</PMID>", "the version of record k is not a number"),
        (b"<PMID Version='0'>1</PMID>", "the version of record k is not a number"),
        (record("<MedlineCitation><PMID/><PMID>1</PMID>").encode(), "no PMID"),
        (b"<PMID>12 34</PMID>", "the PMID of record k is not a number of 1 to 18 digits: '12 34'"),
    ],
)
def test_bad_records(data: bytes, message: str) -> None:
    """Both functions refuse the record, and the error says what is wrong."""
    for look in (parse_record, identify_record):
        with pytest.raises(DocumentError) as caught:
            look(data, "k")
        assert message in str(caught.value)
        assert not caught.value.retryable


def test_a_record_that_nests_without_end() -> None:
    """Reference lists nested 20,000 deep are an error of the record."""
    deep = "<ReferenceList>" * 20_000 + "</ReferenceList>" * 20_000
    with pytest.raises(DocumentError, match="cannot be parsed as XML: Excessive depth"):
        parse_record(article(data=deep))


def test_the_raw_bytes_are_kept_on_request() -> None:
    """``raw`` has the bytes only with ``keep_raw``."""
    assert parse_record(article()).raw is None
    assert parse_record(article(), keep_raw=True).raw == article()


@pytest.mark.parametrize(
    ("text", "date", "end", "season"),
    [
        ("1979 Jul-Aug", "1979-07", "1979-08", ""),
        ("1998 Dec-1999 Jan", "1998-12", "1999-01", ""),
        ("1976-1977 Fall-Winter", "1976", "1977", "Fall-Winter"),
        ("1980 Jun 16-30", "1980-06-16", "1980-06-30", ""),
        ("1979 Jun 16-Jul 1", "1979-06-16", "1979-07-01", ""),
        ("1979-80", "1979", "1980", ""),
        ("Spring 1979", "1979", "", "Spring"),
        ("Jul-Aug 1979", "1979-07", "1979-08", ""),
        ("1979 1st Quarter", "1979", "", ""),
        ("2000 Nov 31-Dec 3", "2000-11", "2000-12-03", ""),
        ("1979 Dec-Jan", "1979-12", "", ""),
        ("1979 September/October", "1979-09", "1979-10", ""),
        ("Unknown", "", "", ""),
        ("", "", "", ""),
        ("99999999999999999999", "", "", ""),
    ],
)
def test_free_dates(text: str, date: str, end: str, season: str) -> None:
    """Free dates are normalised as far as possible; invalid parts are left out, and the text is kept."""
    assert medline_date(text)[:4] == (date, text, end, season)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"Year": "1979", "Month": "6", "Day": "1", "Hour": "0", "Minute": "1"},
            ("1979-06-01T00:01", "1979 6 1 0:1"),
        ),
        (
            {"Year": "1979", "Month": "6", "Day": "1", "Hour": "24", "Minute": "0"},
            ("1979-06-01", "1979 6 1 24:0"),
        ),
        ({"Year": "1979", "Month": "Jun"}, ("1979-06", "1979 Jun")),
        ({"Year": "1979", "Month": "Jan-Feb"}, ("1979-01", "1979 Jan-Feb", "1979-02")),
        ({"Year": "1979", "Season": "Jan-Mar"}, ("1979-01", "1979 Jan-Mar", "1979-03")),
        ({"Year": "1979", "Month": "13", "Day": "1"}, ("1979", "1979 13 1")),
        ({"Year": "1979", "Month": "2", "Day": "30"}, ("1979-02", "1979 2 30")),
        ({"Year": "1979", "Day": "3"}, ("1979", "1979 3")),
        ({"Year": " 1979 ", "Month": "\n"}, ("1979", "1979")),
        ({"Year": "19x9"}, ("", "19x9")),
        ({}, ("", "")),
    ],
)
def test_dates_in_parts(parts: dict[str, str], expected: tuple[str, ...]) -> None:
    """Missing and invalid parts do not affect the others."""
    from xml.etree.ElementTree import Element, SubElement

    element = Element("PubDate")
    for tag, text in parts.items():
        SubElement(element, tag).text = text
    date = read_date(element)
    assert (date["date"], date["raw"], *([date["end"]] if "end" in date else [])) == expected


@pytest.mark.parametrize(
    ("text", "first", "last", "precision"),
    [
        ("1979", "1979-01-01", "1979-12-31", "year"),
        ("1979 Jul-Aug", "1979-07-01", "1979-08-31", "range"),
        ("1980 Feb", "1980-02-01", "1980-02-29", "month"),
        ("1980 Jun 16-30", "1980-06-16", "1980-06-30", "range"),
        ("Spring 1979", "1979-01-01", "1979-12-31", "season"),
        ("1979 Jun 1", "1979-06-01", "1979-06-01", "day"),
        ("1976-1977 Fall-Winter", "1976-01-01", "1977-12-31", "range"),
    ],
)
def test_days_and_precision(text: str, first: str, last: str, precision: str) -> None:
    """A date has a first and a last possible day, and says how precise it is."""
    from xml.etree.ElementTree import Element, SubElement

    element = Element("PubDate")
    SubElement(element, "MedlineDate").text = text
    date = read_date(element)
    assert date["precision"] == precision
    assert (first_day(date["date"]), last_day(date.get("end", date["date"]))) == (first, last)
