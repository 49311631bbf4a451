"""Write a commit to a PostgreSQL ledger in one statement: one message to the server, one answer.

Beside a busy event loop, a thread waits some milliseconds for the interpreter's lock after each answer,
however fast the server is. The statement first renews the lease, which locks its row. If another ledger has
taken the lease, no row is renewed. The other parts select from the renewed row, so they then write nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.ledger.postgres.text import array, escape, hashes, short, shortened
from penstock.ledger.records import KEPT_COMMITS, checksum, commit_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from penstock.abc import Commit, DocumentState
    from penstock.ledger.keys import Key
    from penstock.ledger.postgres.lease import Fence

    Database = psycopg.Connection[Any]
    Cursor = psycopg.Cursor[Any]

_RENEW = """
WITH mine AS (
    UPDATE leases SET expires = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE key_id = %(key_id)s AND token = %(token)s RETURNING key_id
)
"""

_SAVE = """
UPDATE keys AS saved
SET run = %(run)s, epoch = %(last_epoch)s, letters = %(letters)s, checksum = %(key_checksum)s
FROM mine WHERE saved.key_id = mine.key_id
"""

_WRITE = f"""
{_RENEW}, old AS (
    DELETE FROM commits USING mine
    WHERE commits.key_id = mine.key_id AND epoch <= %(oldest)s
), committed AS (
    INSERT INTO commits
    SELECT key_id, %(epoch)s, %(run)s, %(state)s, %(now)s, %(position)s, %(record)s, %(counts)s, %(checksum)s
    FROM mine
), documents AS (
    INSERT INTO outcomes
    SELECT key_id, %(epoch)s, %(size)s, %(doc_ids)s::text[], %(content_hashes)s::bytea[],
        %(statuses)s::text[], %(tries)s::bigint[], %(errors)s::text[], %(error_types)s::text[]
    FROM mine WHERE %(size)s > 0
)
{_SAVE}
"""  # noqa: S608  constants of this module

_CONFIRM = f"""
{_RENEW}, confirmed AS (
    UPDATE commits SET state = 'confirmed'
    FROM mine WHERE commits.key_id = mine.key_id AND epoch <= %(last_epoch)s
)
{_SAVE}
"""  # noqa: S608  constants of this module


def write_commit(db: Database, fence: Fence, key: Key, commit: Commit, *, confirmed: bool) -> Cursor:
    """Write a commit without its dead letters: as confirmed, or as pending.

    Returns:
        A cursor whose ``rowcount`` is 0 if the lease was lost and so nothing was written.
    """
    position, record, counts = commit_texts(key.name, commit)
    values = {
        **_key_values(key, commit.epoch if confirmed else key.epoch, key.letters),
        **_outcome_values(commit.states),
        **fence.values(),
        "epoch": commit.epoch,
        "oldest": key.epoch - KEPT_COMMITS,
        "state": "confirmed" if confirmed else "pending",
        "now": time.time(),
        "position": position,
        "record": record,
        "counts": counts,
        "checksum": checksum(key.key_id, commit.epoch, key.run, position, record, counts),
    }
    return db.execute(_WRITE, values)


def confirm_commits(db: Database, fence: Fence, key: Key, epoch: int) -> Cursor:
    """Confirm pending commits up to ``epoch``; return as ``write_commit`` does."""
    return db.execute(_CONFIRM, {**_key_values(key, epoch, key.letters), **fence.values()})


def _key_values(key: Key, epoch: int, letters: int) -> dict[str, Any]:
    digest = checksum(key.key_id, short(key.name), key.run, epoch, letters)
    return {
        "key_id": key.key_id,
        "run": key.run,
        "last_epoch": epoch,
        "letters": letters,
        "key_checksum": digest,
    }


def _outcome_values(states: Sequence[DocumentState]) -> dict[str, Any]:
    """Return the columns of the row of ``outcomes`` for ``states``; a column of usual values is ``None``."""
    return {
        "size": len(states),
        "doc_ids": array(shortened([state.doc_id for state in states])),
        "content_hashes": hashes([state.content_hash for state in states]),
        "statuses": _unless("completed", [state.status for state in states]),
        "tries": _unless("1", [str(state.attempts) for state in states]),
        "errors": _unless(None, [state.error for state in states]),
        "error_types": _unless(None, [state.error_type for state in states]),
    }


def _unless(usual: str | None, column: Sequence[str | None]) -> str | None:
    """Return ``column`` as an array, or ``None`` if it holds nothing but ``usual``."""
    return None if column.count(usual) == len(column) else array([escape(text) for text in column])
