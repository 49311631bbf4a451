"""A first run, a restart, a refresh and a replay are killed before and after every call that changes something.

So is a run whose source cannot be read, while it undoes what it has opened, and a restart with such a source.

The calls are those of the sinks to the disk or the database, and all calls to the ledger. Files are on a disk
that loses what was not fsynced; databases are real ones. The plain command goes on after a killed first run
and a killed restart, the same command after a killed refresh and a killed replay.
"""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import PenstockError
from penstock.ledger import MemoryLedger
from penstock.sinks import SeveralSinks
from penstock.testing.faults import Faults, FaultyLedger, FaultyStorage, FragileDisk, Killed

from ..length import LONG  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource  # noqa: TID252
from ..sinks.databases import DATABASES, DatabaseKind, DuckDBKind, PostgresKind, SqliteKind  # noqa: TID252
from .fragile_outputs import FILES

if TYPE_CHECKING:
    from collections.abc import Callable


KINDS = ["ok", "bad", "ok", "gone", "ok", "ok", "crash", "ok"]
MENDED = ["ok", "ok", "gone", "gone", "ok", "ok", "ok", "bad", "ok"]
WAYS: dict[str, list[dict[str, Any]]] = {
    "first run": [{}, {}],
    "unread": [{"down": True}, {}],
    "unread restart": [{"down": True, "restart": True}, {}],
    "restart": [{"restart": True}, {}],
    "refresh": [{"refresh": True, "kinds": MENDED}] * 2,
    "replay": [{"replay": True, "kinds": MENDED}] * 2,
}
"""By what is killed: its options, and those of the run that goes on after it."""

OUTPUTS = {
    **{name: [name] for name in (*FILES, *DATABASES)},
    "several": ["parquet", "sqlite", "jsonl"],
}


class Machine:
    """A disk, databases and a ledger that one process after the other uses."""

    def __init__(self, kinds: list[str], databases: dict[str, DatabaseKind], seed: int) -> None:
        self.disk = FragileDisk(seed)
        self.books = MemoryLedger()
        self.kinds = kinds
        self.databases = databases

    def sink(self, kind: str, faults: Faults) -> Any:
        if kind in FILES:
            return FILES[kind][0](storage=FaultyStorage(self.disk, faults))
        sink = self.databases[kind].new()
        for name in ("begin", "execute", "update", "insert_and_advance", "end"):
            call = getattr(sink._table, name)  # type: ignore[attr-defined]
            setattr(sink._table, name, self._counted(name, call, faults))  # type: ignore[attr-defined]
        return sink

    def _counted(self, name: str, call: Callable[..., Any], faults: Faults) -> Callable[..., Any]:
        return lambda *args: faults.call(name, lambda: call(*args))

    async def process(
        self,
        faults: Faults,
        *,
        kinds: list[str] = KINDS,
        replay: bool = False,
        down: bool = False,
        **options: Any,
    ) -> BaseException | None:
        """Run the pipeline as one process; return its error or kill, if any."""
        sinks = [self.sink(kind, faults) for kind in self.kinds]
        pipeline = IngestionPipeline(
            Adapter(
                ScriptedSource([Record(kind) for kind in kinds], down={0: 1} if down else {}), page_size=3
            ),
            ledger=FaultyLedger(self.books, faults),
            checkpoint_every=3,
            retry=None,
            **options,
        )
        sink = SeveralSinks(*sinks) if len(sinks) > 1 else sinks[0]
        try:
            await (pipeline.replay(sink) if replay else pipeline.run(sink))
        except (PenstockError, ConnectionError, Killed) as error:
            return error
        finally:
            await self.books.aclose()  # the process ends and releases its lock
        return None

    async def outcome(self) -> tuple[Any, ...]:
        await self.books.open("scripted")
        documents = [
            FILES[kind][1](self.disk) if kind in FILES else self.databases[kind].documents()
            for kind in self.kinds
        ]
        dead = sorted([letter.key async for letter in self.books.dead_letters("scripted")])
        tally = await self.books.tally("scripted")
        await self.books.aclose()
        return documents, dead, tally


def fresh(request: pytest.FixtureRequest, kinds: list[str], folder: Path) -> dict[str, DatabaseKind]:
    """Return new databases of these kinds."""
    made: dict[str, DatabaseKind] = {}
    for kind in kinds:
        if kind == "postgres":
            made[kind] = PostgresKind(request.getfixturevalue("postgres_server"))
        elif kind not in FILES:
            made[kind] = {"sqlite": SqliteKind, "duckdb": DuckDBKind}[kind](folder)
    return made


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_killed_at_any_call(request: pytest.FixtureRequest, tmp_path: Path, output: str, way: str) -> None:
    """The next run is not refused, and leaves the output and the ledger of an undisturbed run.

    Every day a few calls of each output and way; in the long run all of them.
    """
    numbers, (killed, next_one) = count(), WAYS[way]

    async def prepared(seed: int) -> Machine:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        machine = Machine(OUTPUTS[output], fresh(request, OUTPUTS[output], folder), seed)
        if way not in ("first run", "unread"):
            assert await machine.process(Faults()) is None
        return machine

    async def main() -> None:
        counted, whole = Faults(), await prepared(0)
        ended = await whole.process(counted, **killed)
        assert (ended is None) == ("unread" not in way)
        if "unread" in way:  # nothing is there, or the output of the run before: the plain command goes on
            assert await whole.process(Faults(), **next_one) is None
        wanted = await whole.outcome()
        first = sum(map(ord, output + way))
        for at in range(counted.calls) if LONG else range(first % 17, counted.calls, 17):
            for after in (False, True) if LONG else (bool((first + at) % 2),):
                machine = await prepared(at)
                faults = Faults(at, after=after)
                ended = await machine.process(faults, **killed)
                reached = faults.calls > at  # how many writes there are depends on how fast a commit is
                assert isinstance(ended, Killed) == reached, (at, counted.log)
                machine.disk.cut_power()
                again = await machine.process(Faults(), **next_one)
                assert again is None, (at, after, counted.log[: at + 1])
                assert await machine.outcome() == wanted, (at, after, counted.log[: at + 1])

    asyncio.run(main())
