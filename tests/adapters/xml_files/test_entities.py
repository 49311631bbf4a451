"""Entities that a file declares are expanded as lxml expands them, within limits; those of other files never."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from penstock.adapters.pubmed.source import PubMedSource
from penstock.adapters.xml_files.entities import MAX_ADDED, entities_of, without_declarations
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.document import RawRecord

SUBSET = """
<!-- <!ENTITY none "a comment"> --> <?x <!ENTITY none "an instruction"> ?> <!ATTLIST PMID Version CDATA "]>">
<!ENTITY word 'plain é &#233;'> <!ENTITY word "declared before"> <!ENTITY i "<i>a&#38;amp;b</i>">
<!ENTITY deep "-&word;-&i;-"> <!ENTITY signs '&#38;#60;&amp;&gt;&#37;"]>'> <!ENTITY number "1&#50;"> <!ENTITY empty "">
<!ENTITY hidden "<![CDATA[&word;]]>&none_;"> <!ENTITY none_ ""> <!ENTITY amp "&#38;#38;"> <!ENTITY far SYSTEM "far.xml">
"""
TITLES = [
    "&word;", "&deep;&deep;", "<b>&i;</b>&signs;", "&empty;", "&hidden;", "a &lt;b&gt; &#233; &amp;word;",
    "<![CDATA[&word;]]> <!-- &none; --> &i;", "<?x &none;?>&amp;&word;", "no entity",
]  # fmt: skip


def article(number: object, title: str) -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{number}</PMID><Article><ArticleTitle>{title}</ArticleTitle>"
        "</Article></MedlineCitation></PubmedArticle>"
    )


def set_of(*records: str, subset: str | None = SUBSET) -> bytes:
    doctype = "" if subset is None else f"<!DOCTYPE PubmedArticleSet [{subset}]>"
    return f"{doctype}<PubmedArticleSet>{''.join(records)}</PubmedArticleSet>".encode()


async def read(path: Path, content: bytes) -> list[RawRecord]:
    path.write_bytes(content)  # noqa: ASYNC240
    return [record async for page in PubMedSource(path).fetch(None) for record in page.items]


def title_of(record: RawRecord) -> str:
    """Return the title of the document, or the error."""
    result = PubMedSource("-").parse(record)
    return result.ok.title if result.is_ok() else str(result.error)


async def test_what_lxml_makes_of_the_whole_file(tmp_path: Path) -> None:
    """Each title is the text that lxml finds in the whole file; only records that use an entity get declarations."""
    content = set_of(*(article(n + 1, title) for n, title in enumerate(TITLES)))
    whole = etree.fromstring(content, etree.XMLParser(no_network=True))
    wanted = [title.xpath("normalize-space()") for title in whole.iter("ArticleTitle")]
    records = await read(tmp_path / "a.xml", content)
    assert [" ".join(title_of(record).split()) for record in records] == wanted
    bare = [without_declarations(record.data)[1] for record in records]
    assert bare == re.findall(rb"<PubmedArticle>.*?</PubmedArticle>(?!\])", content)
    assert [record.data == data for record, data in zip(records, bare, strict=True)] == [
        not re.search(r"&(word|deep|i|signs|empty|hidden);", re.sub(r"<!.*?>|<\?.*?>", "", title))
        for title in TITLES
    ]


async def test_the_id_may_be_an_entity(tmp_path: Path) -> None:
    """The id of a record, and those of a list of deletions, may come from entities."""
    deletions = "<DeleteCitation><PMID>&number;</PMID><PMID>3</PMID></DeleteCitation>"
    records = await read(tmp_path / "a.xml", set_of(article("&number;", "t"), deletions))
    assert [PubMedSource("-").identify(record) for record in records] == [
        "PMID:12.1",
        "PMID:12.1",
        "PMID:3.1",
    ]


async def test_each_set_has_its_own_entities(tmp_path: Path) -> None:
    """With several sets in a file, and with bare records, the declarations before a record count."""
    sets = [set_of(article(n, "&a;"), subset=f"<!ENTITY a '{n}'>") for n in (1, 2)]
    bare = [f"<!DOCTYPE PubmedArticle [<!ENTITY a '{n}'>]>{article(n, '&a;')}".encode() for n in (4, 5)]
    records = await read(
        tmp_path / "a.xml", b"\n".join([*sets, set_of(article(3, "&a;"), subset=None), *bare])
    )
    found = [title_of(record) for record in records]
    assert found[:2] + found[3:] == ["1", "2", "4", "5"]
    assert "record a.xml#2 cannot be parsed as XML: Entity 'a' not defined" in found[2]


async def test_a_run_that_resumes_knows_the_declarations(tmp_path: Path) -> None:
    """From the position of each page on, the records are the same as in one pass."""
    path = tmp_path / "a.xml"
    path.write_bytes(set_of(*(article(n + 1, title) for n, title in enumerate(TITLES))))
    source = PubMedSource(path, page_size=2)
    pages = [page async for page in source.fetch(None)]
    for number, page in enumerate(pages, 1):
        again = [one async for later in source.fetch(page.position) for one in later.items]
        assert again == [one for later in pages[number:] for one in later.items]


async def test_another_declaration_is_another_record(tmp_path: Path) -> None:
    """A changed text changes the hash of the records that use it, also through another entity, and of no other."""
    first, second = [
        await read(
            tmp_path / "a.xml",
            set_of(
                *(article(1, title) for title in ("&a;", "&b;", "&c;", "none")),
                subset=f"<!ENTITY a '{text}'><!ENTITY b '&a;'><!ENTITY c 'c'>",
            ),
        )
        for text in ("old", "new")
    ]
    hashes = [
        [PubMedSource("-").parse(one).ok.content_hash for one in records] for records in (first, second)
    ]
    assert [a == b for a, b in zip(*hashes, strict=True)] == [False, False, True, True]


def declared(subset: str, record: str) -> str:
    """Return the error for a record, or what lxml reads in it."""
    try:
        data = entities_of(subset.encode()).declared(record.encode())
    except DocumentError as error:
        return str(error)
    return etree.fromstring(data, etree.XMLParser(no_network=True)).text or ""


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_how_much_entities_may_add(size: int) -> None:
    """Entities may add 4 KiB and 20 times the record, at most 512 KiB; one byte more is refused."""
    record = f"<r>&a;{'x' * (size - 10)}</r>"
    allowed = min(4096 + 20 * size, MAX_ADDED)
    assert len(record) == size
    assert len(declared(f"<!ENTITY a '{'a' * allowed}'>", record)) == allowed + size - 10
    assert declared(f"<!ENTITY a '{'a' * (allowed + 1)}'>", record) == (
        f"its entities would add {allowed + 1:,} bytes to its {size:,}, more than the {allowed:,} that a record of its size may get"
    )


def test_how_deep_entities_may_be() -> None:
    """Sixteen levels are read; one more, and an entity that contains itself, is refused, whichever came before."""
    refused = "its entities contain each other more than 16 deep, or themselves"
    chain = "<!ENTITY e1 'end'>" + "".join(f"<!ENTITY e{n} '&e{n - 1};'>" for n in range(2, 19))
    for order in (range(1, 19), range(18, 0, -1)):
        entities_of.cache_clear()
        for n in order:
            assert declared(chain, f"<r>&e{n};</r>") == ("end" if n <= 16 else refused)
    assert declared("<!ENTITY a '&b;&b;'><!ENTITY b '&a;&a;'>", "<r>&a;</r>") == refused


def test_entities_of_other_files() -> None:
    """They are refused by name, also within another entity. Declarations behind a foreign part do not count."""
    there = "its entity &far; is in another file, and other files are not read"
    for subset in (SUBSET, "<!ENTITY far SYSTEM 'x' NDATA y>"):
        assert declared(subset, "<r>&far;</r>") == there
    assert declared("<!ENTITY far PUBLIC 'p' 'x'><!ENTITY a '&far;'>", "<r>&a;</r>") == there
    subset = "<!ENTITY a '1'><!ENTITY % far SYSTEM 'x'>%far;<!ENTITY b '2'>"
    assert declared(subset, "<r>&a;</r>") == "1"
    with pytest.raises(etree.XMLSyntaxError, match="Entity 'b' not defined"):
        declared(subset, "<r>&b;</r>")


def test_parameter_entities_and_damage() -> None:
    """Parameter entities of the file itself are read. Behind damage, the error says what is damaged."""
    assert declared("<!ENTITY % p '<!ENTITY a \"1\">'>%p;", "<r>&a;</r>") == "1"
    subset = "<!ENTITY a '1'><!ENTITY b >"
    assert declared(subset, "<r>&a;</r>") == "1"
    assert declared(subset, "<r>&b;</r>") == (
        "it uses an entity, and the declarations of its file cannot be read: syntax error"
    )
