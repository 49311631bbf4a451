"""Writes sample PubMed files that have the form of a baseline file and invented content.

The same arguments produce the same records on every machine. Record number ``n`` of a seed does not depend
on the number of records. The PMIDs are higher than any real one, so that no sample can be mistaken for an
article.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from penstock.adapters.pubmed.sample_words import chance, name, paragraph, pick, sentence, title

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

FIRST_PMID = 900_000_001

_HEAD = """\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2019//EN" \
"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">
<PubmedArticleSet>
"""
_TAIL = "</PubmedArticleSet>\n"
_BATCH = 100  # records joined before they are written
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_sample(
    path: str | os.PathLike[str],
    records: int = 2000,
    seed: int = 0,
    *,
    deletions: int = 0,
    malformed: int = 0,
) -> None:
    """Write a PubMed file of invented records, gzipped if ``path`` ends in ``.gz``.

    Memory does not grow with ``records``.

    Args:
        path: The file to write; an existing file is replaced.
        records: The number of articles and book articles.
        seed: Another seed produces other records.
        deletions: The number of PMIDs in a ``DeleteCitation`` at the end, those of the first records.
        malformed: The number of records that are not well-formed, spread evenly among the others.

    Raises:
        ValueError: a number is negative.
    """
    if min(records, deletions, malformed) < 0:
        raise ValueError("records, deletions and malformed are counts: they cannot be negative")
    with _writing(Path(path)) as write:
        write(_HEAD)
        for start in range(0, records, _BATCH):
            numbers = range(start, min(start + _BATCH, records))
            write("".join(_with_malformed(number, records, seed, malformed) for number in numbers))
        if malformed and not records:
            write("".join(_malformed(number) for number in range(malformed)))
        if deletions:
            pmids = (f'<PMID Version="1">{FIRST_PMID + number}</PMID>\n' for number in range(deletions))
            write("".join(["<DeleteCitation>\n", *pmids, "</DeleteCitation>\n"]))
        write(_TAIL)


@contextmanager
def _writing(path: Path) -> Iterator[Callable[[str], object]]:
    with path.open("wb") as file:
        if path.suffix != ".gz":
            yield lambda text: file.write(text.encode())
            return
        # No name and no time in the header: the same records are the same bytes.
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            yield lambda text: packed.write(text.encode())


def _with_malformed(number: int, records: int, seed: int, malformed: int) -> str:
    """Return a record, after the malformed records that belong in front of it."""
    due = range(number * malformed // records, (number + 1) * malformed // records)
    return "".join([*(_malformed(bad) for bad in due), sample_record(number, seed)])


def _malformed(number: int) -> str:
    return (
        f'  <PubmedArticle>\n    <MedlineCitation Status="MEDLINE" Owner="NLM">\n'
        f'      <PMID Version="1">{FIRST_PMID - 1 - number}</PMID>\n      <Article PubModel="Print">\n'
        "        <ArticleTitle>Torn & never closed\n  </PubmedArticle>\n"
    )


def sample_record(number: int, seed: int = 0) -> str:
    """Return record ``number``: an article, or, for one number in a hundred, a book article."""
    dice = Random(f"{seed}:{number}")  # noqa: S311 - invented, not secret
    if number % 100 == 50:  # noqa: PLR2004 - one in a hundred
        return _book_article(dice, FIRST_PMID + number)
    return _article(dice, FIRST_PMID + number, number)


def _article(dice: Random, pmid: int, number: int) -> str:
    year = 1975 + int(dice.random() * 50)
    version = 2 if number % 97 == 13 else 1  # noqa: PLR2004 - rare, but certain
    more = f' VersionID="{version}" VersionDate="{year + 1}/06/01"' if version > 1 else ""
    status = pick(dice, "MEDLINE", "MEDLINE", "MEDLINE", "PubMed-not-MEDLINE", "Publisher")
    return f"""\
  <PubmedArticle>
    <MedlineCitation Status="{status}" Owner="NLM"{more}>
      <PMID Version="{version}">{pmid}</PMID>
      <DateCompleted>{_day(dice, year + 1)}</DateCompleted>
      <DateRevised>{_day(dice, year + 2)}</DateRevised>
{_inner_article(dice, pmid, year)}\
      <MedlineJournalInfo>
        <Country>{pick(dice, "Atlantis", "Lilliput", "Laputa")}</Country>
        <MedlineTA>J Imag Med</MedlineTA>
        <NlmUniqueID>{9900000 + int(dice.random() * 90)}</NlmUniqueID>
        <ISSNLinking>0000-00{int(dice.random() * 90) + 10}</ISSNLinking>
      </MedlineJournalInfo>
{_chemicals(dice)}\
      <CitationSubset>IM</CitationSubset>
{_comments(dice, pmid)}\
{_mesh(dice) if status == "MEDLINE" else ""}\
{_other_abstract(dice)}\
{_keywords(dice, pmid)}\
    </MedlineCitation>
{_pubmed_data(dice, pmid, year)}\
  </PubmedArticle>
"""


def _inner_article(dice: Random, pmid: int, year: int) -> str:
    foreign = chance(dice, 0.2)
    heading = f"[{title(dice)}]" if foreign else title(dice)
    vernacular = f"        <VernacularTitle>{title(dice)}</VernacularTitle>\n" if foreign else ""
    page = 1 + int(dice.random() * 900)
    electronic = ""
    if chance(dice, 0.3):
        electronic = f'        <ArticleDate DateType="Electronic">{_day(dice, year)}</ArticleDate>\n'
    return f"""\
      <Article PubModel="{"Print-Electronic" if electronic else "Print"}">
        <Journal>
          <ISSN IssnType="Print">0000-00{int(dice.random() * 90) + 10}</ISSN>
          <JournalIssue CitedMedium="Print">
            <Volume>{int(dice.random() * 90) + 1}</Volume>
            <Issue>{pick(dice, "1", "2", "3 Pt 1", "Suppl 1")}</Issue>
            <PubDate>{_publication_date(dice, year)}</PubDate>
          </JournalIssue>
          <Title>Journal of Imaginary Medicine</Title>
          <ISOAbbreviation>J Imag Med</ISOAbbreviation>
        </Journal>
        <ArticleTitle>{heading}</ArticleTitle>
        <Pagination>
          <MedlinePgn>{page}-{page % 10 + 3}</MedlinePgn>
        </Pagination>
        <ELocationID EIdType="doi" ValidYN="Y">10.5555/sample.{pmid}</ELocationID>
{_abstract(dice, year)}\
{_authors(dice)}\
        <Language>{pick(dice, "ger", "fre", "jpn", "spa") if foreign else "eng"}</Language>
{_grants(dice)}\
        <PublicationTypeList>
          <PublicationType UI="D016428">Journal Article</PublicationType>
        </PublicationTypeList>
{vernacular}{electronic}\
      </Article>
"""


def _day(dice: Random, year: int) -> str:
    month, day = 1 + int(dice.random() * 12), 1 + int(dice.random() * 28)
    return f"<Year>{year}</Year><Month>{month:02d}</Month><Day>{day:02d}</Day>"


def _publication_date(dice: Random, year: int) -> str:
    """Return a date in one of the forms that PubMed uses."""
    month = int(dice.random() * 11)
    form = int(dice.random() * 10)
    if form == 0:
        medline = pick(
            dice, f"{year} {_MONTHS[month]}-{_MONTHS[month + 1]}", f"{year}-{year + 1}", f"{year} Fall"
        )
        return f"<MedlineDate>{medline}</MedlineDate>"
    if form == 1:
        return f"<Year>{year}</Year><Season>{pick(dice, 'Spring', 'Winter')}</Season>"
    if form == 2:  # noqa: PLR2004 - the third form
        return f"<Year>{year}</Year>"
    day = f"<Day>{1 + int(dice.random() * 28):02d}</Day>" if chance(dice, 0.4) else ""
    return f"<Year>{year}</Year><Month>{_MONTHS[month]}</Month>{day}"


def _abstract(dice: Random, year: int) -> str:
    if chance(dice, 0.25):
        return ""
    if chance(dice, 0.3):
        text = "".join(
            f'          <AbstractText Label="{part}" NlmCategory="{part}">{paragraph(dice, 2)}'
            "</AbstractText>\n"
            for part in ("BACKGROUND", "METHODS", "RESULTS", "CONCLUSIONS")
        )
    else:
        text = f"          <AbstractText>{paragraph(dice, 4 + int(dice.random() * 6))}</AbstractText>\n"
    if chance(dice, 0.2):
        text += f"          <CopyrightInformation>© {year} Nobody.</CopyrightInformation>\n"
    return f"        <Abstract>\n{text}        </Abstract>\n"


def _authors(dice: Random) -> str:
    if chance(dice, 0.02):
        return ""
    people = [_author(dice) for _ in range(1 + int(dice.random() * 5))]
    if chance(dice, 0.05):
        group = f"The {name(dice)} Study Group"
        people.append(
            f'          <Author ValidYN="Y">\n            <CollectiveName>{group}</CollectiveName>\n'
            "          </Author>\n"
        )
    return f'        <AuthorList CompleteYN="Y">\n{"".join(people)}        </AuthorList>\n'


def _author(dice: Random) -> str:
    initials = pick(dice, "A", "BC", "D", "E F".replace(" ", ""))
    lines = [
        f"<LastName>{name(dice)}</LastName>",
        f"<ForeName>{' '.join(initials)}</ForeName>",
        f"<Initials>{initials}</Initials>",
    ]
    if chance(dice, 0.03):
        lines.append("<Suffix>Jr</Suffix>")
    if chance(dice, 0.1):
        lines.append('<Identifier Source="ORCID">0000-0000-0000-0000</Identifier>')
    if chance(dice, 0.3):
        place = f"Institute of {name(dice)} &amp; Sons, {name(dice)}."
        lines.append(f"<AffiliationInfo><Affiliation>{place}</Affiliation></AffiliationInfo>")
    equal = ' EqualContrib="Y"' if chance(dice, 0.02) else ""
    body = "".join(f"            {line}\n" for line in lines)
    return f'          <Author ValidYN="Y"{equal}>\n{body}          </Author>\n'


def _grants(dice: Random) -> str:
    if not chance(dice, 0.05):
        return ""
    grant = (
        f"<GrantID>XX {int(dice.random() * 9000) + 1000}</GrantID><Acronym>XX</Acronym>"
        "<Agency>The Purse</Agency><Country>Lilliput</Country>"
    )
    return f'        <GrantList CompleteYN="Y">\n          <Grant>{grant}</Grant>\n        </GrantList>\n'


def _chemicals(dice: Random) -> str:
    if chance(dice, 0.5):
        return ""
    chemicals = "".join(
        "        <Chemical>\n          <RegistryNumber>0</RegistryNumber>\n"
        f'          <NameOfSubstance UI="C9{int(dice.random() * 90000) + 10000}">{name(dice).lower()}ine'
        "</NameOfSubstance>\n        </Chemical>\n"
        for _ in range(1 + int(dice.random() * 3))
    )
    return f"      <ChemicalList>\n{chemicals}      </ChemicalList>\n"


def _comments(dice: Random, pmid: int) -> str:
    if not chance(dice, 0.02):
        return ""
    kind = pick(dice, "RetractionIn", "CommentIn", "ErratumIn")
    return (
        f'      <CommentsCorrectionsList>\n        <CommentsCorrections RefType="{kind}">\n'
        "          <RefSource>J Imag Med. 2001;1:1</RefSource>\n"
        f'          <PMID Version="1">{pmid + 7}</PMID>\n'
        "        </CommentsCorrections>\n      </CommentsCorrectionsList>\n"
    )


def _mesh(dice: Random) -> str:
    headings = "".join(_heading(dice) for _ in range(4 + int(dice.random() * 10)))
    return f"      <MeshHeadingList>\n{headings}      </MeshHeadingList>\n"


def _heading(dice: Random) -> str:
    topic = pick(dice, "Otters", "Snails", "Glow", "Thunder", "Lighthouses", "Clockwork", "Wool", "Tides")
    number = 990000 + int(dice.random() * 9000)
    major = f'MajorTopicYN="{pick(dice, "N", "Y")}"'
    lines = [f'<DescriptorName UI="D{number}" {major}>{topic}</DescriptorName>']
    for _ in range(int(dice.random() * 3)):
        aspect = pick(dice, "metabolism", "adverse effects", "history", "drug effects")
        lines.append(f'<QualifierName UI="Q{number}" MajorTopicYN="N">{aspect}</QualifierName>')
    body = "".join(f"          {line}\n" for line in lines)
    return f"        <MeshHeading>\n{body}        </MeshHeading>\n"


def _other_abstract(dice: Random) -> str:
    if not chance(dice, 0.02):
        return ""
    return (
        '      <OtherAbstract Type="Publisher" Language="ger">\n'
        f"        <AbstractText>{paragraph(dice, 3)}</AbstractText>\n      </OtherAbstract>\n"
    )


def _keywords(dice: Random, pmid: int) -> str:
    if not chance(dice, 0.3):
        return ""
    words = [f'        <Keyword MajorTopicYN="N">{name(dice)}</Keyword>\n' for _ in range(2 + pmid % 4)]
    return f'      <KeywordList Owner="NOTNLM">\n{"".join(words)}      </KeywordList>\n'


def _pubmed_data(dice: Random, pmid: int, year: int) -> str:
    history = "".join(
        f'        <PubMedPubDate PubStatus="{status}">{_day(dice, year)}<Hour>0</Hour>'
        f"<Minute>{minute}</Minute></PubMedPubDate>\n"
        for status, minute in (("pubmed", 0), ("medline", 1), ("entrez", 0))
    )
    references = ""
    if chance(dice, 0.2):
        references = "".join(
            f"        <Reference>\n          <Citation>{sentence(dice)}</Citation>\n"
            "          <ArticleIdList>\n"
            f'            <ArticleId IdType="pubmed">{pmid + 1 + back}</ArticleId>\n'
            "          </ArticleIdList>\n        </Reference>\n"
            for back in range(3 + int(dice.random() * 20))
        )
        references = f"      <ReferenceList>\n{references}      </ReferenceList>\n"
    return f"""\
    <PubmedData>
      <History>
{history}\
      </History>
      <PublicationStatus>ppublish</PublicationStatus>
      <ArticleIdList>
        <ArticleId IdType="pubmed">{pmid}</ArticleId>
        <ArticleId IdType="doi">10.5555/sample.{pmid}</ArticleId>
      </ArticleIdList>
{references}\
    </PubmedData>
"""


def _book_article(dice: Random, pmid: int) -> str:
    year = 1995 + int(dice.random() * 30)
    return f"""\
  <PubmedBookArticle>
    <BookDocument>
      <PMID Version="1">{pmid}</PMID>
      <ArticleIdList>
        <ArticleId IdType="bookaccession">NBK9{pmid % 100000}</ArticleId>
      </ArticleIdList>
      <Book>
        <Publisher>
          <PublisherName>{name(dice)} Press</PublisherName>
          <PublisherLocation>Laputa</PublisherLocation>
        </Publisher>
        <BookTitle book="sample">The Book of {name(dice)}<sup>®</sup></BookTitle>
        <PubDate><Year>{year}</Year></PubDate>
        <Medium>Internet</Medium>
      </Book>
      <ArticleTitle book="sample" part="one">{title(dice)}</ArticleTitle>
      <Language>eng</Language>
{_authors(dice)}\
      <PublicationType UI="D016454">Review</PublicationType>
{_abstract(dice, year)}\
      <Sections>
        <Section><SectionTitle book="sample" part="one" sec="s1">{title(dice)}</SectionTitle></Section>
      </Sections>
    </BookDocument>
    <PubmedBookData>
      <PublicationStatus>ppublish</PublicationStatus>
      <ArticleIdList>
        <ArticleId IdType="pubmed">{pmid}</ArticleId>
      </ArticleIdList>
    </PubmedBookData>
  </PubmedBookArticle>
"""
