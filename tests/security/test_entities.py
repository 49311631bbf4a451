"""No entity is read from another file, and the cost of a bomb is bounded."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.events import DocumentFailed, PipelineEvent
from penstock.sinks import MemorySink

from .conftest import article, articles

if TYPE_CHECKING:
    from pathlib import Path


SECRET = "planted-in-another-file"  # noqa: S105  planted

BILLION = (
    b"<!DOCTYPE P [<!ENTITY a '"
    + b"a" * 10
    + b"'>"
    + b"".join(b"<!ENTITY %c '%s'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]>"
)
QUADRATIC = b"<!DOCTYPE P [<!ENTITY a '" + b"a" * 60_000 + b"'>]>"
PARAMETER = b"<!DOCTYPE P [<!ENTITY % a '<!ENTITY x \"xxxx\">'>%a;%a;]>"
PARAMETERS = (  # would repeat a declaration 10^9 times
    b"<!DOCTYPE P [<!ENTITY x 'x'><!ENTITY % p0 '<!ENTITY x \"y\">'>"
    + b"".join(b"<!ENTITY %% p%d '%s'>" % (n, b"&#37;p%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"%p9;]>"
)
EXTERNAL = b"<!DOCTYPE P [<!ENTITY x SYSTEM 'file://FOLDER/secret'>]>"
PARAMETER_EXTERNAL = b"<!DOCTYPE P [<!ENTITY % f SYSTEM 'file://FOLDER/secret'><!ENTITY % g SYSTEM 'file://FOLDER/evil.dtd'>%g;]>"
EXTERNAL_DTD = b"<!DOCTYPE P SYSTEM 'file://FOLDER/evil.dtd'>"

BOMBS = {
    "billion laughs": (BILLION, "&j;", "its entities would add 13,333,333,330 bytes"),
    "quadratic blowup": (QUADRATIC, "&a;" * 60_000, "its entities would add 3,600,000,000 bytes"),
    "a circle": (b"<!DOCTYPE P [<!ENTITY a '&b;&b;'><!ENTITY b '&a;&a;'>]>", "&a;", "or themselves"),
    "parameter entities": (PARAMETER, "&x;", ""),
    "many parameter entities": (PARAMETERS, "&x;", ""),
    "a local file": (EXTERNAL, "&x;", "its entity &x; is in another file"),
    "a local file by a parameter entity": (PARAMETER_EXTERNAL, "&x;", "Entity 'x' not defined"),
    "a DTD elsewhere": (EXTERNAL_DTD, "&x;", "Entity 'x' not defined"),
    "an inclusion": (
        b"",
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="FOLDER/secret" parse="text"/>',
        "",
    ),
}


@pytest.mark.parametrize("processes", [1, 2])
async def test_entities_are_harmless(tmp_path: Path, processes: int) -> None:
    """A record that would grow too much or uses another file fails alone; no other file is read; memory is bounded."""
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "evil.dtd").write_text(f"<!ENTITY x '{SECRET}'>")
    sets = [
        articles(article(2 * n, use), article(2 * n + 1), before=before).partition(b"?>")[2]
        for n, (before, use, _) in enumerate(BOMBS.values(), 1)
    ]
    path = tmp_path / "a.xml"
    path.write_bytes(b"\n".join(sets).replace(b"FOLDER", str(tmp_path).encode()))
    sink, seen = MemorySink(), list[PipelineEvent]()
    tracemalloc.start()
    try:
        async with asyncio.timeout(60):
            pipeline = IngestionPipeline(pubmed(path, processes=processes), hooks=[seen.extend])
            summary = await pipeline.run(sink)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20_000_000
    errors = {event.doc_id: event.error for event in seen if isinstance(event, DocumentFailed)}
    for n, (kind, (_, _, error)) in enumerate(BOMBS.items(), 1):
        found = errors.get(f"PMID:{2 * n}.1", "")
        assert error in found if error else not found, f"{kind}: {found}"
    assert summary.counts["completed"] + summary.counts["failed"] == 2 * len(BOMBS)
    assert summary.counts["failed"] == len(errors)
    titles = {d.doc_id: d.title for d in sink.documents}
    assert all(titles[f"PMID:{2 * n + 1}.1"] == "A title" for n in range(1, len(BOMBS) + 1))
    assert SECRET not in repr([titles, errors])
