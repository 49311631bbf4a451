"""A failing run does not print, store or pass on a secret from its settings."""

from __future__ import annotations

import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from expression import Error, Ok, Result

from penstock import IngestionPipeline, RetryPolicy
from penstock.abc import Page, Source
from penstock.adapters import Adapter
from penstock.cli.failures import complain
from penstock.document import Document, RawRecord
from penstock.errors import DocumentError, GraphError, SourceError
from penstock.events import PipelineEvent, encode_all
from penstock.progress.view import PlainProgress
from penstock.sinks import sink_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "hunter2hunter2"  # noqa: S105  planted
URL = f"https://me:{SECRET}@example.org/api?api_key={SECRET}&page=1"
DSN = f"host=db user=me password={SECRET}"


class Leaky(Source):
    """A source that fails in every possible place, with the secret in each message."""

    name: ClassVar[str] = "leaky"

    @property
    def parameters(self) -> dict[str, Any]:
        return {"url": URL, "dsn": DSN, "api_key": SECRET, "headers": {"Authorization": f"Bearer {SECRET}"}}

    async def fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        yield Page([RawRecord(f"r#{n}", b"%d" % n, {"request": URL, "token": SECRET}) for n in range(4)], 4)
        raise SourceError(f"{URL} answered 403; Authorization: Bearer {SECRET}")

    def identify(self, raw: RawRecord) -> str:
        if raw.data == b"0":
            raise DocumentError(f"no id in what {URL} gave")
        return raw.data.decode()

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        if raw.data == b"1":
            return Error(DocumentError(f"cannot parse what {URL} gave"))
        if raw.data == b"2":
            raise ConnectionError(f"cannot connect with {DSN}")
        return Ok(Document(doc_id="3", source=self.name))


def leak(document: Document) -> Document:
    try:
        int(f"token={SECRET}")
    except ValueError as error:
        raise RuntimeError(f"step failed for {URL}") from error


def files_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_failing_run_does_not_reveal_the_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], concurrency: int
) -> None:
    """Events, progress, ledger, output, explanation and the CLI's error message do not contain it."""
    import sys

    seen: list[PipelineEvent] = []
    pipeline = IngestionPipeline(
        Adapter(Leaky()), ledger=tmp_path / "run.db", process=[leak], concurrency=concurrency,
        retry=RetryPolicy(attempts=1), hooks=[seen.extend, PlainProgress(sys.stderr, every=0.0)],
    )  # fmt: skip
    with pytest.raises(SourceError) as caught:
        await pipeline.run(tmp_path / "out.jsonl")
    complain(caught.value, debug=True)
    adapter = Adapter(Leaky())
    told = [
        pipeline.explain("out.jsonl"),
        adapter.explain(),
        adapter.graph().to_mermaid(),
        adapter.graph().to_svg(),
    ]
    shown = "".join([*told, *capfd.readouterr()])
    assert "answered 403" in shown
    assert len([event for event in seen if getattr(event, "error", None)]) == 4
    assert SECRET not in shown
    assert SECRET not in repr(seen)
    assert SECRET.encode() not in encode_all(seen)
    assert not any(SECRET.encode() in content for content in files_in(tmp_path))


def test_an_unknown_output_is_named_without_its_secret() -> None:
    """The address of a database is shown without user and password."""
    with pytest.raises(GraphError) as caught:
        sink_from(f"nosuch://me:{SECRET}@db/x")
    assert SECRET not in str(caught.value)
    with suppress(Exception):
        text = sink_from(f"postgresql://me:{SECRET}@db/x").describe()
        assert SECRET not in text
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))
