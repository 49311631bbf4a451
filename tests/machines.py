"""A machine that may die: a ledger and sinks that outlive the process, and a fault at the k-th call to them.

``Machine`` holds what is on disk. ``ledger`` and ``sink`` are what one process sees of it: each call is
counted, and at the chosen one the process is killed (nothing has any effect from then on) or an error is
raised, once, before or after the call had its effect.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.abc import JSON, Commit, Ledger, Opened, Sink
from penstock.errors import LedgerError, SinkError, SinkMismatch
from penstock.ledger import MemoryLedger
from penstock.sinks import SeveralSinks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from penstock.abc import DeadLetter, DocumentState
    from penstock.document import Document


class Killed(BaseException):
    """The process is gone; a ``BaseException``, because no handler runs in a killed process."""


@dataclass
class Fault:
    """What goes wrong at call number ``at`` (counted from 0), before or after it has taken effect."""

    at: int = -1
    kill: bool = True
    after: bool = False
    calls: int = 0
    dead: bool = False
    turns: int = 0  # of the loop that each call takes, before and after its effect
    log: list[str] = field(default_factory=list)

    async def around(self, name: str, error: type[Exception], call: Callable[[], Awaitable[Any]]) -> Any:
        if self.dead:
            raise Killed
        now, self.calls = self.calls == self.at, self.calls + 1
        self.log.append(name)
        if now and not self.after:
            self.strike(name, error)
        await self.wait()
        result = await call()
        await self.wait()
        if self.dead:
            raise Killed  # another task of this process was killed meanwhile
        if now:
            self.strike(name, error)
        return result

    async def wait(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)

    def strike(self, name: str, error: type[Exception]) -> None:
        if self.kill:
            self.dead = True
            raise Killed(name)
        raise error(f"{name} failed, as planned")


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
        return FaultyLedger(self, fault)

    def file_sink(self, fault: Fault) -> Sink:
        return FileSink(self, fault)

    def database(self, fault: Fault) -> Sink:
        return DatabaseSink(self.base, fault)

    def several(self, fault: Fault) -> Sink:
        """Return a database, a file and another database at once."""
        first, second = DatabaseSink(self.base, fault), DatabaseSink(self.other, fault)
        return SeveralSinks(first, self.file_sink(fault), second)

    async def lose_power(self, seed: int) -> None:
        """End the process: some of what was written and not made durable is there, some is not."""
        del self.file[random.Random(seed).randint(self.durable, len(self.file)) :]
        await self.books.aclose()


class FaultyLedger(Ledger):
    """One process' view of the books."""

    def __init__(self, machine: Machine, fault: Fault) -> None:
        self._books = machine.books
        self._fault = fault

    async def _call(self, name: str, *args: Any, **options: Any) -> Any:
        call = getattr(self._books, name)
        return await self._fault.around(f"ledger.{name}", LedgerError, lambda: call(*args, **options))

    async def open(self, key: str, *, restart: bool = False) -> Opened:
        return await self._call("open", key, restart=restart)

    async def unchanged(self, key: str, documents: Sequence[tuple[str, str]]) -> list[bool]:
        return await self._call("unchanged", key, documents)

    async def commit(self, key: str, commit: Commit) -> None:
        await self._call("commit", key, commit)

    async def pending(self, key: str, commit: Commit) -> None:
        await self._call("pending", key, commit)

    async def confirm(self, key: str, epoch: int) -> None:
        await self._call("confirm", key, epoch)

    async def finish(self, key: str, state: str) -> None:
        await self._call("finish", key, state)

    async def count_dead_letters(self, key: str) -> int:
        return await self._call("count_dead_letters", key)

    def dead_letters(self, key: str) -> AsyncIterator[DeadLetter]:
        return self._books.dead_letters(key)

    async def states(self, key: str, ids: Sequence[str]) -> list[DocumentState | None]:
        return await self._books.states(key, ids)

    async def aclose(self) -> None:
        pass


class FileSink(Sink):
    """One process' view of the file: cut back to the record on opening, as a file sink's is."""

    def __init__(self, machine: Machine, fault: Fault) -> None:
        self._machine = machine
        self._fault = fault

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        async def opened() -> None:
            offset = record["offset"] if record and not restart else 0
            if not restart and (len(self._machine.file) < offset or (record is None and self._machine.file)):
                raise SinkMismatch(
                    f"{len(self._machine.file)} documents in the file, the record says {record}"
                )
            del self._machine.file[offset:]
            self._machine.durable = offset

        await self._fault.around("sink.open", SinkError, opened)
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        async def written() -> None:
            self._machine.file.extend(documents)

        await self._fault.around("sink.write", SinkError, written)

    async def commit(self, commit: Commit) -> JSON:
        async def committed() -> JSON:
            self._machine.durable = len(self._machine.file)
            return {"offset": self._machine.durable}

        return await self._fault.around("sink.commit", SinkError, committed)

    async def aclose(self) -> None:
        pass


class DatabaseSink(Sink):
    """One process' view of the database: documents, position and epoch in one transaction."""

    transactional = True

    def __init__(self, base: Base, fault: Fault) -> None:
        self._base = base
        self._fault = fault
        self._written: list[Document] = []

    def describe(self) -> str:
        return f"database {self._base.name}"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        async def opened() -> Commit | None:
            if restart:
                self._base.rows, self._base.held = {}, None
            return self._base.held

        return await self._fault.around("sink.open", SinkError, opened)

    async def write(self, documents: Sequence[Document]) -> None:
        async def written() -> None:
            self._written += documents

        await self._fault.around("sink.write", SinkError, written)

    async def commit(self, commit: Commit) -> JSON:
        async def committed() -> None:
            self._base.rows.update((document.doc_id, document) for document in self._written)
            self._base.held = commit
            self._written = []

        await self._fault.around("sink.commit", SinkError, committed)
        return None

    async def aclose(self) -> None:
        pass
