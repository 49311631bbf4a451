"""Reading a record with its parts cut out has the same result as reading it whole."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapters.pubmed.parse import parse_record
from penstock.adapters.pubmed.parts import cut_out
from penstock.adapters.pubmed.sample import sample_record
from penstock.document import Document
from penstock.errors import DocumentError

REGULAR = """\
<PubmedArticle>
  <MedlineCitation Status="MEDLINE"><PMID Version="1">1</PMID>
    <DateCompleted><Year>1977</Year><Month>04</Month><Day>28</Day></DateCompleted>
    <DateRevised><Year>2019</Year><Month>05</Month><Day>15</Day></DateRevised>
    <Article><Journal><JournalIssue><Volume>26</Volume><PubDate><Year>1977</Year><Month>Mar</Month></PubDate>
      </JournalIssue></Journal><ArticleTitle>T</ArticleTitle>
      <PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType></PublicationTypeList>
    </Article>
    <MedlineJournalInfo><Country>US</Country><MedlineTA>Diabetes</MedlineTA></MedlineJournalInfo>
    <MeshHeadingList>
      <MeshHeading><DescriptorName UI="D000818" MajorTopicYN="N">Animals</DescriptorName></MeshHeading>
      <MeshHeading>
        <DescriptorName UI="D005842" MajorTopicYN="Y" Type="Geographic">G</DescriptorName>
        <QualifierName UI="Q000302" MajorTopicYN="N">isolation &amp;amp; purification</QualifierName>
        <QualifierName UI="Q000378" MajorTopicYN="Y"> metabolism </QualifierName>
      </MeshHeading>
    </MeshHeadingList>
  </MedlineCitation>
  <PubmedData>
    <History><PubMedPubDate PubStatus="entrez"><Year>1977</Year><Hour>0</Hour></PubMedPubDate></History>
    <ArticleIdList><ArticleId IdType="doi">10.1/a&amp;amp;b</ArticleId><ArticleId IdType="pii"> ü </ArticleId>
    </ArticleIdList>
    <ReferenceList><Title>Works</Title>
      <Reference><Citation>First &amp;lt; é　</Citation></Reference>
      <Reference><Citation>Second</Citation>
        <ArticleIdList><ArticleId IdType="pubmed">2</ArticleId></ArticleIdList></Reference>
    </ReferenceList>
  </PubmedData>
</PubmedArticle>"""
TAGS = (
    *("DateCompleted", "DateRevised", "PubDate", "PublicationTypeList"),
    *("MedlineJournalInfo", "MeshHeadingList", "History", "ArticleIdList", "ReferenceList"),
)


def read(data: str, *, whole: bool) -> Document | None:
    """Parse a record; with ``whole``, nothing is cut out, because its root declares a prefix."""
    try:
        return parse_record(data.encode(), namespaces={"unused": "urn:unused"} if whole else None)
    except DocumentError:
        return None


def check(data: str) -> None:
    """Compare both ways."""
    assert read(data, whole=False) == read(data, whole=True)


def test_every_part_of_a_regular_record_is_cut_out() -> None:
    """The regular parts do not reach lxml, and their values are the same."""
    rest, parts = cut_out(REGULAR.encode())
    assert list(parts) == [f"_{tag}" for tag in TAGS]
    assert not any(f"<{tag}>".encode() in rest for tag in TAGS)
    assert [heading["qualifiers"] for heading in parts["_MeshHeadingList"]] == [
        [],
        [
            {"name": "isolation &amp; purification", "ui": "Q000302", "major": False},
            {"name": "metabolism", "ui": "Q000378", "major": True},
        ],
    ]
    check(REGULAR)


def test_changing_a_document_does_not_change_later_ones() -> None:
    """A later document with the same parts has the original values."""
    expected = parse_record(REGULAR.encode()).model_dump()
    metadata = parse_record(REGULAR.encode()).metadata
    metadata["history"][0]["type"] = metadata["date_revised"]["date"] = "changed"
    metadata["publication_types"][0]["name"] = metadata["journal"]["country"] = "changed"
    metadata["publication_date"].clear()
    metadata["mesh"].clear()
    assert parse_record(REGULAR.encode()).model_dump() == expected


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<{0}>", '<{0} a="b">'),
        ("<{0}>", "<{0}/><{0}>"),
        ("<{0}>", "<_{0}/><{0}>"),
        ("<{0}>", "<Unknown><{0}>"),
        ("<{0}>", "<{0}>&undeclared;"),
        ("<{0}>", "<{0}>\x01"),
        ("<{0}>", "<{0}>text<!-- </{0}> -->"),
        ("<{0}>", "<![CDATA[<{0}>"),
        ("<{0}>", "<{0}><{0}>"),
        ("</{0}>", "</{0}><{0}/>"),
        ("</{0}>", "</{0}><_{0}/>"),
        ("</{0}>", "</{0}><{0}></{0}>"),
        ("</{0}>", "<?pi </{0}> ?></{0}>"),
        ("</{0}>", "</{0}></Unknown>"),
        ("</{0}>", "</{0} >"),
        ("</{0}>", ""),
    ],
)
def test_irregular_parts(tag: str, old: str, new: str) -> None:
    """Attributes, repetitions, empty elements, comments, faults and names of placeholders are read as before."""
    check(REGULAR.replace(old.format(tag), new.format(tag)))


@pytest.mark.parametrize("tag", TAGS)
def test_parts_in_other_places(tag: str) -> None:
    """A part in an unknown element, in an attribute, or in an unexpected place is read as before."""
    part = REGULAR[REGULAR.index(f"<{tag}>") : REGULAR.index(f"</{tag}>")] + f"</{tag}>"
    for place in ("<Article>", "</Article>", "<PubmedData>", "<ArticleTitle>", "<PubmedArticle>"):
        check(REGULAR.replace(place, place + part))
        check(REGULAR.replace(place, f"{place}<Unknown>{part}</Unknown>"))
        check(REGULAR.replace(part, "").replace(place, f"{place}<Unknown>{part}</Unknown>"))
        check(REGULAR.replace(part, "").replace(place, place + part))
        check(REGULAR.replace(part, "").replace(place, f'{place}<Unknown a="{part}"/>'.replace('""', '"')))


@pytest.mark.parametrize(
    "text",
    ["", " ", "a]]>b", "&#65;", "&lt;", "\u00e9", "a\nb", "a<b>c</b>", "\x0b", "~`@", "\ufffe", "\u2028\x85"],
)
def test_texts_of_headings(text: str) -> None:
    """Headings whose text is not plain are read by the parser."""
    check(REGULAR.replace("Animals", text))
    check(REGULAR.replace("D000818", text))
    check(REGULAR.replace("<MeshHeading>", f"<MeshHeading>{text}"))
    check(REGULAR.replace("Second", text))
    check(REGULAR.replace("Works", text))
    check(REGULAR.replace("doi", text))
    check(REGULAR.replace("<Reference>", f"<Reference>{text}"))


@given(st.integers(0, 300), st.data())
def test_damaged_records(number: int, data: st.DataObject) -> None:
    """With tags removed, doubled or moved, both ways have the same result."""
    record = data.draw(st.sampled_from([REGULAR, sample_record(number)]))
    tokens = re.findall(r"<[^>]*>|[^<]+", record)
    for _ in range(data.draw(st.integers(1, 4))):
        at, to = (data.draw(st.integers(0, len(tokens) - 1)) for _ in range(2))
        change = data.draw(st.sampled_from(["delete", "double", "move", "slice"]))
        if change == "delete":
            tokens[at] = ""
        elif change == "double":
            tokens.insert(to, tokens[at])
        elif change == "move":
            tokens.insert(to, tokens.pop(at))
        else:
            begin, end = sorted((at, to))
            tokens = [*tokens[:end], *tokens[begin:]]
    check("".join(tokens))


@given(st.integers(0, 10_000))
def test_sample_records(number: int) -> None:
    """Both ways agree on all sample records."""
    check(sample_record(number))


def test_a_parsed_document_equals_a_validated_one() -> None:
    """It equals a `Document` that pydantic built from the same fields, and can be copied and pickled."""
    trusted = parse_record(REGULAR.encode(), keep_raw=True)
    fields = {name: getattr(trusted, name) for name in Document.model_fields}
    checked = Document(**fields)
    assert trusted == checked
    assert vars(trusted).keys() == vars(checked).keys()
    assert list(vars(trusted)) == list(vars(checked))
    assert trusted.model_fields_set == checked.model_fields_set
    assert trusted.model_dump_json() == checked.model_dump_json()
    assert repr(trusted) == repr(checked)
    assert pickle.loads(pickle.dumps(trusted)) == checked  # noqa: S301  our own
    changed = trusted.model_copy(update={"title": "new"})
    assert (changed.title, trusted.title) == ("new", "T")
