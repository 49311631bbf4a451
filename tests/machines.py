"""A machine that may die: a ledger and sinks that outlive the process, and a fault at the k-th call to them.

``Machine`` holds what is on disk. ``ledger`` and ``sink`` are what one process sees of it: each call is
counted, and at the chosen one the process is killed (nothing has any effect from then on) or an error is
raised, once, before or after the call had its effect (``penstock.testing.faults``).
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Ledger, Sink
from penstock.errors import SinkMismatch
from penstock.ledger import MemoryLedger
from penstock.sinks import SeveralSinks
from penstock.testing.faults import Faults as Fault
from penstock.testing.faults import FaultyLedger, FaultySink, Killed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.document import Document

__all__ = ["Base", "DatabaseSink", "Fault", "Killed", "Machine"]


@dataclass
class Base:
    """What a database holds: rows by id, and the commit that they belong to."""

    name: str
    rows: dict[str, Document] = field(default_factory=dict)
    held: Commit | None = None


@dataclass
class Machine:
    """What is on disk: the books of a ledger, a file of documents, or a database of them."""

    books: MemoryLedger = field(default_factory=MemoryLedger)
    file: list[Document] = field(default_factory=list)
    durable: int = 0
    base: Base = field(default_factory=lambda: Base("one"))
    other: Base = field(default_factory=lambda: Base("two"))
    attempts: Counter[str] = field(default_factory=Counter)

    def ledger(self, fault: Fault) -> Ledger:
        return FaultyLedger(self.books, fault)

    def file_sink(self, fault: Fault) -> Sink:
        return FaultySink(FileSink(self), fault)

    def database(self, fault: Fault) -> Sink:
        return FaultySink(DatabaseSink(self.base), fault)

    def several(self, fault: Fault) -> Sink:
        """Return a database, a file and another database at once."""
        second = FaultySink(DatabaseSink(self.other), fault)
        return SeveralSinks(self.database(fault), self.file_sink(fault), second)

    async def lose_power(self, seed: int) -> None:
        """End the process: some of what was written and not made durable is there, some is not."""
        del self.file[random.Random(seed).randint(self.durable, len(self.file)) :]
        await self.books.aclose()


class FileSink(Sink):
    """The file as a sink: cut back to the record on opening, as a file sink's is."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        offset = record["offset"] if record and not restart else 0
        if not restart and (len(self._machine.file) < offset or (record is None and self._machine.file)):
            raise SinkMismatch(f"{len(self._machine.file)} documents in the file, the record says {record}")
        del self._machine.file[offset:]
        self._machine.durable = offset
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        self._machine.file.extend(documents)

    async def commit(self, commit: Commit) -> JSON:
        self._machine.durable = len(self._machine.file)
        return {"offset": self._machine.durable}

    async def aclose(self) -> None:
        pass


class DatabaseSink(Sink):
    """One process' view of the database: documents, position and epoch in one transaction."""

    transactional = True

    def __init__(self, base: Base) -> None:
        self._base = base
        self._written: list[Document] = []

    def describe(self) -> str:
        return f"database {self._base.name}"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        if restart:
            self._base.rows, self._base.held = {}, None
        return self._base.held

    async def write(self, documents: Sequence[Document]) -> None:
        self._written += documents

    async def commit(self, commit: Commit) -> JSON:
        self._base.rows.update((document.doc_id, document) for document in self._written)
        self._base.held = commit
        self._written = []
        return None

    async def aclose(self) -> None:
        pass
