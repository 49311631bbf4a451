"""A machine whose process may be killed: a ledger and sinks that outlive it, and a fault at a chosen call.

``Machine`` holds what is on disk. Its ledger and sinks count their calls. At the chosen call the process is
killed, and later calls have no effect; or an error is raised once, before or after the call has its effect
(see ``penstock.testing.faults``).
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
    """The content of a database: rows by id, and the commit that they belong to."""

    name: str
    rows: dict[str, Document] = field(default_factory=dict)
    held: Commit | None = None


@dataclass
class Machine:
    """What is on disk: a ledger, a file of documents, and databases of documents."""

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
        """Return a sink that writes to a database, a file and another database."""
        second = FaultySink(DatabaseSink(self.other), fault)
        return SeveralSinks(self.database(fault), self.file_sink(fault), second)

    async def lose_power(self, seed: int) -> None:
        """End the process; a random part of what was not durable is lost."""
        del self.file[random.Random(seed).randint(self.durable, len(self.file)) :]
        await self.books.aclose()


class FileSink(Sink):
    """A sink for the file; ``open`` cuts the file back to the record."""

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
    """A sink for a database: commits documents, position and epoch in one transaction."""

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
