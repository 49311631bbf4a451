"""``--refresh`` in real processes: its counts, its output, and resuming it after an interruption."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from .conftest import PATIENCE, article, articles, pmid, read_until_commit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .conftest import Penstock

OUTPUTS = {
    "jsonl": "out.jsonl",
    "sqlite": "sqlite:///out.db",
    "parquet": "out/",
    "duckdb": "duckdb:///out.duckdb",
}
MANY = 200
LONG = {n: f"title {n}" for n in range(1, 500)}  # several commits
BEFORE = {n: f"title {n}" for n in range(1, MANY)}
AFTER = {
    **BEFORE,
    **{n: f"changed {n}" for n in range(1, MANY, 7)},
    **dict.fromkeys(range(MANY, MANY + 30), "new"),
}
VANISHED = (5, 6)
DELETED = (2, 3, 4)


def write(folder: Path, records: Mapping[int, str], deleted: tuple[int, ...] = ()) -> None:
    """Write ``a.xml``, with deletions behind the records."""
    gone = f"<DeleteCitation>{''.join(map(pmid, deleted))}</DeleteCitation>" if deleted else ""
    held = (article(pmid(n), title) for n, title in records.items())
    (folder / "a.xml").write_bytes(articles(*held, gone))


def change(folder: Path) -> None:
    """Change, add, delete and remove records."""
    kept = {n: title for n, title in AFTER.items() if n not in (*VANISHED, *DELETED)}
    write(folder, kept, DELETED)


def titles(folder: Path, kind: str) -> dict[str, str]:
    """Return the final title of each document; a deleted one has none."""
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "out.db")) as db:
            return dict(db.execute("SELECT doc_id, title FROM documents WHERE NOT deleted"))
    if kind == "duckdb":
        import duckdb

        with closing(duckdb.connect(str(folder / "out.duckdb"))) as db:
            return dict(db.execute("SELECT doc_id, title FROM documents WHERE NOT deleted").fetchall())
    if kind == "parquet":
        import pyarrow.dataset

        rows = pyarrow.dataset.dataset(folder / "out").to_table().to_pylist()
    else:
        rows = [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]
    newest = {row["doc_id"]: row for row in rows}
    return {doc_id: row["title"] for doc_id, row in newest.items() if not row.get("deleted")}


def counts(receipt: str, column: int = -1) -> dict[str, int]:
    """Return the counts of a receipt: of the whole run, or of this time."""
    found = re.findall(r"^ +(\w+) +([\d,]+)(?: +([\d,]+))?$", receipt, re.MULTILINE)
    return {name: int([one for one in sums if one][column].replace(",", "")) for name, *sums in found}


def wanted() -> dict[str, str]:
    """Return the documents that an output has at the end, including those no longer in the input."""
    return {f"PMID:{n}.1": title for n, title in AFTER.items() if n not in DELETED} | {
        f"PMID:{n}.1": BEFORE[n] for n in VANISHED
    }


CHANGED = sum(AFTER[n] != BEFORE[n] for n in BEFORE if n not in (*VANISHED, *DELETED))
WHOLE = {
    "completed": CHANGED + 30 + len(DELETED), "deleted": len(DELETED), "failed": 0,
    "new": 30, "changed": CHANGED,
    "unchanged": len(BEFORE) - len(VANISHED) - len(DELETED) - CHANGED,
    "skipped": len(BEFORE) - len(VANISHED) - len(DELETED) - CHANGED,
}  # fmt: skip


def resume_command(words: str) -> str:
    """Return the command that resumes."""
    return words.split("to resume:")[1].split("\n", maxsplit=1)[0].strip()


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_refresh(penstock: Penstock, kind: str) -> None:
    """Without --refresh the run is refused, with the command that refreshes; its counts and output are right."""
    write(penstock.folder, BEFORE)
    words = ["ingest", "pubmed", "a.xml", "--to", OUTPUTS[kind], "--no-progress"]
    assert penstock(*words).returncode == 0
    change(penstock.folder)
    refused = penstock(*words)
    assert refused.returncode == 2
    sentence, hint = refused.stderr.splitlines()
    assert "has changed since" in sentence
    command = hint.partition("to read what has changed: ")[2]
    done = penstock.shell(command)
    assert done.returncode == 0, done.stderr
    assert counts(done.stdout) == WHOLE
    assert titles(penstock.folder, kind) == wanted()
    again = penstock.shell(command)
    assert again.returncode == 0, again.stderr
    sums = counts(again.stdout)
    assert (sums["completed"], sums["unchanged"]) == (0, len(AFTER) - len(VANISHED))
    assert titles(penstock.folder, kind) == wanted()


@pytest.mark.parametrize("kind", ["jsonl", "sqlite"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_refresh_that_is_stopped(penstock: Penstock, kind: str, number: signal.Signals) -> None:
    """After SIGKILL the same command continues; after SIGTERM the printed one does."""
    write(penstock.folder, LONG)
    words = ["ingest", "pubmed", "a.xml", "--to", OUTPUTS[kind], "--no-progress"]
    assert penstock(*words).returncode == 0
    again = {n: f"again {n}" for n in (*LONG, 9_998, 9_999)}
    write(penstock.folder, again)
    words = ["ingest", "pubmed", "--to", OUTPUTS[kind], "--no-progress", "--events", "--refresh", "a.xml"]
    process = penstock.start(*words)
    assert process.stdout is not None
    for _ in range(230):  # two events a document
        assert process.stdout.readline()
    read_until_commit(penstock, process, OUTPUTS[kind])
    process.send_signal(number)
    told = process.communicate(timeout=PATIENCE)[1].decode()
    command = f"penstock {' '.join(words)}"
    if number == signal.SIGTERM:
        assert process.returncode == 130, told
        command = resume_command(told)
    assert " --refresh " in command
    done = penstock.shell(command)
    assert done.returncode == 0, done.stderr
    sums, now = counts(done.stderr), counts(done.stderr, 0)
    assert (sums["new"], sums["changed"]) == (2, len(LONG))
    assert now["completed"] < sums["completed"]
    assert titles(penstock.folder, kind) == {f"PMID:{n}.1": title for n, title in again.items()}
    if kind == "jsonl":
        assert (penstock.folder / "out.jsonl").read_bytes().count(b'"again ') == len(again)


def test_what_the_inputs_hold_several_times(penstock: Penstock) -> None:
    """A deletion after its record stays a deletion, however often it is refreshed."""
    write(penstock.folder, BEFORE, DELETED)
    words = ["ingest", "pubmed", "a.xml", "--to", "out.jsonl", "--no-progress", "--refresh"]
    expected = {f"PMID:{n}.1": title for n, title in BEFORE.items() if n not in DELETED}
    for _ in range(3):
        assert penstock(*words).returncode == 0
        assert titles(penstock.folder, "jsonl") == expected
