"""Nothing of a record is lost, whatever a newer DTD adds to it."""

from __future__ import annotations

from random import Random

import pytest
from lxml import etree

from penstock.adapters.pubmed.known import fits
from penstock.adapters.pubmed.parse import parse_record
from penstock.adapters.pubmed.parts import PARSER
from penstock.adapters.pubmed.sample import sample_record

from ...length import LONG  # noqa: TID252  tests are no installed package


class Newer:
    """Adds what no DTD has to a record; ``words`` are the texts that it added, each unique."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.root = etree.fromstring(sample_record(self.dice.choice([50, *range(40)]), seed).strip())
        self.words: list[str] = []

    def word(self) -> str:
        self.words.append(f"Lost{len(self.words)}x")
        return self.words[-1]

    def any(self):
        """Return an element outside of MathML and of the record's own PMID, which must stay a number."""
        own = next(self.root.iter("PMID"))
        return self.dice.choice([e for e in self.root.iter() if e.prefix is None and e is not own])

    def add_element(self) -> None:
        place = self.any()
        new = etree.Element(self.dice.choice(["New", "Title", "PMID", "Author", "i", "Year"]))
        new.text, new.tail = self.word(), self.dice.choice([None, "\n"])
        if self.dice.random() < 0.5:
            new.set("kind", self.word())
        if self.dice.random() < 0.5:
            etree.SubElement(new, "Inner", kind=self.word()).text = self.word()
            new.text = self.dice.choice(["\n", new.text])
        place.insert(self.dice.randint(min(1, len(place)), len(place)), new)

    def add_attribute(self) -> None:
        self.any().set(self.dice.choice(["new", "UI", "Type", "ValidYN", "CompleteYN", "Owner"]), self.word())

    def add_text(self) -> None:
        place = self.dice.choice([e for e in self.root.iter() if len(e) and e.prefix is None])
        child = self.dice.choice([e for e in place if e.prefix is None] or [place])
        if child is not self.root and self.dice.random() < 0.5:
            child.tail = f"{child.tail or ''}{self.word()}"
        else:
            place.text = f"{place.text or ''}{self.word()}"

    def repeat(self) -> None:
        place = self.any()
        if place is self.root:
            return
        copy = etree.fromstring(etree.tostring(place, with_tail=False))
        for element in copy.iter():
            if element.text and element.text.strip() and element.prefix is None:
                element.text = self.word()
        place.addnext(copy)

    def record(self) -> bytes:
        for _ in range(self.dice.randint(1, 4)):
            self.dice.choice([self.add_element, self.add_attribute, self.add_text, self.repeat])()
        return etree.tostring(self.root, encoding="utf-8")


@pytest.mark.parametrize("block", range(40 if LONG else 1))
def test_every_text_and_attribute_that_a_newer_dtd_adds_is_in_the_document(block):
    """Unknown elements, attributes, texts and repeated elements at any place are kept, next to all that is known."""
    for seed in range(block * 100, block * 100 + 100):
        newer = Newer(seed)
        data = newer.record()
        present = data.decode()  # a later change may have replaced an attribute that an earlier one set
        kept = parse_record(data).model_dump_json()
        lost = [word for word in newer.words if word in present and word not in kept]
        assert not lost, (seed, lost, [line for line in present.splitlines() if lost[0] in line])


@pytest.mark.parametrize("number", [*range(0, 100, 9), 50])
def test_a_usual_record_fits_and_has_nothing_extra(number):
    """Records of the form of the baseline fit the DTD of what is read; only links of book titles are extra."""
    data = sample_record(number).strip().encode()
    extra = parse_record(data).metadata["extra"]
    assert all(path.startswith("BookDocument/") for path in extra)
    assert fits(etree.fromstring(data, PARSER)) is not bool(extra)


def test_where_unknown_things_are_kept():
    """The keys are paths below the record; a structured element is split into its texts."""
    data = (
        '<PubmedArticle new="1"><MedlineCitation><PMID>1</PMID><Article>stray<Journal><New><A>x</A><B b="y"/></New>'
        "</Journal>text<Abstract><AbstractText>a<New c='d'>b</New></AbstractText></Abstract><Abstract>"
        "<AbstractText Label='L'>z</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
    )
    document = parse_record(data.encode())
    assert document.metadata["extra"] == {
        "@new": ["1"],
        "MedlineCitation/Article": ["stray", "text"],
        "MedlineCitation/Article/Journal/New/A": ["x"],
        "MedlineCitation/Article/Journal/New/B": [""],
        "MedlineCitation/Article/Journal/New/B@b": ["y"],
        "MedlineCitation/Article/Abstract/AbstractText": ["ab", "z"],
        "MedlineCitation/Article/Abstract/AbstractText/New@c": ["d"],
        "MedlineCitation/Article/Abstract/AbstractText@Label": ["L"],
    }
    assert document.content == "L: z"
