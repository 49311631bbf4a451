"""Several outputs of one run, which after a crash go on from where the slowest of them came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import GraphError, SinkMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document

__all__ = ["SeveralSinks"]

_FORMAT = "several"


class SeveralSinks(Sink):
    """Every document goes into each of ``sinks``, in order.

    ``commit`` makes files durable first, then commits each database, and returns one record for all; the
    ledger commits that record last. So whatever the instant of a crash, the ledger's epoch is the lowest:
    the run resumes there, files are cut back to their record of it, and a database that had come one epoch
    further takes that epoch again, as upserts of the same documents. A ledger is needed for that.

    Raises:
        GraphError: there are fewer than two, or two are the same output.
    """

    def __init__(self, *sinks: Sink) -> None:
        names = [sink.describe() for sink in sinks]
        if len(sinks) < 2:  # noqa: PLR2004  several
            raise GraphError(f"several sinks are two or more, not {len(sinks)}; give a single one as it is")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise GraphError(f"the output {twice} is named twice; name each output once")
        self.sinks = sinks
        self._names = names

    def describe(self) -> str:
        """Return the names of all."""
        return ", ".join(self._names)

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``. Returns ``None``: the ledger says where all of them stand."""
        own = self._parts(None if restart else record)
        epoch = 0 if record is None or restart else int(record["epoch"])
        try:
            for sink, name, part in zip(self.sinks, self._names, own, strict=True):
                held = await sink.open(part, restart=restart)
                if sink.transactional:
                    _check(name, held, epoch)
        except BaseException:
            await self.aclose()
            raise
        return None

    def _parts(self, record: JSON) -> list[JSON]:
        """Return what each sink is to open at."""
        if record is None:
            return [None] * len(self.sinks)
        try:
            found = {str(part["name"]): part["record"] for part in record["sinks"]}
            known = record["format"] == _FORMAT
        except (TypeError, KeyError):
            known, found = False, {}
        if not known or set(found) != set(self._names):
            raise SinkMismatch(
                f"the outputs of the earlier runs were {', '.join(found) or 'others'}, not "
                f"{self.describe()}; name the same ones, or give these another key= or ledger, or restart "
                "to begin anew"
            )
        return [found[name] for name in self._names]

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``: into one after the other."""
        for sink in self.sinks:
            await sink.write(documents)

    async def commit(self, commit: Commit) -> JSON:
        """See ``Sink.commit``: files first, databases behind them."""
        records: dict[str, JSON] = {}
        for transactional in (False, True):
            for sink, name in zip(self.sinks, self._names, strict=True):
                if sink.transactional is transactional:
                    records[name] = await sink.commit(commit)
        parts = [{"name": name, "record": records[name]} for name in self._names]
        return {"format": _FORMAT, "epoch": commit.epoch, "sinks": parts}

    async def aclose(self) -> None:
        """See ``Sink.aclose``: all are released, whatever one of them says."""
        errors: list[Exception] = []
        for sink in self.sinks:
            try:
                await sink.aclose()
            except Exception as error:  # noqa: BLE001  the others are released first
                errors.append(error)
        if errors:
            raise errors[0]


def _check(name: str, held: Commit | None, epoch: int) -> None:
    """Refuse a database that is behind the ledger, or further ahead than one crash can bring it.

    Ahead of a ledger that knows nothing yet is the very first commit, which is made before anything is
    written: a position in it is somebody else's.
    """
    at = held.epoch if held else 0
    if at not in (epoch, epoch + 1) or (held is not None and not epoch and held.position):
        raise SinkMismatch(
            f"the output {name} holds commit {at}, but the ledger and the other outputs are at {epoch}; "
            "use the ledger of its earlier runs, or another output, or restart to begin anew"
        )
