"""Every write, fsync, rename and commit of a pipeline fails once, or is the last call of its process.

The outputs are on a disk that loses bytes that were not fsynced. The ledger's calls count like the disk's.
"""

from __future__ import annotations

import asyncio

import pytest

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import PenstockError
from penstock.ledger import MemoryLedger
from penstock.sinks import SeveralSinks
from penstock.testing.faults import Faults, FaultyLedger, FaultyStorage, FragileDisk, Killed

from ..length import sampled  # noqa: TID252  tests are no installed package
from ..scripted import Record, ScriptedSource  # noqa: TID252  tests are no installed package
from .fragile_outputs import FILES

SCRIPT = [Record(), Record("bad"), Record(), Record("gone"), Record(), Record(), Record("crash"), Record()]
KINDS = {name: [name] for name in FILES} | {"several": ["parquet", "jsonl", "jsonl.gz"]}


class Machine:
    """A disk and a ledger that one process after the other uses."""

    def __init__(self, kinds, seed):
        self.disk = FragileDisk(seed)
        self.books = MemoryLedger()
        self.kinds = kinds

    async def process(self, faults):
        """Run the pipeline as one process; return its error or kill, if any."""
        storage = FaultyStorage(self.disk, faults)
        sinks = [FILES[kind][0](storage=storage) for kind in self.kinds]
        pipeline = IngestionPipeline(
            Adapter(ScriptedSource(SCRIPT), page_size=3),
            ledger=FaultyLedger(self.books, faults),
            checkpoint_every=3,
            progress_every=2,
        )
        try:
            await pipeline.run(SeveralSinks(*sinks) if len(sinks) > 1 else sinks[0])
        except (PenstockError, Killed) as error:
            return error
        finally:
            await self.books.aclose()  # the process ends and releases its lock
        return None

    async def outcome(self):
        await self.books.open("scripted")
        documents = {kind: FILES[kind][1](self.disk) for kind in self.kinds}
        dead = sorted([letter.key async for letter in self.books.dead_letters("scripted")])
        tally = await self.books.tally("scripted")
        await self.books.aclose()
        return documents, dead, tally


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_call_goes_wrong_once(kind, kill, after):
    """After a power cut or an error, before or after any call, the next process ends like an undisturbed one.

    Every day each case takes every eighth call; the four cases of one output take different calls.
    """

    async def main():
        counted, whole = Faults(), Machine(KINDS[kind], 0)
        assert await whole.process(counted) is None
        assert {"write", "fsync", "fsync_folder", "ledger.commit", "ledger.finish"} <= set(counted.log)
        assert ("rename" in counted.log) == ("parquet" in KINDS[kind])
        wanted = await whole.outcome()
        for at in sampled(range(counted.calls), 8, 2 * (2 * kill + after)):
            machine = Machine(KINDS[kind], at)
            faults = Faults(at, kill=kill, after=after)
            ended = await machine.process(faults)
            reached = faults.calls > at  # how many writes there are depends on how fast a commit is
            assert isinstance(ended, Killed if kill else PenstockError) == reached, (faults.log[-1], ended)
            if kill:
                machine.disk.cut_power()
            assert await machine.process(Faults()) is None
            assert await machine.outcome() == wanted, (at, counted.log[at])

    asyncio.run(main())
