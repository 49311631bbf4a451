"""Entities are not expanded, no other file is read, and the cost of a bomb is bounded."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.errors import SourceError
from penstock.events import PipelineEvent
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
EXTERNAL = b"<!DOCTYPE P [<!ENTITY x SYSTEM 'file://FOLDER/secret'>]>"
PARAMETER_EXTERNAL = b"<!DOCTYPE P [<!ENTITY % f SYSTEM 'file://FOLDER/secret'><!ENTITY % g SYSTEM 'file://FOLDER/evil.dtd'>%g;]>"
EXTERNAL_DTD = b"<!DOCTYPE P SYSTEM 'file://FOLDER/evil.dtd'>"

BOMBS = {
    "billion laughs": (BILLION, "&j;"),
    "quadratic blowup": (QUADRATIC, "&a;" * 60_000),
    "parameter entities": (PARAMETER, "&x;"),
    "a local file": (EXTERNAL, "&x;"),
    "a local file by a parameter entity": (PARAMETER_EXTERNAL, "&x;"),
    "a DTD elsewhere": (EXTERNAL_DTD, "&x;"),
    "an inclusion": (
        b"",
        '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="FOLDER/secret" parse="text"/>',
    ),
}


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("kind", BOMBS)
async def test_entities_are_harmless(tmp_path: Path, kind: str, processes: int) -> None:
    """A record with entities fails alone or stays short; the next one is delivered; no other file is read."""
    before, use = BOMBS[kind]
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "evil.dtd").write_text(f"<!ENTITY x '{SECRET}'>")
    folder = str(tmp_path)
    content = articles(article(1, use.replace("FOLDER", folder)), article(2), before=before)
    path = tmp_path / "a.xml"
    path.write_bytes(content.replace(b"FOLDER", folder.encode()))
    sink, seen = MemorySink(), list[PipelineEvent]()
    tracemalloc.start()
    try:
        async with asyncio.timeout(60):
            pipeline = IngestionPipeline(pubmed(path, processes=processes), hooks=[seen.extend])
            summary = await pipeline.run(sink)
    except SourceError as error:  # the file itself is refused
        assert kind == "parameter entities", error
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20_000_000
    assert summary.counts["completed"] + summary.counts["failed"] == 2
    assert [d.doc_id for d in sink.documents][-1] == "PMID:2.1"
    assert all(len(d.title or "") < 100_000 for d in sink.documents)
    assert SECRET not in repr(
        [[getattr(event, "error", ""), getattr(event, "document", "")] for event in seen]
    )
