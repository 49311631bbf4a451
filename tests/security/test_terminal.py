"""The content of a file cannot control the terminal."""

from __future__ import annotations

import io
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from expression import Error, Ok, Result

from penstock import IngestionPipeline, RetryPolicy
from penstock.abc import Page, Source
from penstock.adapters import Adapter, find_adapter
from penstock.cli.eventstream import for_terminal
from penstock.cli.failures import complain
from penstock.cli.job import Job
from penstock.cli.options import RunOptions
from penstock.cli.receipt import receipt
from penstock.cli.resources import Peak
from penstock.cli.status import show_status
from penstock.document import Document, RawRecord
from penstock.errors import DocumentError, SourceError
from penstock.events import encode_all
from penstock.progress.bar import LiveProgress
from penstock.progress.view import PlainProgress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from penstock.events import PipelineEvent

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\x00\r\x08\x7f"
"""Sets the window title, clears the screen, turns text red and right-to-left, and contains a NUL."""


class Evil(Source):
    """A source with control characters in every text."""

    name: ClassVar[str] = "evil"

    @property
    def parameters(self) -> dict[str, Any]:
        return {"path": EVIL}

    async def fetch(self, position: Any) -> AsyncIterator[Page[RawRecord]]:
        yield Page([RawRecord(f"{EVIL}#{n}", b"%d" % n) for n in range(3)], 3)
        raise SourceError(f"cannot read {EVIL}")

    def identify(self, raw: RawRecord) -> str:
        return f"{EVIL}{raw.data.decode()}"

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        if raw.data == b"0":
            return Error(DocumentError(f"bad {EVIL}"))
        if raw.data == b"1":
            raise ValueError(EVIL)
        return Ok(Document(doc_id=self.identify(raw), source=EVIL, title=EVIL, content=EVIL))


def orders(text: str) -> set[str]:
    """Return the control characters of ``text``, line ends excepted."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {char for char in text.replace("\n", "") if unicodedata.category(char) in kinds}


async def test_control_characters_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Progress, errors, tracebacks, status, explanation, pictures and events contain none."""
    seen: list[PipelineEvent] = []
    bar = io.StringIO()
    live = LiveProgress(bar, width=120)
    pipeline = IngestionPipeline(
        Adapter(Evil()), ledger=tmp_path / "run.db", key=f"k{EVIL[:-1]}", retry=RetryPolicy(attempts=1),
        hooks=[seen.extend, PlainProgress(sys.stderr, every=0.0), live],
    )  # fmt: skip
    try:
        await pipeline.run(tmp_path / "out.jsonl")
    except SourceError as error:
        complain(error, debug=True)
    show_status(tmp_path / "run.db", failures=5)
    graph = Adapter(Evil()).graph()
    told = [
        pipeline.explain("out.jsonl"),
        Adapter(Evil()).explain(),
        str(graph),
        graph.to_mermaid(),
        graph.to_svg(),
    ]
    told += [for_terminal(encode_all(seen)).decode(), bar.getvalue()]
    shown = "".join([*told, *capfd.readouterr()])
    assert "owned" in shown
    assert "Traceback" in shown
    assert orders(shown) == set()


def test_a_receipt_has_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths, and commands with paths, are cleaned too."""
    from penstock.pipeline import RunSummary

    odd = EVIL.replace("\x00", "\udcff")
    counts = dict.fromkeys(("started", "completed", "failed", "skipped", "deleted", "retried"), 1)
    summary = RunSummary(
        "p", odd, 1, odd, counts, counts, 2.0, 3, resumed=True, nothing_to_do=False, sink=odd, ledger=odd,
        reason=odd, warning=odd,
    )  # fmt: skip
    pubmed = find_adapter("pubmed")
    job = Job(pubmed, (odd,), pubmed.settings(), RunOptions(), Path(odd + ".jsonl"), Path(odd + ".db"))
    assert orders("\n".join(receipt(summary, job, Peak(84_000_000)))) == set()
