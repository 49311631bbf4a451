"""What the laws of ledgers share: a kind of ledger, a ledger in use, and commits for it."""

from __future__ import annotations

from typing import Any, Protocol

from penstock.abc import Commit, DeadLetter, DocumentState, Ledger, Opened
from penstock.testing.promises import Use

KEY = "laws"


class LedgerKind(Protocol):
    """One kind of ledger."""

    def new(self) -> Ledger:
        """Return an empty ledger."""
        ...

    async def crash(self, ledger: Ledger) -> Ledger:
        """End ``ledger`` as if its process had been killed; return a new one on what is left."""
        ...


class LedgerUse(Use):
    """A ledger in use."""

    def __init__(self, kind: LedgerKind, law: str) -> None:
        super().__init__(law)
        self.kind = kind
        self.ledger = kind.new()

    async def aclose(self) -> None:
        """Close the ledger."""
        await self.ledger.aclose()

    async def crash(self) -> Opened:
        """Let the process of the ledger be killed, and open what is left."""
        self.ledger = await self.kind.crash(self.ledger)
        return await self.ledger.open(KEY)

    async def commit(self, epoch: int, *states: DocumentState, **more: Any) -> None:
        """Commit; see ``commit_of``."""
        await self.ledger.commit(KEY, commit_of(epoch, *states, **more))

    async def pend(self, epoch: int, *states: DocumentState, **more: Any) -> None:
        """Write a pending commit; see ``commit_of``."""
        await self.ledger.pending(KEY, commit_of(epoch, *states, **more))

    async def run(self, *states: DocumentState) -> None:
        """Open, commit once, and finish."""
        opened = await self.ledger.open(KEY)
        await self.commit(opened.epoch + 1, *states)
        await self.ledger.finish(KEY, "completed")

    async def known(self, after: str, wanted: list[bool], *asked: tuple[str, str]) -> None:
        """Check which of these documents are unchanged."""
        came = list(await self.ledger.unchanged(KEY, asked))
        self.same(f"after {after}, which of {asked} are unchanged", came, wanted)

    async def letters(self, after: str, *wanted: DeadLetter) -> None:
        """Check which dead letters there are."""
        came = [letter async for letter in self.ledger.dead_letters(KEY)]
        self.same(f"after {after}, the dead letters", came, list(wanted))
        count = await self.ledger.count_dead_letters(KEY)
        self.same(f"after {after}, the number of dead letters", count, len(wanted))

    def opened(self, after: str, came: Opened, **wanted: Any) -> None:
        """Check some fields of what ``open`` returned."""
        for name, value in wanted.items():
            self.same(f"after {after}, Opened.{name}", getattr(came, name), value)


def state_of(doc_id: str, content_hash: str, status: str = "completed") -> DocumentState:
    """Return the state of a document that was tried twice."""
    return DocumentState(doc_id, status, content_hash, 2, "bad" if status == "failed" else None)


def letter_of(key: str, doc_id: str | None = None, raw: bytes = b"<x/>") -> DeadLetter:
    """Return a dead letter that has something in every field."""
    return DeadLetter(doc_id, key, "laws", "bad date", "ValueError", raw, {"at": [1]}, "trace", 3, 12.5)


def position_at(epoch: int) -> dict[str, Any]:
    """Return the position that commits of ``epoch`` have by default."""
    return {"v": 1, "nodes": {"a": epoch}}


def commit_of(epoch: int, *states: DocumentState, **more: Any) -> Commit:
    """Return a commit; ``more`` are ``letters``, and fields of ``Commit``."""
    return Commit(epoch, more.pop("position", position_at(epoch)), states, more.pop("letters", ()), **more)
