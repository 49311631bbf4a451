"""What the sinks of databases share: rows are made on the event loop and written by a thread."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from penstock.errors import PositionError
from penstock.sinks.databases.rows import RowGroups, RowMaker
from penstock.sinks.databases.table import CommitText
from penstock.sinks.output import OutputSink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.abc import JSON, Commit
    from penstock.document import Document
    from penstock.sinks.databases.table import Table


class DatabaseSink(OutputSink):
    """Writes documents into a table of a database. Documents, position and epoch commit together.

    Every database sink takes these options:

    * ``table``: the name of the table, by default ``documents``. It is created if absent.
    * ``versions``: ``"replace"`` keeps one row per record: a newer version replaces an older one, and an
      older one that comes later is skipped. ``"keep"`` keeps one row per version.
    * ``deleted``: with ``"mark"`` a tombstone becomes a row with ``deleted`` set. With ``"delete"`` it
      deletes the row.
    * ``tables``: with ``"normalized"`` a child table ``<table>_<column>`` takes the place of each column that
      is a list. It has one row for each item: the key of the document, the ``position`` of the item (from 1)
      and its fields.
    * ``schema``: a class that declares columns (see ``penstock.columns``); by default that of the adapter.
    * ``columns``: the names of the columns to write, besides those that a table needs; all by default.
    * ``include_raw``: whether to write the raw bytes too.

    The table ``penstock_commits`` of the same database keeps the last commit. ``open`` returns it; a repeated
    commit does no harm. The sink refuses a table that Penstock did not create, even with ``restart``.
    ``restart`` empties the table, or creates it again if its options differ.

    About 2,048 documents or 8 MB of text wait for their commit and are written with it, in one call to the
    thread: beside a busy event loop each call, and each statement, costs 5 ms more than its work. More
    documents than that are written earlier, in a transaction that stays open until the commit. So memory is
    bounded.
    """

    transactional = True

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self._table = table
        self._use_table()

    def _use_table(self) -> None:
        table = self._table
        self._rows = RowMaker(table.options, table.clean, table.clean_json)
        self._groups = RowGroups(table.options, table.max_rows, table.group_size)

    @property
    def wants_raw(self) -> bool:
        """See ``Sink.wants_raw``."""
        return self._table.options.layout.wants_raw

    def use_schema(self, schema: type | None) -> None:
        """See ``Sink.use_schema``."""
        options = self._table.options
        if not options.layout.declared:
            self._table.use_options(replace(options, layout=options.layout.with_schema(schema)))
            self._use_table()

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; rows reach the database in groups, the last ones with ``commit``.

        Raises:
            SinkError: a write failed, now or earlier: close, and open again. Or the metadata of a document
                are not JSON: then none of ``documents`` was taken.
        """
        self._check_open()
        if groups := self._groups.add(self._rows.rows(documents)):
            await self._worker.run(partial(self._table.write, groups))

    async def commit(self, commit: Commit) -> JSON:
        """See ``Sink.commit``; the record holds the epoch. Raises as ``write``.

        Raises:
            SinkMismatch: another program has committed to the table.
            PositionError: the position is not JSON.
        """
        self._check_open()
        text = _as_text(commit)
        return await self._worker.run(partial(self._table.commit, self._groups.take(), text))

    def _clear_buffer(self) -> None:
        self._groups.clear()


def _as_text(commit: Commit) -> CommitText:
    try:
        position = json.dumps(commit.position, allow_nan=False)
        return CommitText(commit.epoch, position, json.dumps(commit.counts))
    except (TypeError, ValueError, RecursionError) as error:
        raise PositionError(f"a position cannot be stored as JSON: {error}") from error
