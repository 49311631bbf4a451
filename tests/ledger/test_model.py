"""Compare every ledger with a model of plain dictionaries, under random calls and crashes."""

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


class Model:
    """The expected state of one key."""

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
        self.models = {key: Model() for key in KEYS}
        self.open_keys = set()

    def do(self, call):
        return self.runner.run(call)

    def teardown(self):
        self.do(self.ledger.aclose())
        self.runner.close()

    @rule(key=st.sampled_from(KEYS), restart=st.sampled_from([False, False, False, True]))
    def open(self, key, restart):
        model = self.models[key]
        resumed = model.running and not restart
        if restart:
            model = self.models[key] = Model(model.run)
        if not resumed:
            model.run, model.running = model.run + 1, True
            model.history += model.now
            model.now, model.touched = [], set()
        opened = self.do(self.ledger.open(key, restart=restart))
        self.open_keys.add(key)
        position = None if model.position is None else {"v": model.position}
        assert opened.run == model.run
        assert opened.epoch == model.epoch
        assert opened.position == position
        assert opened.resumed == resumed

    def one_open(self, data):
        return data.draw(st.sampled_from(sorted(self.open_keys)), "key")

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data(), content=contents, skipped=st.integers(1, 3))
    def commit(self, data, content, skipped):
        key = self.one_open(data)
        model = self.models[key]
        if model.pending:
            return
        epoch = model.epoch + skipped
        self.do(self.ledger.commit(key, Commit(epoch, {"v": epoch}, *deepcopy(content))))
        model.apply(epoch, *content)

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data(), content=contents, ahead=st.integers(1, 4))
    def pending(self, data, content, ahead):
        key = self.one_open(data)
        model = self.models[key]
        epoch = model.epoch + ahead
        self.do(self.ledger.pending(key, Commit(epoch, {"v": epoch}, *deepcopy(content))))
        model.pending = {e: c for e, c in model.pending.items() if e < epoch} | {epoch: content}

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data(), ahead=st.integers(0, 4))
    def confirm(self, data, ahead):
        key = self.one_open(data)
        model = self.models[key]
        last = model.epoch + ahead
        self.do(self.ledger.confirm(key, last))
        for epoch in sorted(model.pending):
            if epoch <= last:
                model.apply(epoch, *model.pending[epoch])
        model.pending = {}

    @precondition(lambda self: self.open_keys)
    @rule(data=st.data())
    def finish(self, data):
        key = self.one_open(data)
        if self.models[key].pending:
            return
        self.do(self.ledger.finish(key, "completed"))
        self.models[key].running = False
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
            self.do(self.compare(key, self.models[key]))

    async def compare(self, key, model):
        asked = [(doc_id, content_hash) for doc_id in DOCUMENTS for content_hash in HASHES]
        expected = [model.unchanged(*pair) for pair in asked]
        assert await self.ledger.unchanged(key, asked) == expected
        revised = {doc_id async for some in self.ledger.revised(key) for doc_id in some}
        assert revised == {doc_id for doc_id, _ in model.history if doc_id in model.touched}
        assert await self.ledger.states(key, DOCUMENTS) == [model.states.get(name) for name in DOCUMENTS]
        assert [letter async for letter in self.ledger.dead_letters(key)] == model.letters
        assert await self.ledger.count_dead_letters(key) == len(model.letters)
        counts = {}
        for state in model.states.values():
            counts[state.status] = counts.get(state.status, 0) + 1
        assert await self.ledger.tally(key) == counts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres"])
def test_any_use_agrees_with_the_model(make_kind, name):
    """After any sequence of calls and crashes, ledger and model agree."""
    kind = make_kind(name)

    class Machine(LedgerMachine):
        new_kind = staticmethod(lambda: kind)

    examples = settings.default.max_examples // (6 if name == "postgres" else 1)
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=30))


@pytest.mark.parametrize("name", ["memory", "sqlite", "postgres"])
async def test_the_revised_documents_of_a_long_run(make_kind, name):
    """``revised`` yields, in parts, the documents that both this run and an earlier one committed."""
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
