"""MEDLINE text: splitting, converting, and that nothing is lost."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapters.pubmed.medline import MedlineSplitter, begins_medline, medline_xml
from penstock.adapters.pubmed.parse import parse_record
from penstock.adapters.pubmed.source import PubMedSource
from penstock.document import content_hash
from penstock.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

RECORD = """\
PMID- 900000001
OWN - NLM
STAT- MEDLINE
DCOM- 20200131
LR  - 20210203
IS  - 1234-5678 (Electronic)
IS  - 1234-0000 (Linking)
VI  - 12
IP  - 3
DP  - 2019 Jul-Aug
TI  - A made-up title that is long enough to be
      continued on a second line.
PG  - 101-9
LID - 10.1000/made.up.1 [doi]
AB  - BACKGROUND: Water & <i>gates</i>. RESULTS:
      It flows - mostly.
CI  - Copyright 2019 Nobody.
FAU - Example, Ada B
AU  - Example AB
AUID- ORCID: 0000-0000-0000-0001
AD  - Institute of Examples, Nowhere.
AD  - Second Institute.
FAU - Müller, Jörg
AU  - Müller J
CN  - The Sample Group
LA  - eng
LA  - ger
GR  - R01 X/000001/ZZ/NLM NIH HHS/United States
GR  - no slashes
PT  - Journal Article
DEP - 20190701
PL  - England
TA  - J Made Up
JT  - Journal of made-up things
JID - 0000001
RN  - 0 (Water (heavy))
SB  - IM
MH  - *Rivers/chemistry/*history
MH  - Humans
OTO - NOTNLM
OT  - *penstock
CIN - J Made Up. 2020;1:2. PMID: 900000002
EDAT- 2019/07/02 06:00
PHST- 2019/01/05 00:00 [received]
AID - 10.1000/made.up.1 [doi]
PMC - PMC1
PST - ppublish
SO  - J Made Up. 2019 Jul;12(3):101-9.
ZZZ - of a tag that nobody knows
"""


def split(data: bytes, size: int = 10_000, limit: int = 10_000) -> list[tuple[bytes, str]]:
    splitter = MedlineSplitter(limit)
    pieces = [piece for at in range(0, len(data), size) for piece in splitter.feed(data[at : at + size])]
    pieces += splitter.close()
    assert [data[p.offset :].lstrip()[: len(p.data)] for p in pieces] == [p.data for p in pieces]
    return [(piece.data, piece.fault) for piece in pieces]


def test_a_record_of_many_fields() -> None:
    """Each field is where the XML of such a citation has it."""
    document = parse_record(medline_xml(RECORD.encode()))
    found = document.metadata
    assert document.doc_id == "PMID:900000001.1"
    assert document.title == "A made-up title that is long enough to be continued on a second line."
    assert document.content == "BACKGROUND: Water & <i>gates</i>. RESULTS: It flows - mostly."
    assert (found["status"], found["owner"], found["publication_status"]) == ("MEDLINE", "NLM", "ppublish")
    assert (found["doi"], found["pmc"], found["pages"]) == ("10.1000/made.up.1", "PMC1", "101-9")
    assert found["journal"]["title"] == "Journal of made-up things"
    assert found["journal"]["medline_abbreviation"] == "J Made Up"
    assert (found["journal"]["issn"], found["journal"]["issn_linking"]) == ("1234-5678", "1234-0000")
    assert (found["journal"]["volume"], found["journal"]["issue"]) == ("12", "3")
    assert (found["publication_date"]["date"], found["publication_date"]["end"]) == ("2019-07", "2019-08")
    assert found["date_completed"]["date"] == "2020-01-31"
    assert [event["date"] for event in found["article_dates"]] == ["2019-07-01"]
    assert [(event["type"], event["date"]) for event in found["history"]] == [
        ("pubmed", "2019-07-02T06:00"),
        ("received", "2019-01-05T00:00"),
    ]
    first, second, group = found["authors"]
    assert (first["last_name"], first["fore_name"], first["initials"]) == ("Example", "Ada B", "AB")
    assert [one["name"] for one in first["affiliations"]] == [
        "Institute of Examples, Nowhere.",
        "Second Institute.",
    ]
    assert first["identifiers"] == [{"type": "ORCID", "value": "0000-0000-0000-0001"}]
    assert (second["last_name"], group["collective_name"]) == ("Müller", "The Sample Group")
    assert found["languages"] == ["eng", "ger"]
    grant = {"id": "R01 X/000001", "acronym": "ZZ", "agency": "NLM NIH HHS", "country": "United States"}
    assert found["grants"] == [grant]
    assert [term["name"] for term in found["chemicals"]] == ["Water (heavy)"]
    assert [(term["name"], term["major"]) for term in found["mesh"]] == [("Rivers", True), ("Humans", False)]
    qualifiers = [(term["name"], term["major"]) for term in found["mesh"][0]["qualifiers"]]
    assert qualifiers == [("chemistry", False), ("history", True)]
    assert found["keywords"] == [{"text": "penstock", "major": True, "owner": "NOTNLM"}]
    assert [(c["type"], c["pmid"]) for c in found["comments_corrections"]] == [("CommentIn", "900000002")]
    assert found["extra"] == {
        "MedlineCitation/GR": ["no slashes"],
        "MedlineCitation/SO": ["J Made Up. 2019 Jul;12(3):101-9."],
        "MedlineCitation/ZZZ": ["of a tag that nobody knows"],
    }


TAGS = sorted({line[:4].strip() for line in RECORD.splitlines()} - {"", "PMID"})
TAGS += [
    "QQQ",
    "Z1",
    "IR",
    "FIR",
    "ED",
    "FED",
    "SI",
    "GS",
    "OAB",
    "MID",
    "GN",
    "SFM",
    "COIS",
    "RF",
    "PUBM",
    "MHDA",
]
SHAPES = [
    "{}",
    "{} [doi]",
    "{}/b/c",
    "Na, {}",
    "{} X",
    "* {}",
    "20190102 {}",
    "0 ({})",
    "K: {}",
    "{} PMID: 7",
    "",
]
FIELDS = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(SHAPES)), max_size=30)


@given(FIELDS)
def test_no_value_is_lost(fields: list[tuple[str, str]]) -> None:
    """Whatever the fields and the form of their values: each value is in the document."""
    words = [f"word{number}é" for number in range(len(fields))]
    lines = [f"{tag:<4}- {shape.format(w)}" for (tag, shape), w in zip(fields, words, strict=True)]
    document = parse_record(medline_xml("\n".join(["PMID- 1", *lines]).encode()))
    text = json.dumps([document.title, document.content, document.metadata], ensure_ascii=False)
    wanted = [word for word, (tag, shape) in zip(words, fields, strict=True) if shape and tag != "OTO"]
    assert [word for word in wanted if word not in text] == []


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(1, 60), st.booleans())
def test_splitting_does_not_depend_on_chunks(counts: list[int], size: int, carriage: bool) -> None:
    """A record begins at its PMID, or at a field behind an empty line; chunks and line ends change nothing."""
    records = [
        f"PMID- {i}\nAB  - a\n      PMID- not one\n\n      b\n" * (n > 1) + "TI  - t\n" * n
        for i, n in enumerate(counts)
    ]
    text = "\n" + "\n \n".join(records)
    text = text.replace("\n", "\r\n") if carriage else text
    found = split(text.encode(), size)
    assert [data.decode().replace("\r\n", "\n") for data, _ in found] == [
        record.strip() for record in records
    ]
    assert not any(fault for _, fault in found)


def test_a_record_that_is_too_large() -> None:
    """A record above the limit is one bad record, and only its beginning is kept; the next one is read."""
    large = "PMID- 1\n" + "AB  - text\n" * 1000
    for size in (100, 20_000):
        (head, fault), (data, none) = split((large + "\nPMID- 2\n").encode(), size, limit=500)
        assert (len(head), data, none) == (500, b"PMID- 2", "")
        assert fault.startswith("it has 11007 bytes, more than the 500")


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"", None),
        (b"\n PM", None),
        (b"PMID- 1", True),
        (b"TI  - a", True),
        (b"<", False),
        (b"a text", False),
    ],
)
def test_the_format_is_seen_by_its_content(head: bytes, answer: bool | None) -> None:
    """The first bytes tell MEDLINE from XML."""
    assert begins_medline(head) is answer


async def test_reading_files_of_text(tmp_path: Path) -> None:
    """Files of MEDLINE text are read under any name, also gzipped; a bad record is a failure of its own."""
    (tmp_path / "a.nbib").write_text("\ufeff" + RECORD + "\nTI  - without an id\n\nPMID- 5\n", "utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"\n\nPMID- 6\nTI  - \xff\n"))
    (tmp_path / "c.txt").write_text("only a letter to a friend")
    source = PubMedSource(tmp_path / "*")
    found = [raw async for page in PubMedSource(tmp_path / "[ab]*").fetch(None) for raw in page.items]
    with pytest.raises(SourceError, match=r"c\.txt is not XML"):
        await anext(PubMedSource(tmp_path / "c*").fetch(None))
    assert [raw.key for raw in found] == ["a.nbib#0", "a.nbib#1", "a.nbib#2", "b.txt.gz#0"]
    outcomes = [source.parse(raw) for raw in found]
    assert [outcome.tag for outcome in outcomes] == ["ok", "error", "ok", "error"]
    assert outcomes[0].ok.content_hash == content_hash(found[0].data)
    assert source.identify(found[0]) == outcomes[0].ok.doc_id
    assert "record a.nbib#1 has no PMID" in str(outcomes[1].error)
    assert "record b.txt.gz#0 is not UTF-8" in str(outcomes[3].error)
