"""What happens before a run begins: Ctrl-C while modules are imported, and inputs that are checked."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from penstock.adapters.pubmed.source import PubMedSource
from penstock.errors import SourceError

from .conftest import PATIENCE, article, articles, environment, pmid

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Penstock


SCRIPT = "import sys; from penstock_command import main; sys.exit(main())"
"""What an installer writes for the entry point."""


@pytest.mark.parametrize("module", ["penstock.errors", "cyclopts.exceptions", "penstock.adapters.registry"])
def test_an_interrupt_while_modules_are_imported(tmp_path: Path, module: str) -> None:
    """Ctrl-C right after the start, at the import of a module, is one line and exit code 130, no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", SCRIPT, "adapters"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.split("|")[-1].strip() == module:
            break
    else:
        pytest.fail(f"{module} is not imported")
    process.send_signal(signal.SIGINT)
    said = [line for line in process.stderr if not line.startswith("import time:")]
    assert process.wait(PATIENCE) in {0, 130}
    process.stderr.close()
    if process.returncode:
        assert len(said) == 1, said
        assert said[0].startswith("penstock: interrupted")
    else:  # too late, or Python met it in a callback of its own, and said that it ignored it
        assert not said or said[0].startswith("Exception ignored in"), said


def test_standard_input(penstock: Penstock) -> None:
    """``-`` is standard input, also behind other files; the receipt names it in its commands."""
    (penstock.folder / "a.xml").write_bytes(articles(article(pmid(1))))
    (penstock.folder / "b.xml").write_bytes(articles(article(pmid(2)), article(pmid(3))))
    done = penstock.shell("cat b.xml | penstock ingest pubmed a.xml - --to out.jsonl --no-progress")
    assert done.returncode == 0, done.stderr
    assert (penstock.folder / "out.jsonl").read_bytes().count(b"\n") == 3
    assert "--no-progress a.xml -\n" in done.stdout


async def test_a_source_is_checked_before_anything_is_made(penstock: Penstock) -> None:
    """A mistyped input leaves no output and no ledger, and ``Source.check`` is what sees it."""
    (penstock.folder / "a.xml").write_bytes(articles(article(pmid(1))))
    for name in ("b.xml", "b*.xml", "a.xml/"):
        with pytest.raises(SourceError):
            PubMedSource(penstock.folder / "a.xml", f"{penstock.folder}/{name}").check()
        done = penstock("ingest", "pubmed", "a.xml", name, "--to", "out.jsonl")
        assert done.returncode == 2
        assert [path.name for path in penstock.folder.iterdir()] == ["a.xml"]
    PubMedSource(penstock.folder / "a.xml", "-").check()
