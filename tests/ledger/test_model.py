"""Every ledger against a model of plain dictionaries, under random use and random crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from penstock.abc import Commit, DeadLetter, DocumentState

KEYS = ["k1", "k2"]
DOCUMENTS = ["a", "b", "c", "d"]
HASHES = ["", "1", "2", "ab" * 32]

outcomes = st.builds(
    DocumentState,
    st.sampled_from(DOCUMENTS),
    st.sampled_from(["completed", "failed", "deleted"]),
    st.sampled_from(HASHES),
)
letters = st.builds(
    DeadLetter,
    st.none() | st.sampled_from(DOCUMENTS),
    st.sampled_from(["f#1", "f#2", "f#3"]),
    st.just("x"),
    st.just("bad"),
    st.just("E"),
    st.binary(max_size=3),
)
contents = st.tuples(st.lists(outcomes, max_size=6), st.lists(letters, max_size=2))


class Book:
    """What must be true of one key."""

    def __init__(self, run=0):
        self.run, self.epoch, self.running, self.position = run, 0, False, None
        self.states, self.letters = {}, []
        self.history = []  # every settled outcome of earlier runs, in order
        self.now = []  # of this run
        self.touched = set()  # by this run
        self.pending = {}

    def apply(self, epoch, states, letters):
        self.epoch, self.position = epoch, epoch
        final = {}
        for state in states:
            self.states[state.doc_id] = final[state.doc_id] = state
            self.touched.add(state.doc_id)
            if state.status != "failed":
                self.now.append((state.doc_id, state.content_hash))
        for letter in letters:
            self.letters = [*(old for old in self.letters if old.key != letter.key), letter]
        solved = {doc_id for doc_id, state in final.items() if state.status != "failed"}
        self.letters = [letter for letter in self.letters if letter.doc_id not in solved]

    def unchanged(self, doc_id, content_hash):
        last = [old for known, old in self.history if known == doc_id][-1:]
        return last == [content_hash] != [""]


class LedgerMachine(RuleBasedStateMachine):
    new_kind: Callable

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.kind = type(self).new_kind()
        self.ledger = self.kind.new()
        self.books = {key: Book() for key in KEYS}
        self.open_keys = set()

    def do(self, call):
        return self.runner.run(call)

    def teardown(self):
        self.do(self.ledger.aclose())
        self.runner.close()

    @rule(key=st.sampled_from(KEYS), restart=st.sampled_from([False, False, False, True]))
    def open(self, key, restart):
        book = self.books[key]
        resumed = book.running and not restart
        if restart:
            book = self.books[key] = Book(book.run)
        if not resumed:
            book.run, book.running = book.run + 1, True
            book.history += book.now
            book.now, book.touched = [], set()
        opened = self.do(self.ledger.open(key, restart=restart))
        self.open_keys.add(key)
        position = None if book.position is None else {"v": book.position}
        assert opened.run == book.run
        assert opened.epoch == book.epoch
        assert opened.position == position
        assert opened.resumed == resumed

    def one_open(self, data):
        return data.draw(st.sampled_from(sorted(self.open_keys)), "key")

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data(), content=contents, skipped=st.integers(1, 3))
    def commit(self, data, content, skipped):
        key = self.one_open(data)
        book = self.books[key]
        if book.pending:
            return
        epoch = book.epoch + skipped
        self.do(self.ledger.commit(key, Commit(epoch, {"v": epoch}, *deepcopy(content))))
        book.apply(epoch, *content)

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data(), content=contents, ahead=st.integers(1, 4))
    def pending(self, data, content, ahead):
        key = self.one_open(data)
        book = self.books[key]
        epoch = book.epoch + ahead
        self.do(self.ledger.pending(key, Commit(epoch, {"v": epoch}, *deepcopy(content))))
        book.pending = {e: c for e, c in book.pending.items() if e < epoch} | {epoch: content}

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data(), ahead=st.integers(0, 4))
    def confirm(self, data, ahead):
        key = self.one_open(data)
        book = self.books[key]
        last = book.epoch + ahead
        self.do(self.ledger.confirm(key, last))
        for epoch in sorted(book.pending):
            if epoch <= last:
                book.apply(epoch, *book.pending[epoch])
        book.pending = {}

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data())
    def finish(self, data):
        key = self.one_open(data)
        if self.books[key].pending:
            return
        self.do(self.ledger.finish(key, "completed"))
        self.books[key].running = False
        self.open_keys.discard(key)

    @rule()
    def crash(self):
        self.ledger = self.do(self.kind.crash(self.ledger))
        self.open_keys = set()

    @rule()
    def close(self):
        self.do(self.ledger.aclose())
        self.open_keys = set()

    @invariant()
    def agrees(self):
        for key in self.open_keys:
            self.do(self.compare(key, self.books[key]))

    async def compare(self, key, book):
        asked = [(doc_id, content_hash) for doc_id in DOCUMENTS for content_hash in HASHES]
        expected = [book.unchanged(*pair) for pair in asked]
        assert await self.ledger.unchanged(key, asked) == expected
        revised = {doc_id async for some in self.ledger.revised(key) for doc_id in some}
        assert revised == {doc_id for doc_id, _ in book.history if doc_id in book.touched}
        assert await self.ledger.states(key, DOCUMENTS) == [book.states.get(name) for name in DOCUMENTS]
        assert [letter async for letter in self.ledger.dead_letters(key)] == book.letters
        assert await self.ledger.count_dead_letters(key) == len(book.letters)
        counts = {}
        for state in book.states.values():
            counts[state.status] = counts.get(state.status, 0) + 1
        assert await self.ledger.tally(key) == counts


@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres"])
def test_any_use_agrees_with_the_model(make_kind, name):
    """Whatever is called in whatever order, and however often it crashes, ledger and model agree."""
    kind = make_kind(name)

    class Machine(LedgerMachine):
        new_kind = staticmethod(lambda: kind)

    examples = settings.default.max_examples // (6 if name == "postgres" else 1)
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=30))


@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres"])
async def test_what_a_long_run_has_revised(make_kind, name):
    """It is read in parts, whatever the commits; what only this run or only earlier ones know is not in it."""
    ledger = make_kind(name).new()
    for run, ids in enumerate([range(5_000), range(100, 9_000)], 1):
        await ledger.open("k")
        states = [DocumentState(f"d{n}", "completed", str(run)) for n in ids]
        for epoch, at in enumerate(range(0, len(states), 1_500), 10 * run):
            await ledger.commit("k", Commit(epoch, {}, states[at : at + 1_500]))
        if run == 1:
            await ledger.finish("k", "completed")
    parts = [some async for some in ledger.revised("k")]
    assert [doc_id for some in parts for doc_id in some] == [f"d{n}" for n in range(100, 5_000)]
    await ledger.aclose()
