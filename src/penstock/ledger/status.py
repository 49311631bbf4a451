"""Looking at a ledger in a database from outside, also while a run is writing it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.ledger.postgres import reading as postgres_reading
from penstock.ledger.postgres.text import is_postgres
from penstock.ledger.records import checksum, parse_json
from penstock.ledger.sqlite.connection import read_only
from penstock.ledger.sqlite.keys import load_keys
from penstock.ledger.sqlite.trouble import corrupt, speaking
from penstock.system import Holder, holder_of, lock_path

if TYPE_CHECKING:
    import os
    import sqlite3

    from penstock.abc import JSON, Position
    from penstock.ledger.sqlite.keys import Key

__all__ = ["KeyStatus", "read_status"]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What a ledger knows of one key; times are Unix seconds.

    ``state`` is that of the last logical run: ``completed``, ``running`` if a process holds the ledger now
    (``holder``), else ``interrupted``. ``counts`` and the rest are as of the last commit.
    """

    key: str
    run: int
    state: str
    epoch: int
    counts: dict[str, int]
    started_at: float
    committed_at: float | None
    position: Position | None
    record: JSON
    dead_letters: int
    pending: tuple[int, ...]
    holder: Holder | None


def read_status(path: str | os.PathLike[str]) -> list[KeyStatus]:
    """Return what the ledger at ``path``, or of the URL, knows of each of its keys, in order of their names.

    Blocks, for milliseconds; takes no lock and disturbs no run.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        LedgerCorrupt: it is not a ledger, or is damaged where this looks.
    """
    if is_postgres(path):
        return postgres_reading.read_status(str(path))
    place = Path(path)
    holder = holder_of(lock_path(place))
    with contextlib.closing(read_only(place)) as db, speaking(place, "read"):
        db.execute("BEGIN")  # one moment for all that is read
        keys = load_keys(db, place)
        return [_status(db, place, keys[name], holder) for name in sorted(keys)]


def _status(db: sqlite3.Connection, path: Path, key: Key, holder: Holder | None) -> KeyStatus:
    row = db.execute(
        "SELECT run, committed_at, position, record, counts, checksum FROM commits"
        " WHERE key_id = ? AND epoch = ?",
        (key.key_id, key.epoch),
    ).fetchone()
    run, committed_at, position, record, counts, expected = row or (0, None, "null", "null", "{}", None)
    if key.epoch and checksum(key.name, key.epoch, run, position, record, counts) != expected:
        raise corrupt(path, f"commit {key.epoch} of {key.name!r} is missing or fails its checksum")
    interrupted = "running" if holder else "interrupted"
    return KeyStatus(
        key=key.name,
        run=key.run,
        state=interrupted if key.running else "completed",
        epoch=key.epoch,
        counts=parse_json(counts) if run == key.run else {},
        started_at=key.started_at,
        committed_at=committed_at,
        position=parse_json(position),
        record=parse_json(record),
        dead_letters=key.letters,
        pending=tuple(key.pending),
        holder=holder,
    )
