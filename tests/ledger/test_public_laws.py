"""The public laws of ledgers: our ledgers keep them, and each law finds a broken ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.ledger import MemoryLedger
from penstock.ledger.memory import _Entry
from penstock.testing import LawViolation, ledger_laws


@pytest.mark.parametrize("law", ledger_laws.LAWS)
async def test_every_ledger_keeps_every_law(kind, law):
    """Each law runs on a new ledger."""
    await ledger_laws.LAWS[law](kind)


class StartsAtTwo(MemoryLedger):
    async def open(self, key, *, restart=False):
        opened = await super().open(key, restart=restart)
        return replace(opened, run=opened.run + 1)


class ForgetsCounts(MemoryLedger):
    async def open(self, key, *, restart=False):
        return replace(await super().open(key, restart=restart), counts={})


class CarriesCounts(MemoryLedger):
    async def open(self, key, *, restart=False):
        opened = await super().open(key, restart=restart)
        return replace(opened, counts={"completed": 1} if opened.run == 2 else opened.counts)


class RestartsEverything(MemoryLedger):
    async def open(self, key, *, restart=False):
        if restart:
            self._entries = {name: self._entries[name] for name in self._entries if name == key}
        return await super().open(key, restart=restart)


class UndoesTooMuch(MemoryLedger):
    async def undo_open(self, key):
        self._entries.pop(key, None)
        self._open.discard(key)


class OpensByItself(MemoryLedger):
    def _opened(self, key):
        self._open.add(key)
        return self._entries.setdefault(key, _Entry())


class AnswersAsOfNow(MemoryLedger):
    async def commit(self, key, commit):
        await super().commit(key, commit)
        entry = self._opened(key)
        entry.settled |= entry.settled_now


class CutsBytes(MemoryLedger):
    async def commit(self, key, commit):
        letters = [replace(one, raw=one.raw[:100]) for one in commit.dead_letters]
        await super().commit(key, replace(commit, dead_letters=letters))


class KnowsNoCause(MemoryLedger):
    def deadly_letters(self, key):
        return self.dead_letters(key)


class KeepsResolved(MemoryLedger):
    async def commit(self, key, commit):
        await super().commit(key, replace(commit, resolved=()))


class TakesAnyEpoch(MemoryLedger):
    async def commit(self, key, commit):
        entry = self._opened(key)
        entry.epoch = min(entry.epoch, commit.epoch - 1)
        await super().commit(key, commit)


class CommitsHalf(MemoryLedger):
    async def commit(self, key, commit):
        try:
            await super().commit(key, commit)
        except ValueError:
            await super().commit(key, replace(commit, states=()))
            raise


class WritesAnything(MemoryLedger):
    async def commit(self, key, commit):
        if commit.counts and not all(isinstance(n, int) for n in commit.counts.values()):
            commit = replace(commit, counts={})
        await super().commit(key, commit)


class SharesPositions(MemoryLedger):
    async def commit(self, key, commit):
        await super().commit(key, commit)
        self.shared = commit.position

    async def open(self, key, *, restart=False):
        opened = await super().open(key, restart=restart)
        return replace(opened, position=getattr(self, "shared", opened.position))


class ShowsPending(MemoryLedger):
    async def pending(self, key, commit):
        await super().pending(key, commit)
        self._opened(key).letters |= {letter.key: letter for letter in commit.dead_letters}


class ConfirmsAll(MemoryLedger):
    async def confirm(self, key, epoch):
        await super().confirm(key, max(epoch, 3))


class JumpsToConfirmedEpoch(MemoryLedger):
    async def confirm(self, key, epoch):
        await super().confirm(key, epoch)
        self._opened(key).epoch = max(self._opened(key).epoch, epoch)


class OvertakesPending(MemoryLedger):
    async def commit(self, key, commit):
        self._opened(key).pending = {}
        await super().commit(key, commit)


class CutsText(MemoryLedger):
    async def commit(self, key, commit):
        states = [replace(one, doc_id=one.doc_id.split("\0")[0]) for one in commit.states]
        await super().commit(key, replace(commit, states=states))


MUTANTS = {
    "fresh": StartsAtTwo,
    "resumed": ForgetsCounts,
    "next_run": CarriesCounts,
    "restarting": RestartsEverything,
    "undone": UndoesTooMuch,
    "not_open": OpensByItself,
    "unchanged": AnswersAsOfNow,
    "dead_letters": CutsBytes,
    "deadly": KnowsNoCause,
    "resolved": KeepsResolved,
    "epochs": TakesAnyEpoch,
    "all_or_nothing": CommitsHalf,
    "json_only": WritesAnything,
    "copies": SharesPositions,
    "pending": ShowsPending,
    "dropped": ConfirmsAll,
    "confirmed": JumpsToConfirmedEpoch,
    "overtaking": OvertakesPending,
    "any_text": CutsText,
}


class Broken:
    """A kind of ledger of the given class; a crash ends the session."""

    def __init__(self, ledger):
        self.new = ledger

    async def crash(self, ledger):
        await ledger.aclose()
        return ledger


def test_there_is_a_mutant_for_every_law():
    """Every law has a mutant that proves that the law can fail."""
    assert list(MUTANTS) == list(ledger_laws.LAWS)


@pytest.mark.parametrize("law", MUTANTS)
async def test_each_law_finds_its_mutant(law):
    """Each law fails on its mutant; the error names the law."""
    with pytest.raises(LawViolation) as caught:
        await ledger_laws.LAWS[law](Broken(MUTANTS[law]))
    assert caught.value.law == law


def test_all_at_once():
    """``check`` runs every law, and raises the first violation."""
    ledger_laws.check(lambda: Broken(MemoryLedger))
    with pytest.raises(LawViolation, match="law of any_text"):
        ledger_laws.check(lambda: Broken(CutsText))
