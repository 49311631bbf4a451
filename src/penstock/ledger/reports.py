"""What a ledger tells about its keys and runs to those who only read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.ledger.records import checksum, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penstock.abc import JSON, Position
    from penstock.ledger.keys import Key, LastCommit
    from penstock.ledger.records import Corrupt
    from penstock.system import Holder

__all__ = ["KeyStatus", "RunRecord", "key_status", "run_records"]


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """What a ledger knows about one key; times are Unix seconds.

    ``state`` is that of the last logical run: ``completed``, ``running`` if a process (``holder``) holds the
    ledger now, else ``interrupted``. ``counts``, ``position`` and ``record`` are those of the last commit.
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


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One logical run of a key; times are Unix seconds.

    ``state`` is ``completed``, ``abandoned`` (by a restart) or ``running``, which includes interrupted runs:
    ``read_status`` tells them apart. ``counts`` are final, and empty unless the run is completed.
    """

    run: int
    state: str
    started_at: float
    ended_at: float | None
    counts: dict[str, int]


def key_status(name: str, key: Key, commit: LastCommit, holder: Holder | None) -> KeyStatus:
    """Return the status of ``key``, whose real name is ``name``."""
    interrupted = "running" if holder else "interrupted"
    return KeyStatus(
        key=name,
        run=key.run,
        state=interrupted if key.running else "completed",
        epoch=key.epoch,
        counts=commit.counts_of(key.run),
        started_at=key.started_at,
        committed_at=commit.committed_at,
        position=commit.position,
        record=commit.record,
        dead_letters=key.letters,
        pending=tuple(key.pending),
        holder=holder,
    )


def run_records(rows: Iterable[Sequence[Any]], name: str, corrupt: Corrupt) -> list[RunRecord]:
    """Return the runs in ``rows``: key_id, run, state, started_at, ended_at, counts, checksum.

    Raises:
        LedgerCorrupt: a row fails its checksum.
    """
    records: list[RunRecord] = []
    for *fields, expected in rows:
        _, run, state, started_at, ended_at, counts = fields
        if checksum(*fields) != expected:
            raise corrupt(f"run {run} of {name!r} fails its checksum")
        records.append(RunRecord(run, state, started_at, ended_at, parse_json(counts)))
    return records
