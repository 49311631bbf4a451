"""What the sinks of databases have in common, as the loop sees it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import PositionError, SinkError, SinkMismatch
from penstock.sinks.databases.rows import Fold, RowMaker
from penstock.sinks.databases.table import Packed
from penstock.system import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document
    from penstock.sinks.databases.table import Table

__all__ = ["DatabaseSink"]

_FORMAT = "database"


class DatabaseSink(Sink):
    """Writes documents into a table of a database; documents, position and epoch commit as one.

    One row per record (``versions="replace"``: a newer version takes the place of the older one, an older one
    that comes later is left out) or per version (``"keep"``). A tombstone is a row with ``deleted`` set
    (``deleted="mark"``), or takes the row away (``"delete"``). How far the table has come is a row of
    ``penstock_commits`` in the same database, so a commit that comes again is harmless, and ``open`` returns
    the one that is held.

    A table of the same name that Penstock did not make is refused, ``restart`` or not. ``restart`` empties
    the table; it makes it anew if it was begun with other choices.

    Rows are made where ``write`` is called, everything else on a thread of its own. Some 2,048 documents or
    8 MB of text wait for their commit and go in with it, in one call to that thread: beside a busy loop each
    call, and each statement, costs 5 ms more than the work. What is more than that goes in before, in a
    transaction that stays open until the commit; so memory is bounded. A cancelled ``write`` has taken its
    documents, a cancelled ``commit`` goes on behind. After an error everything fails until the sink is opened
    again.
    """

    transactional = True

    def __init__(self, table: Table) -> None:
        self._table = table
        self._maker = RowMaker(table.shape, table.clean, table.clean_json)
        self._fold = Fold(table.shape, table.group, table.size)
        self._worker = Worker("penstock-sink")
        self._is_open = False

    def describe(self) -> str:
        """Return the URL, without what is secret."""
        return self._table.output

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table.output!r})"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; returns the commit that the table holds, ``None`` if it is empty."""
        self._forget()
        epoch = 0 if record is None or restart else self._epoch_of(record)
        held = await self._worker.run(partial(self._table.open, restart=restart))
        at = held.epoch if held else 0
        if at < epoch:
            await self._worker.run(self._table.close)
            raise SinkMismatch(
                f"the output {self.describe()} holds commit {at}, but {epoch} was made to it; "
                "put the whole of it back, or restart to begin anew"
            )
        self._is_open = True
        return held

    def _epoch_of(self, record: JSON) -> int:
        try:
            if record["format"] == _FORMAT:
                return int(record["epoch"])
        except (TypeError, KeyError, ValueError):
            pass
        raise SinkMismatch(
            f"the ledger's record is of another kind of output than the table {self.describe()}; "
            "name the output of the earlier runs, or restart to begin anew"
        )

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; rows reach the database in groups, at the latest with ``commit``.

        Raises:
            SinkError: the database refuses them, or did so before: then close, and open again; or the
                metadata of a document are not JSON, and then none of ``documents`` was taken.
        """
        self._check_open()
        if ready := self._fold.add(self._maker.rows(documents)):
            await self._worker.run(partial(self._table.bring, ready))

    async def commit(self, commit: Commit) -> JSON:
        """See ``Sink.commit``; the record says which epoch it was. Raises as ``write``.

        Raises:
            SinkMismatch: something else has committed to the table.
            PositionError: the position is not JSON.
        """
        self._check_open()
        packed = _packed(commit)
        ready = self._fold.take()
        await self._worker.run(partial(self._table.commit, ready, packed))
        return {"format": _FORMAT, "epoch": commit.epoch}

    async def aclose(self) -> None:
        """See ``Sink.aclose``; what was not committed is rolled back."""
        self._forget()
        await self._worker.aclose(self._table.close)

    def _forget(self) -> None:
        self._is_open = False
        self._fold.clear()

    def _check_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"the output {self.describe()} is not open; await open(record) first")


def _packed(commit: Commit) -> Packed:
    try:
        position = json.dumps(commit.position, allow_nan=False)
        return Packed(commit.epoch, position, json.dumps(commit.counts))
    except (TypeError, ValueError, RecursionError) as error:
        raise PositionError(f"a position cannot be stored as JSON: {error}") from error
