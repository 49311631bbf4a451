"""The speed from PubMed records to documents, and of the XML parsers for it.

    python benchmarks/pubmed_parse.py [FILE] [--rounds 9] [--records 2000]

FILE is a PubMed file: by default the baseline file of the corpus beside the checkout, or else a generated sample. Each
round asks two questions of all ways in turn, so a busy machine slows all of them alike. Medians are reported.

1. *Trees*: parse one record to a tree and touch every element (tag, text, an attribute), as a reader does. lxml builds
   the tree in half the time of ``xml.etree``. Touching every element takes back some of that, because lxml creates
   Python objects only for touched elements. Parsing ten records under one root gains nothing, and one fault would
   affect all ten. Expat's bare events cost about as much before anything is built from them.
2. *Documents*: the plain loop from file to documents (read, split, parse), compared with
   ``pubmed_parser.parse_medline_xml`` from PyPI: with its defaults, and with the flags for details (authors, references,
   MeSH subheadings, full dates). It still leaves out most of the content of a document.

Results for the baseline file on 2 shared cores, Python 3.11, lxml 6.1. On a quiet machine, per record: trees 41 µs
(touched 74) with lxml, 81 (98) with ``xml.etree``, 88 for expat's events; documents 125 to 150 µs, of which reading and
splitting 20, compared with 363 µs (defaults) and 499 µs (details) for pubmed_parser. On a busy machine everything took
two to six times as long, and the ratios were 1.7 to 2.5 (defaults) and 2.0 to 2.9 (details).
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
import time
import xml.etree.ElementTree as ET
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from lxml import etree

from penstock.adapters.pubmed.parse import parse_record
from penstock.adapters.pubmed.parts import PARSER
from penstock.adapters.pubmed.sample import write_sample
from penstock.adapters.pubmed.source import PUBMED_ROOTS
from penstock.adapters.xml_files.reader import ByteReader
from penstock.adapters.xml_files.splitter import RecordSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus/pubmed/pubmed20n0014.xml.gz"


def records_of(path: Path) -> Iterator[bytes]:
    """Read and split a file, as a plain loop around `parse_record` does."""
    splitter = RecordSplitter(PUBMED_ROOTS)
    with ByteReader(path) as reader:
        while data := reader.read():
            for piece in splitter.feed(data):
                yield piece.data
    splitter.close()


def walk(element: Any) -> None:
    """Touch every element, as a reader of all fields does."""
    for child in element:
        _ = child.tag, child.text, child.get("UI")
        walk(child)


def with_lxml(records: list[bytes]) -> None:
    for record in records:
        walk(etree.fromstring(record, PARSER))


def with_lxml_ten_at_once(records: list[bytes]) -> None:
    for at in range(0, len(records), 10):
        walk(etree.fromstring(b"<r>" + b"".join(records[at : at + 10]) + b"</r>", PARSER))


def with_elementtree(records: list[bytes]) -> None:
    for record in records:
        walk(ET.fromstring(record))  # noqa: S314 - records have no DTD


def with_expat(records: list[bytes]) -> None:
    for record in records:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        stack: list[Any] = []
        parser.StartElementHandler = lambda name, attributes, add=stack.append: add((name, attributes))
        parser.EndElementHandler = lambda name, add=stack.append: add(name)
        parser.CharacterDataHandler = stack.append
        parser.Parse(record, True)


def penstock_documents(path: Path) -> int:
    return sum(parse_record(record) is not None for record in records_of(path))


def only_split(path: Path) -> int:
    return sum(1 for _ in records_of(path))


def pubmed_parser(path: Path, **flags: bool) -> int:
    import pubmed_parser as other

    return sum(1 for _ in other.parse_medline_xml(str(path), **flags))


def pubmed_parser_in_detail(path: Path) -> int:
    return pubmed_parser(
        path,
        year_info_only=False,
        author_list=True,
        reference_list=True,
        parse_downto_mesh_subterms=True,
    )


def measure(
    ways: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Run every way once per round, in turn, and time each with ``clock``."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = clock()
            way()
            times[name].append(clock() - began)
    return times


def report(title: str, times: dict[str, list[float]], records: int, base: str) -> None:
    print(f"\n{title}")
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times[base], strict=True))
        median = statistics.median(seconds) / records * 1e6
        print(f"  {name:42} {median:7.1f} µs a record   {ratio:5.2f} x {base}")


def write_set(path: Path, records: list[bytes]) -> None:
    with gzip.open(path, "wb", 6) as file:
        file.write(b"<?xml version='1.0'?>\n<PubmedArticleSet>\n")
        file.writelines(record + b"\n" for record in records)
        file.write(b"</PubmedArticleSet>\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast PubMed records become documents.")
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--records", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or (CORPUS if CORPUS.exists() else Path(folder) / "sample.xml.gz")
        if not path.exists():
            write_sample(path, options.records)
        compare(path, Path(folder), options.rounds, options.records)


def compare(path: Path, folder: Path, rounds: int, count: int) -> None:
    # Spread over the file, because its records change from one end to the other.
    every = max(only_split(path) // count, 1)
    records = list(islice(records_of(path), 0, None, every))[:count]
    articles = [record for record in records if record.startswith(b"<PubmedArticle>")]
    file = folder / "part.xml.gz"
    write_set(file, articles)
    print(f"{len(articles)} records of {path.name}, {sum(map(len, articles)) / len(articles):.0f} bytes each")
    some = articles[:500]
    trees = {
        "lxml, one record at a time": lambda: with_lxml(some),
        "lxml, ten records under one root": lambda: with_lxml_ten_at_once(some),
        "xml.etree": lambda: with_elementtree(some),
        "expat with Python handlers": lambda: with_expat(some),
    }
    report("Trees, every element touched", measure(trees, rounds), len(some), "lxml, one record at a time")
    documents = {
        "penstock": lambda: penstock_documents(file),
        "  of which reading and splitting": lambda: only_split(file),
        "pubmed_parser, defaults": lambda: pubmed_parser(file),
        "pubmed_parser, in detail": lambda: pubmed_parser_in_detail(file),
    }
    report("Documents, from a file", measure(documents, rounds), len(articles), "penstock")


if __name__ == "__main__":
    main()
