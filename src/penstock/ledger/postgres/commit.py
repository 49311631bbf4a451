"""Commits to a PostgreSQL ledger, each in one statement: one message to the server, one answer.

A thread beside a busy event loop has its turn only every few milliseconds, so that each answer it has to wait
for costs that, whatever the server does. The statement renews the lease first, which locks it; if the token
is another's by now, there is nothing for the rest of the statement to do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.ledger.postgres.rows import outcomes_of
from penstock.ledger.postgres.text import short
from penstock.ledger.records import checksum, to_json

if TYPE_CHECKING:
    import psycopg

    from penstock.abc import Commit
    from penstock.ledger.postgres.lease import Fence
    from penstock.ledger.sqlite.keys import Key

    Database = psycopg.Connection[Any]
    Cursor = psycopg.Cursor[Any]

__all__ = ["confirm_commits", "save_key", "write_commit"]

_KEPT_COMMITS = 8
"""How many of the latest commits stay readable: for a sink that was committed a little earlier."""

_MINE = """
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
{_MINE}, forgotten AS (
    DELETE FROM penstock_ledger.commits USING mine
    WHERE commits.key_id = mine.key_id AND epoch <= %(long_ago)s
), committed AS (
    INSERT INTO penstock_ledger.commits
    SELECT key_id, %(epoch)s, %(run)s, %(state)s, %(now)s, %(position)s, %(record)s, %(counts)s, %(checksum)s
    FROM mine
), said AS (
    INSERT INTO penstock_ledger.outcomes
    SELECT key_id, %(epoch)s, %(size)s, %(doc_ids)s::text[], %(content_hashes)s::bytea[],
        %(statuses)s::text[], %(tries)s::bigint[], %(errors)s::text[], %(error_types)s::text[]
    FROM mine WHERE %(size)s > 0
)
{_SAVE}
"""  # noqa: S608  constants of this module

_CONFIRM = f"""
{_MINE}, confirmed AS (
    UPDATE penstock_ledger.commits SET state = 'confirmed'
    FROM mine WHERE commits.key_id = mine.key_id AND epoch <= %(true_epoch)s
)
{_SAVE}
"""  # noqa: S608  constants of this module


def write_commit(
    db: psycopg.Connection[Any], fence: Fence, key: Key, commit: Commit, *, true: bool
) -> Cursor:
    """Write down a commit without its dead letters; it is the last true one then, or pending.

    Returns:
        A cursor whose ``rowcount`` is 0 if the lease was lost, so that nothing was written.
    """
    position = to_json(commit.position, f"the position of {key.name!r}")
    record = to_json(commit.record, f"the sink's record of {key.name!r}")
    counts = to_json(commit.counts, f"the counts of {key.name!r}")
    values = {
        **_saved(key, commit.epoch if true else key.epoch, key.letters),
        **outcomes_of(commit.states),
        **fence.values(),
        "epoch": commit.epoch,
        "long_ago": key.epoch - _KEPT_COMMITS,
        "state": "confirmed" if true else "pending",
        "now": time.time(),
        "position": position,
        "record": record,
        "counts": counts,
        "checksum": checksum(key.key_id, commit.epoch, key.run, position, record, counts),
    }
    return db.execute(_WRITE, values)


def confirm_commits(db: Database, fence: Fence, key: Key, epoch: int) -> Cursor:
    """Let what is pending up to ``epoch`` be true; returns as ``write_commit`` does."""
    return db.execute(_CONFIRM, {**_saved(key, epoch, key.letters), **fence.values()})


def save_key(db: Database, key: Key, epoch: int, letters: int) -> None:
    """Write down the last true epoch and the dead letters by then; ``key`` is the caller's to change."""
    db.execute(
        "UPDATE penstock_ledger.keys SET run = %(run)s, epoch = %(true_epoch)s, letters = %(letters)s,"
        " checksum = %(key_checksum)s WHERE key_id = %(key_id)s",
        _saved(key, epoch, letters),
    )


def _saved(key: Key, epoch: int, letters: int) -> dict[str, Any]:
    digest = checksum(key.key_id, short(key.name), key.run, epoch, letters)
    return {
        "key_id": key.key_id,
        "run": key.run,
        "true_epoch": epoch,
        "letters": letters,
        "key_checksum": digest,
    }
