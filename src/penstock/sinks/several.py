"""Several outputs of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import GraphError, SinkMismatch
from penstock.sinks.output import START_OVER
from penstock.system import close_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document

_FORMAT = "several"


class SeveralSinks(Sink):
    """Writes every document into each of ``sinks``, in order. Needs a ledger.

    ``commit`` makes the files durable, then commits each database, and returns one record for all; the ledger
    commits that record last. So after a crash the ledger has the lowest epoch, and the run resumes there.
    Files are cut back to their records of that epoch. A database may be one epoch ahead: the same documents
    come again and replace its rows.

    Raises:
        GraphError: there are fewer than two sinks, or two of them are the same output.
    """

    def __init__(self, *sinks: Sink) -> None:
        names = [sink.describe() for sink in sinks]
        if len(sinks) < 2:  # noqa: PLR2004  several
            raise GraphError(
                f"SeveralSinks takes two or more sinks, not {len(sinks)}; use a single sink itself"
            )
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise GraphError(f"the output {twice} is named twice; name each output once")
        self.sinks = sinks
        self._names = names

    @property
    def wants_raw(self) -> bool:
        """See ``Sink.wants_raw``."""
        return any(sink.wants_raw for sink in self.sinks)

    def use_schema(self, schema: type | None) -> None:
        """See ``Sink.use_schema``."""
        for sink in self.sinks:
            sink.use_schema(schema)

    def describe(self) -> str:
        """Return the names of all outputs."""
        return ", ".join(self._names)

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``. Returns ``None``: the ledger decides where the run resumes."""
        record = None if restart else record
        records = self._records_of(record)
        epoch = 0 if record is None else int(record["epoch"])
        try:
            for sink, name, own in zip(self.sinks, self._names, records, strict=True):
                commit = await sink.open(own, restart=restart)
                if sink.transactional:
                    _check_epoch(name, commit, epoch)
        except BaseException as error:
            if isinstance(error, Exception):
                await self._undo_after(error)
            await self.aclose()
            raise
        return None

    async def _undo_after(self, error: Exception) -> None:
        """Undo what was opened before ``error``, which stays the one to raise."""
        try:
            await self.undo_open()
        except Exception as second:  # noqa: BLE001  noted
            error.add_note(f"penstock: an output that was created could not be removed: {second}")

    async def claim(self) -> None:
        """See ``Sink.claim``; claims every sink."""
        for sink in self.sinks:
            await sink.claim()

    async def verify(self) -> None:
        """See ``Sink.verify``; verifies every sink."""
        for sink in self.sinks:
            await sink.verify()

    def _records_of(self, record: JSON) -> list[JSON]:
        """Return the record of each sink."""
        if record is None:
            return [None] * len(self.sinks)
        try:
            records = {str(part["name"]): part["record"] for part in record["sinks"]}
            known = record["format"] == _FORMAT
        except (TypeError, KeyError):
            known, records = False, {}
        if not known or set(records) != set(self._names):
            raise SinkMismatch(
                f"the outputs of the earlier runs were {', '.join(records) or 'others'}, not "
                f"{self.describe()}; name the same ones, or give these another key= or ledger, {START_OVER}"
            )
        return [records[name] for name in self._names]

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; writes to one sink after another."""
        for sink in self.sinks:
            await sink.write(documents)

    async def commit(self, commit: Commit) -> JSON:
        """See ``Sink.commit``; commits the files first, then the databases."""
        records: dict[str, JSON] = {}
        for transactional in (False, True):
            for sink, name in zip(self.sinks, self._names, strict=True):
                if sink.transactional is transactional:
                    records[name] = await sink.commit(commit)
        parts = [{"name": name, "record": records[name]} for name in self._names]
        return {"format": _FORMAT, "epoch": commit.epoch, "sinks": parts}

    async def undo_open(self) -> None:
        """See ``Sink.undo_open``; every sink undoes its own, even when one fails.

        The first sink comes last: it may have made a folder that the others are in.
        """
        await close_all(sink.undo_open for sink in reversed(self.sinks))

    async def aclose(self) -> None:
        """See ``Sink.aclose``; closes every sink, even when closing one fails."""
        await close_all(sink.aclose for sink in self.sinks)


def _check_epoch(name: str, commit: Commit | None, epoch: int) -> None:
    """Refuse a database that is behind the ledger, or more than one commit ahead of it.

    With a new ledger (``epoch`` 0) only the first commit may exist, which a driver makes before any document
    and with an empty position. Another position belongs to another ledger.
    """
    at = commit.epoch if commit else 0
    if at not in (epoch, epoch + 1) or (commit is not None and not epoch and commit.position):
        raise SinkMismatch(
            f"the output {name} holds commit {at}, but the ledger and the other outputs are at {epoch}; "
            f"use the ledger of its earlier runs, or another output, {START_OVER}"
        )
