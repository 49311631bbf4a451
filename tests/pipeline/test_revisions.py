"""Several records of one document in one run: the last content counts, also with concurrent documents."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from expression import Ok
from hypothesis import given
from hypothesis import strategies as st

from penstock import Document, IngestionPipeline, RawRecord, RetryPolicy
from penstock.abc import Page, Source
from penstock.adapters import Adapter
from penstock.document import content_hash
from penstock.ledger import MemoryLedger
from penstock.sinks import MemorySink
from penstock.testing import no_leaks
from penstock.testing import run as virtually

IDS = st.sampled_from(["x", "y", "z"])
REVISIONS = st.lists(st.tuples(IDS, st.sampled_from([0.0, 1.0, 5.0]), st.integers(0, 2)), max_size=9)
"""For each record: its document, the seconds that the step takes, and how often the step fails first."""


class Revisions(Source):
    """Records ``id:number``."""

    name: ClassVar[str] = "revisions"

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    async def fetch(self, position: Any) -> Any:
        at = position or 0
        while at < len(self.ids):
            end = min(at + 4, len(self.ids))
            records = [RawRecord(f"file#{i}", f"{self.ids[i]}:{i}".encode()) for i in range(at, end)]
            yield Page(records, end)
            at = end

    def identify(self, raw: RawRecord) -> str:
        return raw.data.decode().partition(":")[0]

    def parse(self, raw: RawRecord) -> Any:
        doc_id, _, number = raw.data.decode().partition(":")
        return Ok(
            Document(doc_id=doc_id, source=self.name, content=number, content_hash=content_hash(raw.data))
        )


@given(REVISIONS, st.integers(1, 4), st.none() | st.floats(0, 20))
def test_the_records_of_a_document_come_in_their_order(
    revisions: list[tuple[str, float, int]], concurrency: int, stopped: float | None
) -> None:
    """Also if steps take different times, fail, or the run is stopped and resumed."""

    async def main() -> list[Document]:
        failures = [times for _, _, times in revisions]

        async def step(document: Document) -> Document:
            number = int(document.content)
            await asyncio.sleep(revisions[number][1])
            if failures[number]:
                failures[number] -= 1
                raise ConnectionError("for now")
            return document

        ledger, sink = MemoryLedger(), MemorySink()

        def new() -> IngestionPipeline:
            return IngestionPipeline(
                Adapter(Revisions([doc_id for doc_id, _, _ in revisions])), ledger=ledger, process=[step],
                concurrency=concurrency, checkpoint_every=2, grace=4.0,
                retry=RetryPolicy(attempts=3, initial=2.0, jitter=False),
            )  # fmt: skip

        async with no_leaks():
            if stopped is not None:
                first = new()
                asyncio.get_running_loop().call_later(stopped, first.stop)
                await first.run(sink)
            summary = await new().run(sink)
        assert (summary.state, summary.session["failed"]) == ("completed", 0)
        return sink.documents

    documents = virtually(main())
    assert sorted(int(document.content) for document in documents) == list(range(len(revisions)))
    for name in "xyz":
        numbers = [int(document.content) for document in documents if document.doc_id == name]
        assert numbers == sorted(numbers)
