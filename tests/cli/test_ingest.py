"""``penstock ingest`` from start to receipt."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from penstock.events import AdapterStateChange, DocumentCompleted, DocumentFailed, decode

from .conftest import COMMAND, PATIENCE, RECORDS, article, articles, environment, pmid


def documents(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def commands_in(receipt: str) -> dict[str, str]:
    """Return the commands of a receipt, by their labels."""
    return dict(re.findall(r"^  ([a-z ]+): +(penstock .+)$", receipt, re.MULTILINE))


def test_all_completed(penstock, sample: Path, tmp_path: Path) -> None:
    """Exit code 0, a line for every record, the receipt on stdout, progress on stderr, no control characters."""
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert len(documents(tmp_path / "out.jsonl")) == RECORDS
    assert f"completed, {RECORDS:,} documents in" in done.stdout
    expected = [
        *(rf"completed +{RECORDS:,}", r"failed +0", r"skipped +0", r"deleted +0"),
        *(r"read +\d.* of records", r"memory +\d.* at the peak"),
        *(r"output +out\.jsonl \(\d", r"ledger +out\.jsonl\.ledger\.db"),
    ]
    for line in expected:
        assert re.search(rf"^  {line}", done.stdout, re.MULTILINE), line
    assert all(line.isprintable() for line in (done.stdout + done.stderr).splitlines())


def test_again_does_nothing_says_so_and_is_no_failure(penstock, sample: Path, tmp_path: Path) -> None:
    """After completion the same command does not change the output, says so, and ends with 0."""
    penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    before = (tmp_path / "out.jsonl").read_bytes()
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stdout
    assert (tmp_path / "out.jsonl").read_bytes() == before


def test_the_command_that_replays_does(penstock, sample: Path, tmp_path: Path, undisturbed: bytes) -> None:
    """The receipt's command to start over writes the same output again."""
    done = penstock("ingest", "pubmed", sample, "--to", "my out.jsonl", "--no-progress")
    replay = commands_in(done.stdout)["start over"]
    again = penstock.shell(replay)
    assert again.returncode == 0, again.stderr
    assert f"completed, {RECORDS:,} documents in" in again.stdout
    assert (tmp_path / "my out.jsonl").read_bytes() == undisturbed


def test_a_limit_stops_and_the_receipt_says_how_to_go_on(
    penstock, sample: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    """The run stops at the limit; the printed command without the limit completes the output."""
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--limit", "7")
    assert done.returncode == 0, done.stderr
    assert len(documents(tmp_path / "out.jsonl")) == 7
    assert "stopped at the limit, 7 documents" in done.stdout
    same = penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--limit", "7")
    assert (same.returncode, "reached the limit of 7" in same.stdout) == (0, True)
    again = penstock.shell(commands_in(done.stdout)["continue"])
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_more_files_later_are_taken_alone(penstock, sample: Path, tmp_path: Path, undisturbed: bytes) -> None:
    """After completion the same command with one more file reads only that file."""
    (tmp_path / "more.xml").write_bytes(articles(article(pmid(1)), article(pmid(2))))
    penstock("ingest", "pubmed", sample, "--to", "out.jsonl")
    done = penstock("ingest", "pubmed", sample, "more.xml", "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert "completed, 2 documents in" in done.stdout
    assert (tmp_path / "out.jsonl").read_bytes().startswith(undisturbed)
    assert len(documents(tmp_path / "out.jsonl")) == RECORDS + 2


def test_the_output_is_the_same_for_any_number_of_processes(
    penstock, sample: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    """Two processes write the same bytes as one."""
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--processes", "2")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_a_ledger_may_lie_elsewhere(penstock, sample: Path, tmp_path: Path) -> None:
    """--ledger is used, and is part of the receipt's commands."""
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--ledger", "run.db", "--limit", "3")
    assert (tmp_path / "run.db").exists()
    assert not (tmp_path / "out.jsonl.ledger.db").exists()
    assert "--ledger run.db" in commands_in(done.stdout)["continue"]


BAD = articles(article(pmid(1)), article("", title="no PMID"), article(pmid(3)))


def test_some_failed(penstock, tmp_path: Path) -> None:
    """Exit code 1; the run completes, the failed record is named, and the receipt has the command that lists it."""
    (tmp_path / "a.xml").write_bytes(BAD)
    done = penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert len(documents(tmp_path / "out.jsonl")) == 2
    assert "penstock: failed: " in done.stderr
    assert re.search(r"^  failed +1$", done.stdout, re.MULTILINE)
    status = penstock.shell(commands_in(done.stdout)["what failed"])
    assert status.returncode == 0, status.stderr
    assert "PMID" in status.stdout


def test_fail_fast_ends_at_the_first_failure(penstock, tmp_path: Path) -> None:
    """Exit code 1, one sentence, and no traceback."""
    (tmp_path / "a.xml").write_bytes(BAD)
    done = penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl", "--fail-fast", "--no-progress")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "PMID" in done.stderr


def test_events_go_to_stdout_and_words_to_stderr(penstock, sample: Path) -> None:
    """Every line of stdout is an event; the receipt is on stderr."""
    done = penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--events")
    events = [decode(line) for line in done.stdout.splitlines()]
    assert sum(isinstance(event, DocumentCompleted) for event in events) == RECORDS
    assert isinstance(events[-1], AdapterStateChange)
    assert events[-1].new_state == "completed"
    assert f"completed, {RECORDS:,} documents" in done.stderr


def test_a_failed_document_is_an_event_without_its_bytes(penstock, tmp_path: Path) -> None:
    """DocumentFailed is on stdout, with the error and without raw."""
    (tmp_path / "a.xml").write_bytes(BAD)
    done = penstock("ingest", "pubmed", "a.xml", "--to", "out.jsonl", "--events")
    failed = [event for event in map(decode, done.stdout.splitlines()) if isinstance(event, DocumentFailed)]
    assert [(event.will_retry, event.raw) for event in failed] == [(False, None)]


def test_a_reader_that_leaves_ends_the_run_quietly_and_resumably(
    penstock, sample: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    """``| head`` ends the run with 141 and no message; the same command then completes the output."""
    line = f"{COMMAND} ingest pubmed {sample} --to out.jsonl --events --no-progress | head -n 3"
    done = penstock.shell(f"set -o pipefail; {line}")
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (141, 3, "")
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl").returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == undisturbed


def test_no_progress_shows_none(penstock, sample: Path) -> None:
    """--no-progress leaves stderr empty."""
    assert penstock("ingest", "pubmed", sample, "--to", "out.jsonl", "--no-progress").stderr == ""


def on_a_terminal(folder: Path, *words: str | Path, columns: int = 100) -> tuple[int, str]:
    """Run the command with stderr on a terminal; return the exit code and everything it drew."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = environment()
    del env["COLUMNS"]
    process = subprocess.Popen(
        [os.fspath(word) for word in (COMMAND, *words)],
        cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    drawn = b""
    while True:
        try:
            drawn += os.read(ours, 65536)
        except OSError:  # the terminal is gone with its last writer
            break
    os.close(ours)
    return process.wait(PATIENCE), drawn.decode()


def test_a_terminal_gets_a_bar_that_goes_away(sample: Path, tmp_path: Path) -> None:
    """The bar and its words are drawn, and the cursor is shown again at the end."""
    code, drawn = on_a_terminal(tmp_path, "ingest", "pubmed", sample, "--to", "out.jsonl")
    assert code == 0
    assert "done" in drawn
    assert "failed" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


def test_a_document_cannot_command_the_terminal(tmp_path: Path) -> None:
    """An id with a C1 control, read from a file, is escaped on the terminal."""
    (tmp_path / "a.xml").write_bytes(
        articles(article('<PMID Version="1">&#x9b;2J\u202e</PMID>'), article(pmid(1)))
    )
    code, drawn = on_a_terminal(tmp_path, "ingest", "pubmed", "a.xml", "--to", "out.jsonl")
    assert code == 1
    assert not {"\x9b", "\u202e"} & set(drawn)
