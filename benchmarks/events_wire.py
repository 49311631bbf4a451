"""The speed of creating and encoding events, compared with pydantic's TypeAdapter.

    python benchmarks/events_wire.py [--rounds 15]

Each round measures every way once, in turn, so a busy machine slows all of them alike. Medians are reported. Three
events are measured: a ``DocumentStarted``, a ``DocumentCompleted`` with a bare document, and one with the content of a
PubMed record (1.8 kB of abstract, 1.2 kB of metadata).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import TypeAdapter

from penstock.document import Document
from penstock.events import DocumentCompleted, DocumentStarted, PipelineEvent, decode, encode, type_adapter

if TYPE_CHECKING:
    from collections.abc import Callable

METADATA = {
    "pmid": "12345678",
    "journal": {"title": "Journal of Examples", "issn": "0000-0000", "volume": "12", "issue": None},
    "authors": [
        {"last": f"Author{i}", "fore": "A B", "affiliations": ["Institute of Examples"]} for i in range(6)
    ],
    "mesh": [{"id": f"D{i:06}", "name": "Humans", "major": False, "qualifiers": []} for i in range(10)],
    "year": 2020,
    "languages": ["eng"],
    "ids": {"doi": "10.1000/example", "pmc": None},
}
BARE = Document(doc_id="12345678.1", source="pubmed")
RICH = Document(
    doc_id="12345678.1",
    source="pubmed",
    title="A title as long as titles of articles often are",
    content="An abstract of two hundred words. " * 53,
    metadata=METADATA,
    content_hash="0" * 64,
)
EVENTS: dict[str, PipelineEvent] = {
    "started": DocumentStarted(1.7e9, "run", "12345678.1", "pubmed", {"files": ["pubmed24n0001.xml.gz"]}),
    "completed, bare": DocumentCompleted(1.7e9, "run", "12345678.1", "pubmed", BARE, 0.001),
    "completed, rich": DocumentCompleted(1.7e9, "run", "12345678.1", "pubmed", RICH, 0.001),
}
UNCHECKED = {cls: TypeAdapter(cls) for cls in (DocumentStarted, DocumentCompleted)}
"""Adapters of the bare dataclasses: no tag, no version; NaN becomes null and bytes become text silently."""


@dataclass(slots=True)
class Slotted:
    """A plain slotted dataclass with the same fields, to measure its creation."""

    timestamp: float
    pipeline_id: str
    doc_id: str
    adapter: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Frozen:
    """The same dataclass, frozen."""

    timestamp: float
    pipeline_id: str
    doc_id: str
    adapter: str
    parameters: dict[str, Any] = field(default_factory=dict)


def ways() -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {
        "create DocumentStarted": lambda: DocumentStarted(1.7e9, "run", "12345678.1", "pubmed", METADATA),
        "create, plain slotted dataclass": lambda: Slotted(1.7e9, "run", "12345678.1", "pubmed", METADATA),
        "create, frozen dataclass": lambda: Frozen(1.7e9, "run", "12345678.1", "pubmed", METADATA),
    }
    trusting = msgspec.json.Encoder(enc_hook=lambda d: {n: v for n, v in d.__dict__.items() if n != "raw"})
    for name, event in EVENTS.items():
        line = encode(event)
        bare = UNCHECKED[type(event)]
        untagged = json.dumps(dict(list(json.loads(line).items())[2:]))
        found |= {
            f"{name}: encode": lambda e=event: encode(e),
            f"{name}: msgspec alone, unchecked": lambda e=event: trusting.encode(e),
            f"{name}: our TypeAdapter, dump_json": lambda e=event: type_adapter().dump_json(e),
            f"{name}: bare TypeAdapter, unchecked": lambda e=event, a=bare: a.dump_json(e),
            f"{name}: decode": lambda x=line: decode(x),
            f"{name}: our TypeAdapter, validate_json": lambda x=line: type_adapter().validate_json(x),
            f"{name}: bare TypeAdapter, validate_json": lambda x=untagged, a=bare: a.validate_json(x),
        }
    return found


def once(call: Callable[[], object], repeat: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(repeat):
        call()
    return (time.perf_counter_ns() - start) / repeat


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeat", type=int, default=2_000)
    options = parser.parse_args()
    measured: dict[str, list[float]] = {name: [] for name in ways()}
    for _ in range(options.rounds):
        for name, call in ways().items():
            measured[name].append(once(call, options.repeat))
    for name, samples in measured.items():
        ns = statistics.median(samples)
        print(f"{name:48s} {ns:9,.0f} ns {1e9 / ns:12,.0f}/s")


if __name__ == "__main__":
    main()
