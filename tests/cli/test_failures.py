"""Exceptions become sentences."""

from __future__ import annotations

import errno
import os

import pytest

from penstock.cli.failures import HINT, complain, explain_failure
from penstock.errors import DocumentError, LedgerBusy, MissingExtra, SourceError


@pytest.mark.parametrize(
    "error", [SourceError("a.xml is missing"), LedgerBusy("held by 17"), MissingExtra("X", "y")]
)
def test_errors_of_our_own_speak_for_themselves(error: Exception) -> None:
    """The message of an error of ours is the sentence, and the exit code is 2."""
    assert explain_failure(error) == (str(error), 2)


def test_a_document_that_ends_the_run_is_a_failed_document() -> None:
    """With --fail-fast the exit code is 1, not 2: the input could be used."""
    assert explain_failure(DocumentError("no PMID"))[1] == 1


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_the_system_names_the_file_and_what_to_do(number: int) -> None:
    """Every errno gives one line with the file, the reason, and that nothing is lost."""
    sentence, code = explain_failure(OSError(number, os.strerror(number), "out\x1b.jsonl"))
    assert code == 2
    assert sentence.startswith("out\\x1b.jsonl: ")
    assert "; " in sentence
    assert "nothing that was committed is lost" in sentence
    assert sentence.isprintable()


def test_a_full_disk_says_so() -> None:
    """ENOSPC tells to free some space."""
    assert (
        "no space left on device; free some space"
        in explain_failure(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))[0]
    )


def test_what_should_not_happen_asks_for_a_report() -> None:
    """An unexpected error is one sentence that mentions --debug."""
    sentence, code = explain_failure(KeyError("x"))
    assert code == 2
    assert "KeyError" in sentence
    assert "--debug" in sentence


def test_the_traceback_is_shown_on_demand_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --debug there is one sentence; with it the traceback comes first."""
    complain(SourceError("a.xml is missing"), debug=False)
    assert capsys.readouterr().err == "penstock: a.xml is missing\n"
    complain(SourceError("a.xml is missing"), debug=True)
    assert "SourceError: a.xml is missing\npenstock: a.xml" in capsys.readouterr().err


def test_a_hint_follows_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A note marked as a hint is always printed; other notes only with --debug."""
    error = SourceError("a.xml is truncated")
    error.add_note("in map at x.py:3")
    error.add_note(f"{HINT}to continue: penstock ingest")
    complain(error, debug=False)
    assert capsys.readouterr().err == "penstock: a.xml is truncated\npenstock: to continue: penstock ingest\n"
