"""What is printed after an error: never the refused command alone."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from penstock import errors
from penstock.cli.hints import hints_after
from penstock.cli.job import UsageProblem

from .conftest import Penstock, article, articles, pmid
from .test_job import called_penstock, job

__all__ = ["called_penstock"]

CALLS = {
    "CircuitOpen": (1, 2.0),
    "MissingExtra": ("X", "zstd"),
}
KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]


def all_errors() -> list[Exception]:
    """Return an error of every class that can end a command."""
    ours = [kind(*CALLS.get(kind.__name__, ("why",))) for kind in KINDS]
    passing = errors.SourceError("a.xml cannot be read")
    passing.__cause__ = OSError(5, "Input/output error")
    return [*ours, passing, OSError(28, "full"), MemoryError(), UsageProblem("x"), KeyError("x")]


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"refresh": True}, {"fail_fast": True}, {"limit": 3, "on_bad_file": "skip"}, {"demo": True}],
)
def test_no_hint_is_the_refused_command(options: dict[str, object], begun: bool) -> None:
    """For every class of errors a hint differs from the refused command, or says what must change first."""
    demo = "demo" in options
    refused = replace(job(), repeat=("demo",)) if demo else job(**options)
    for error in all_errors():
        hints = hints_after(error, refused, begun=begun)
        assert bool(hints) == begun or isinstance(error, errors.SourceChanged), error
        for hint in hints:
            words, _, command = hint.partition(": ")
            assert command.startswith("penstock "), hint
            assert command != refused.command() or words.startswith("when "), (error, hint)
            assert not (demo and "--refresh" in command), "the demo has no --refresh"


def test_going_on_after_a_failed_document(penstock: Penstock) -> None:
    """With --fail-fast, the hint leaves it out, and takes the documents behind the bad one."""
    records = [article(pmid(1)), article(""), article(pmid(3))]
    (penstock.folder / "a.xml").write_bytes(articles(*records))
    done = penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl", "--fail-fast")
    assert done.returncode == 1
    hint = done.stderr.splitlines()[-1].partition("the documents behind it: ")[2]
    assert "--fail-fast" not in hint
    assert penstock.shell(hint).returncode == 1  # the run has a failed document
    assert (penstock.folder / "out.jsonl").read_bytes().count(b"\n") == 2
