"""Read where each key of a ledger in a database stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.ledger.choice import reading
from penstock.ledger.reports import KeyStatus

if TYPE_CHECKING:
    from penstock.ledger.choice import Place
    from penstock.ledger.keys import Key
    from penstock.ledger.tables import Tables

__all__ = ["KeyStatus", "read_status"]


def read_status(path: Place) -> list[KeyStatus]:
    """Return what the ledger at ``path``, a file or a URL, knows about each of its keys, sorted by name.

    Blocks for some milliseconds. Takes no lock, so it does not disturb a run that writes the ledger.

    Raises:
        LedgerError: the ledger does not exist, or cannot be read.
        LedgerCorrupt: it is not a ledger, or the part that is read is damaged.
    """
    with reading(path) as tables:
        return [_status(tables, key) for _, key in sorted(tables.load_keys().items())]


def _status(tables: Tables, key: Key) -> KeyStatus:
    commit, holder = tables.last_commit(key), tables.holder(key)
    interrupted = "running" if holder else "interrupted"
    return KeyStatus(
        key=key.name,
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
