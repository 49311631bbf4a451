"""Write a commit to a PostgreSQL ledger in one statement: one message to the server, one answer.

Beside a busy event loop, a thread waits some milliseconds for the interpreter's lock after each answer,
however fast the server is. The statement first renews the lease, which locks its row. If another ledger has
taken the lease, no row is renewed. The other parts select from the renewed row, so they then write nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.ledger.postgres.rows import outcomes_of
from penstock.ledger.postgres.text import short
from penstock.ledger.records import KEPT_COMMITS, checksum, commit_texts

if TYPE_CHECKING:
    import psycopg

    from penstock.abc import Commit
    from penstock.ledger.keys import Key
    from penstock.ledger.postgres.lease import Fence

    Database = psycopg.Connection[Any]
    Cursor = psycopg.Cursor[Any]

__all__ = ["confirm_commits", "save_key", "write_commit"]

_RENEW = """
WITH mine AS (
    UPDATE penstock_ledger.leases SET expires = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE key_id = %(key_id)s AND token = %(token)s RETURNING key_id
)
"""

_SAVE = """
UPDATE penstock_ledger.keys AS saved
SET run = %(run)s, epoch = %(true_epoch)s, letters = %(letters)s, checksum = %(key_checksum)s
FROM mine WHERE saved.key_id = mine.key_id
"""

_WRITE = f"""
{_RENEW}, old AS (
    DELETE FROM penstock_ledger.commits USING mine
    WHERE commits.key_id = mine.key_id AND epoch <= %(oldest)s
), committed AS (
    INSERT INTO penstock_ledger.commits
    SELECT key_id, %(epoch)s, %(run)s, %(state)s, %(now)s, %(position)s, %(record)s, %(counts)s, %(checksum)s
    FROM mine
), documents AS (
    INSERT INTO penstock_ledger.outcomes
    SELECT key_id, %(epoch)s, %(size)s, %(doc_ids)s::text[], %(content_hashes)s::bytea[],
        %(statuses)s::text[], %(tries)s::bigint[], %(errors)s::text[], %(error_types)s::text[]
    FROM mine WHERE %(size)s > 0
)
{_SAVE}
"""  # noqa: S608  constants of this module

_CONFIRM = f"""
{_RENEW}, confirmed AS (
    UPDATE penstock_ledger.commits SET state = 'confirmed'
    FROM mine WHERE commits.key_id = mine.key_id AND epoch <= %(true_epoch)s
)
{_SAVE}
"""  # noqa: S608  constants of this module


def write_commit(db: Database, fence: Fence, key: Key, commit: Commit, *, confirmed: bool) -> Cursor:
    """Write a commit without its dead letters: as the last true one if ``confirmed``, else as pending.

    Returns:
        A cursor whose ``rowcount`` is 0 if the lease was lost and so nothing was written.
    """
    position, record, counts = commit_texts(key.name, commit)
    values = {
        **_key_values(key, commit.epoch if confirmed else key.epoch, key.letters),
        **outcomes_of(commit.states),
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
    """Make pending commits up to ``epoch`` true; return as ``write_commit`` does."""
    return db.execute(_CONFIRM, {**_key_values(key, epoch, key.letters), **fence.values()})


def save_key(db: Database, key: Key, epoch: int, letters: int) -> None:
    """Write the last true epoch and its number of dead letters; does not change ``key`` itself."""
    db.execute(
        "UPDATE penstock_ledger.keys SET run = %(run)s, epoch = %(true_epoch)s, letters = %(letters)s,"
        " checksum = %(key_checksum)s WHERE key_id = %(key_id)s",
        _key_values(key, epoch, letters),
    )


def _key_values(key: Key, epoch: int, letters: int) -> dict[str, Any]:
    digest = checksum(key.key_id, short(key.name), key.run, epoch, letters)
    return {
        "key_id": key.key_id,
        "run": key.run,
        "true_epoch": epoch,
        "letters": letters,
        "key_checksum": digest,
    }
