"""What every ledger promises, as checks that anyone can call on a ledger of their own.

>>> from penstock.testing import ledger_laws
>>> ledger_laws.check(lambda: MyKind())

A ``LedgerKind`` says how a new, empty ledger is made, and how a crash looks. Each law is an async function of
a kind, uses nothing but what ``penstock.abc.Ledger`` promises, and raises ``LawViolation`` if a promise is
broken.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from penstock.abc import Commit, DeadLetter, DocumentState, Ledger, Opened
from penstock.errors import LedgerError, PositionError
from penstock.testing.promises import hold, refused, same

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = [
    "LAWS",
    "LedgerKind",
    "all_or_nothing",
    "any_text",
    "check",
    "confirmed",
    "copies",
    "dead_letters",
    "dropped",
    "epochs",
    "fresh",
    "json_only",
    "next_run",
    "not_open",
    "overtaking",
    "pending",
    "resolved",
    "restarting",
    "resumed",
    "unchanged",
]

KEY = "laws"


class LedgerKind(Protocol):
    """One kind of ledger, and what can happen to it."""

    def new(self) -> Ledger:
        """Return a ledger that knows nothing."""
        ...

    async def crash(self, ledger: Ledger) -> Ledger:
        """End ``ledger`` as if its process had been killed, and return another on what is left."""
        ...


class _Use:
    """A ledger in use."""

    def __init__(self, kind: LedgerKind, law: str) -> None:
        self.kind = kind
        self.law = law
        self.ledger = kind.new()

    async def crash(self) -> Opened:
        self.ledger = await self.kind.crash(self.ledger)
        return await self.ledger.open(KEY)

    async def commit(self, epoch: int, *states: DocumentState, **more: Any) -> None:
        await self.ledger.commit(KEY, _commit(epoch, *states, **more))

    async def pend(self, epoch: int, *states: DocumentState, **more: Any) -> None:
        await self.ledger.pending(KEY, _commit(epoch, *states, **more))

    async def run(self, *states: DocumentState) -> None:
        """Run one logical run with one commit from beginning to end."""
        opened = await self.ledger.open(KEY)
        await self.commit(opened.epoch + 1, *states)
        await self.ledger.finish(KEY, "completed")

    async def known(self, after: str, wanted: list[bool], *asked: tuple[str, str]) -> None:
        came = list(await self.ledger.unchanged(KEY, asked))
        same(self.law, f"after {after}, which of {asked} are unchanged", came, wanted)

    async def letters(self, after: str, *wanted: DeadLetter) -> None:
        came = [letter async for letter in self.ledger.dead_letters(KEY)]
        same(self.law, f"after {after}, the dead letters", came, list(wanted))
        count = await self.ledger.count_dead_letters(KEY)
        same(self.law, f"after {after}, the number of dead letters", count, len(wanted))

    def opened(self, after: str, came: Opened, **wanted: Any) -> None:
        for name, value in wanted.items():
            same(self.law, f"after {after}, Opened.{name}", getattr(came, name), value)


@asynccontextmanager
async def _using(kind: LedgerKind, law: str) -> AsyncIterator[_Use]:
    use = _Use(kind, law)
    try:
        yield use
    finally:
        await use.ledger.aclose()


def _state(doc_id: str, content_hash: str, status: str = "completed") -> DocumentState:
    return DocumentState(doc_id, status, content_hash, 2, "bad" if status == "failed" else None)


def _letter(key: str, doc_id: str | None = None, raw: bytes = b"<x/>") -> DeadLetter:
    return DeadLetter(doc_id, key, "laws", "bad date", "ValueError", raw, {"at": [1]}, "trace", 3, 12.5)


def _at(epoch: int) -> dict[str, Any]:
    return {"v": 1, "nodes": {"a": epoch}}


def _commit(epoch: int, *states: DocumentState, **more: Any) -> Commit:
    return Commit(epoch, more.pop("position", _at(epoch)), states, more.pop("letters", ()), **more)


# -- runs --------------------------------------------------------------------------------------------


async def fresh(kind: LedgerKind) -> None:
    """The first ``open`` begins run 1 at epoch 0, without position, record, counts or dead letters."""
    async with _using(kind, "fresh") as use:
        came = await use.ledger.open(KEY)
        use.opened(
            "the first open", came, run=1, epoch=0, position=None, record=None, counts={}, resumed=False
        )
        hold(use.law, came.started_at > 0, "started_at should be Unix time")
        await use.letters("the first open")


async def resumed(kind: LedgerKind) -> None:
    """After a crash the same run goes on at its last commit, with its record, counts and beginning."""
    async with _using(kind, "resumed") as use:
        first = await use.ledger.open(KEY)
        for epoch in (1, 2):
            await use.commit(epoch, _state("a", "1"), record={"at": epoch}, counts={"completed": epoch})
        use.opened(
            "a crash", await use.crash(), run=1, epoch=2, resumed=True, position=_at(2), record={"at": 2},
            counts={"completed": 2}, started_at=first.started_at,
        )  # fmt: skip


async def next_run(kind: LedgerKind) -> None:
    """A completed run is followed by the next, which has its position and record and no counts."""
    async with _using(kind, "next_run") as use:
        await use.ledger.open(KEY)
        await use.commit(1, _state("a", "1"), record={"at": 5}, counts={"completed": 1})
        try:
            await use.ledger.finish(KEY, "failed")
        except ValueError:
            pass
        else:
            hold(
                use.law,
                kept=False,
                message="finish('failed') should raise ValueError: it is just not finished",
            )
        await use.ledger.finish(KEY, "completed")
        wanted = {"run": 2, "epoch": 1, "position": _at(1), "record": {"at": 5}, "counts": {}}
        use.opened("the end of a run", await use.crash(), resumed=False, **wanted)
        use.opened("a crash in the next", await use.crash(), resumed=True, **wanted)


async def restarting(kind: LedgerKind) -> None:
    """``restart`` forgets position, record, states and dead letters of its key, and nothing of another."""
    async with _using(kind, "restarting") as use:
        await use.run(_state("a", "1"))
        await use.ledger.open("other")
        await use.ledger.commit("other", _commit(1, letters=[_letter("f#9")]))
        await use.ledger.open(KEY)
        await use.commit(2, letters=[_letter("f#1")])
        await use.pend(3, _state("b", "1"))
        wanted: dict[str, Any] = {"run": 3, "epoch": 0, "position": None, "record": None, "counts": {}}
        use.opened("a restart", await use.ledger.open(KEY, restart=True), resumed=False, **wanted)
        use.opened("a restart and a crash", await use.crash(), **wanted)
        await use.known("a restart", [False], ("a", "1"))
        await use.letters("a restart")
        other = await use.ledger.open("other")
        use.opened("a restart of another key", other, run=1, epoch=1, position=_at(1))


async def not_open(kind: LedgerKind) -> None:
    """Each call on a key that is not open says so: before, after the run, after closing."""
    async with _using(kind, "not_open") as use:

        async def all_refused(when: str) -> None:
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "unchanged": lambda: use.ledger.unchanged(KEY, []),
                "commit": lambda: use.commit(9),
                "pending": lambda: use.pend(9),
                "confirm": lambda: use.ledger.confirm(KEY, 1),
                "finish": lambda: use.ledger.finish(KEY, "completed"),
                "count_dead_letters": lambda: use.ledger.count_dead_letters(KEY),
            }
            for name, call in calls.items():
                with refused(use.law, f"{name} {when}", LedgerError):
                    await call()

        await all_refused("before open")
        await use.run(_state("a", "1"))
        await all_refused("after finish")
        await use.ledger.open(KEY)
        await use.ledger.aclose()
        await use.ledger.aclose()
        await all_refused("after aclose")


# -- what documents came to --------------------------------------------------------------------------


async def unchanged(kind: LedgerKind) -> None:
    """As of the start of the run; a later failure forgets nothing, a tombstone counts, no hash never."""
    async with _using(kind, "unchanged") as use:
        await use.run(_state("a", "1"), _state("b", "1"), _state("e", ""), _state("g", "1"))
        await use.ledger.open(KEY)
        asked: list[tuple[str, str]] = [("a", "1"), ("b", "2"), ("c", "1"), ("e", ""), ("a", "1")]
        before = [True, False, False, False, True]
        await use.known("one run", before, *asked)
        await use.commit(
            2, _state("a", "2"), _state("c", "1"), _state("b", "2", "failed"), _state("g", "t", "deleted")
        )
        await use.known("a commit of this run", before, *asked)
        await use.ledger.finish(KEY, "completed")
        await use.crash()
        asked = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1"), ("g", "1"), ("g", "t")]
        await use.known("the next run", [False, True, True, False, True, False, True], *asked)
        many = [_state(f"d{n}", f"{n:064x}") for n in range(1_500)]
        await use.commit(3, *many)
        await use.ledger.finish(KEY, "completed")
        await use.ledger.open(KEY)
        came = await use.ledger.unchanged(KEY, [(one.doc_id, one.content_hash) for one in many])
        hold(
            use.law, all(came) and len(came) == len(many), "every document of a large commit should be known"
        )


async def dead_letters(kind: LedgerKind) -> None:
    """They come back whole, oldest first; one that fails again is kept once, as it failed last."""
    async with _using(kind, "dead_letters") as use:
        await use.ledger.open(KEY)
        letters = [_letter(f"f#{n}", None, bytes(range(256)) * n) for n in range(20)]
        await use.commit(1, letters=letters[:12])
        await use.commit(2, letters=letters[12:])
        await use.crash()
        await use.letters("two commits and a crash", *letters)
        again = _letter("f#0", None, b"again")
        await use.commit(3, letters=[again])
        await use.letters("another failure of the first", *letters[1:], again)


async def resolved(kind: LedgerKind) -> None:
    """A success settles the letters of its document, ``Commit.resolved`` those of records; drops drop."""
    async with _using(kind, "resolved") as use:
        await use.ledger.open(KEY)
        old = [_letter("f#1", "a"), _letter("f#2", "b"), _letter("f#3"), _letter("f#4"), _letter("f#5", "c")]
        await use.commit(1, letters=old)
        await use.commit(2, _state("a", "1"), _state("b", "1", "failed"), resolved=["f#3"])
        await use.letters("a success and a resolved record", old[1], old[3], old[4])
        await use.pend(3, _state("c", "1"), resolved=["f#4"])
        await use.letters("a pending commit", old[1], old[3], old[4])
        await use.ledger.confirm(KEY, 3)
        await use.letters("its confirmation", old[1])
        same(use.law, "what dropping returns", await use.ledger.drop_dead_letters(KEY, ["f#2", "f#9"]), 1)
        await use.letters("dropping it")


# -- commits -----------------------------------------------------------------------------------------


async def epochs(kind: LedgerKind) -> None:
    """An epoch that was committed before is refused, by ``commit`` and ``pending``, and changes nothing."""
    async with _using(kind, "epochs") as use:
        await use.ledger.open(KEY)
        await use.commit(4)
        for epoch in (4, 3):
            for name, write in (("commit", use.commit), ("pending", use.pend)):
                with refused(use.law, f"{name} of epoch {epoch} behind 4", LedgerError):
                    await write(epoch, position=_at(99))
        use.opened("refused commits", await use.crash(), epoch=4, position=_at(4))


async def all_or_nothing(kind: LedgerKind) -> None:
    """A state with an unknown status leaves nothing of its commit."""
    async with _using(kind, "all_or_nothing") as use:
        await use.ledger.open(KEY)
        try:
            await use.commit(1, _state("a", "1"), _state("b", "1", "strange"), letters=[_letter("f#1")])
        except ValueError:
            pass
        else:
            hold(use.law, kept=False, message="a state with an unknown status should raise ValueError")
        use.opened("a refused commit", await use.crash(), epoch=0, position=None)
        await use.letters("a refused commit")


async def json_only(kind: LedgerKind) -> None:
    """A position, record or counts that are not JSON are refused by name."""
    async with _using(kind, "json_only") as use:
        await use.ledger.open(KEY)
        for what in ("position", "record", "counts"):
            for value in ({"a": object()}, {"a": float("nan")}):
                with refused(use.law, f"a commit whose {what} is {value}", PositionError, what):
                    await use.commit(1, **{what: value})
        use.opened("refused commits", await use.ledger.open(KEY), epoch=0, position=None)


async def copies(kind: LedgerKind) -> None:
    """What is changed after a commit, or after ``open`` gave it, changes nothing that was committed."""
    async with _using(kind, "copies") as use:
        await use.ledger.open(KEY)
        position: dict[str, Any] = {"v": 1, "nodes": {"a": [1]}}
        await use.commit(1, position=position)
        position["nodes"]["a"].append(2)
        for after in ("a change of what was given", "a change of what came back"):
            opened = await use.ledger.open(KEY)
            use.opened(after, opened, position={"v": 1, "nodes": {"a": [1]}})
            if opened.position is not None:
                opened.position["nodes"]["a"].append(3)


async def pending(kind: LedgerKind) -> None:
    """Nothing of a pending commit shows, also after a crash; a second attempt at its epoch replaces it."""
    async with _using(kind, "pending") as use:
        await use.ledger.open(KEY)
        await use.commit(1, letters=[_letter("f#1", "a")])
        await use.pend(2, letters=[_letter("f#2")])
        await use.pend(2, _state("a", "1"), letters=[_letter("f#3")])
        use.opened("a pending commit and a crash", await use.crash(), epoch=1, position=_at(1))
        await use.letters("a pending commit", _letter("f#1", "a"))
        await use.ledger.confirm(KEY, 2)
        use.opened("its confirmation", await use.crash(), epoch=2, position=_at(2))
        await use.letters("its confirmation", _letter("f#3"))


async def dropped(kind: LedgerKind) -> None:
    """Confirming an earlier epoch forgets the later ones, and they may be written again."""
    async with _using(kind, "dropped") as use:
        await use.ledger.open(KEY)
        for epoch in (1, 2, 3):
            await use.pend(epoch, _state(f"{epoch}", "1"), letters=[_letter(f"f#{epoch}")])
        await use.crash()
        await use.ledger.confirm(KEY, 2)
        use.opened("a decision for 2 of 3", await use.crash(), epoch=2, position=_at(2))
        await use.letters("a decision for 2 of 3", _letter("f#1"), _letter("f#2"))
        await use.commit(3, _state("x", "1"))
        await use.ledger.finish(KEY, "completed")
        await use.ledger.open(KEY)
        await use.known("the run", [True, True, False, True], ("1", "1"), ("2", "1"), ("3", "1"), ("x", "1"))


async def confirmed(kind: LedgerKind) -> None:
    """``confirm`` with nothing pending does nothing: a sink says what it holds at every start."""
    async with _using(kind, "confirmed") as use:
        await use.ledger.open(KEY)
        await use.ledger.confirm(KEY, 0)
        await use.commit(1)
        for epoch in (7, 0):
            await use.ledger.confirm(KEY, epoch)
        use.opened("idle confirmations", await use.crash(), epoch=1, position=_at(1))


async def overtaking(kind: LedgerKind) -> None:
    """While an epoch waits for its decision, neither a commit nor the end of the run is accepted."""
    async with _using(kind, "overtaking") as use:
        await use.ledger.open(KEY)
        await use.pend(1)
        with refused(use.law, "a commit behind a pending one", LedgerError):
            await use.commit(2)
        with refused(use.law, "finish behind a pending commit", LedgerError):
            await use.ledger.finish(KEY, "completed")
        await use.ledger.confirm(KEY, 0)
        await use.commit(2)
        await use.ledger.finish(KEY, "completed")


async def any_text(kind: LedgerKind) -> None:
    """No identifier or error text breaks a commit, and none is taken for another."""
    async with _using(kind, "any_text") as use:
        texts = ["a\0b", "ab", "\ud800", "\U0001f9ea", "'; DROP TABLE runs; --", "\x1b[2J", "x" * 3_000]
        states = [
            DocumentState(text, "completed", f"{n:064x}", 1, text, text) for n, text in enumerate(texts)
        ]
        letters = [_letter(text, f"letter of {n}") for n, text in enumerate(texts) if text != "\ud800"]
        await use.ledger.open(KEY)
        await use.commit(1, *states, letters=letters)
        await use.ledger.finish(KEY, "completed")
        await use.ledger.open(KEY)
        asked = [(one.doc_id, one.content_hash) for one in states]
        await use.known("a run", [True] * len(asked), *asked)
        await use.known("a run", [False], ("a", f"{0:064x}"))
        await use.letters("a run", *letters)


LAWS: dict[str, Callable[[LedgerKind], Awaitable[None]]] = {
    law.__name__: law
    for law in (
        fresh, resumed, next_run, restarting, not_open, unchanged, dead_letters, resolved, epochs,
        all_or_nothing, json_only, copies, pending, dropped, confirmed, overtaking, any_text,
    )
}  # fmt: skip
"""The laws by name."""


def check(make: Callable[[], LedgerKind]) -> None:
    """Check that ledgers of a kind keep every law; each law gets a kind of its own.

    Raises:
        LawViolation: a law is broken; the first one that is.
    """
    for law in LAWS.values():
        asyncio.run(_checked(law, make))


async def _checked(law: Callable[[LedgerKind], Awaitable[None]], make: Callable[[], LedgerKind]) -> None:
    await law(make())
