"""What a ledger in a database remembers beyond where it stands: its earlier runs, and what failed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.ledger.postgres import reading as postgres_reading
from penstock.ledger.postgres.text import is_postgres
from penstock.ledger.records import checksum, clean, dead_letter_of, parse_json
from penstock.ledger.sqlite.connection import read_only
from penstock.ledger.sqlite.keys import load_keys
from penstock.ledger.sqlite.trouble import corrupt, speaking

if TYPE_CHECKING:
    import os

    from penstock.abc import DeadLetter

__all__ = ["RunRecord", "read_dead_letters", "read_runs"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One logical run of a key; times are Unix seconds.

    ``state`` is ``running`` (or interrupted: ``read_status`` knows which), ``completed`` or ``abandoned``
    (by a restart). ``counts`` are final, and only there when it is completed.
    """

    run: int
    state: str
    started_at: float
    ended_at: float | None
    counts: dict[str, int]


def read_runs(path: str | os.PathLike[str], key: str) -> list[RunRecord]:
    """Return the logical runs of ``key``, the first one first; none if the ledger does not know the key.

    Blocks, for milliseconds; takes no lock and disturbs no run.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        LedgerCorrupt: it is not a ledger, or is damaged where this looks.
    """
    if is_postgres(path):
        return postgres_reading.read_runs(str(path), key)
    place = Path(path)
    with contextlib.closing(read_only(place)) as db, speaking(place, "read"):
        rows = db.execute(
            "SELECT key_id, runs.run, runs.state, started_at, ended_at, counts, runs.checksum"
            " FROM runs JOIN keys USING (key_id) WHERE key = ? ORDER BY runs.run",
            (key,),
        ).fetchall()
    for *fields, expected in rows:
        if checksum(*fields) != expected:
            raise corrupt(place, f"run {fields[1]} of {key!r} fails its checksum")
    return [
        RunRecord(run, state, started, ended, parse_json(counts))
        for _, run, state, started, ended, counts, _ in rows
    ]


def read_dead_letters(
    path: str | os.PathLike[str], key: str, *, latest: int, record: str | None = None
) -> list[DeadLetter]:
    """Return the ``latest`` committed dead letters of ``key``, or of a ``record``, the oldest of them first.

    Blocks, for milliseconds; takes no lock and disturbs no run.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        LedgerCorrupt: it is not a ledger, or is damaged where this looks.
    """
    if is_postgres(path):
        return postgres_reading.read_dead_letters(str(path), key, latest=latest, record=record)
    place = Path(path)
    letters: list[DeadLetter] = []
    with contextlib.closing(read_only(place)) as db, speaking(place, "read"):
        db.execute("BEGIN")  # one moment for both questions
        known = load_keys(db, place).get(key)
        if known is None:
            return letters
        rows = db.execute(
            "SELECT record_key, doc_id, adapter, error, error_type, raw, context, traceback, attempts,"
            " failed_at, checksum FROM dead_letters WHERE key_id = ? AND epoch <= ?"
            " AND record_key = coalesce(?, record_key) ORDER BY id DESC LIMIT ?",
            (known.key_id, known.epoch, clean(record), latest),
        ).fetchall()
    for *fields, expected in reversed(rows):
        letter = dead_letter_of(fields, expected)
        if letter is None:
            raise corrupt(place, f"a dead letter of {key!r} fails its checksum")
        letters.append(letter)
    return letters
