"""A ledger with many dead letters: its queries read what they return, not all letters."""

from __future__ import annotations

import pytest

from penstock.abc import Commit, DeadLetter, DocumentState
from penstock.abc.delivery import DEADLY
from penstock.ledger import SqliteLedger

KEY = "k"


def letters(first, count):
    return [
        DeadLetter(f"d{n}", f"f#{n}", "x", "bad", "E", b"x" * 5000, {DEADLY: 3} if n == 7 else {})
        for n in range(first, first + count)
    ]


async def read(letters):
    return [letter async for letter in letters]


async def steps_of(ledger, call):
    """Return how many steps SQLite's machine takes during a call, in tens."""
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    db = ledger._store._tables.db
    await ledger._worker.run(lambda: db.set_progress_handler(count, 10))
    await call()
    await ledger._worker.run(lambda: db.set_progress_handler(None, 0))
    return steps


async def test_work_does_not_grow_with_the_letters_of_earlier_runs(tmp_path):
    """With five times as many letters, a query takes the same steps, and reading all takes five times as many.

    The latter leaves room for half as much again.
    """
    calls = {
        "deadly": lambda ledger: read(ledger.deadly_letters(KEY)),
        "latest": lambda ledger: ledger._read(KEY, lambda tables, key: tables.last_letters(key, 5, None)),
        "record": lambda ledger: ledger._read(KEY, lambda tables, key: tables.last_letters(key, 5, "f#9")),
        "all": lambda ledger: read(ledger.dead_letters(KEY)),
    }
    counts = {name: [] for name in calls}
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open(KEY)
        for epoch, (first, count) in enumerate([(0, 100), (100, 400)], 1):
            await ledger.commit(KEY, Commit(epoch, {}, [], letters(first, count)))
            for name, call in calls.items():
                counts[name].append(await steps_of(ledger, lambda call=call: call(ledger)))
    few, many = counts.pop("all")
    assert many < 1.5 * 5 * few
    for name, (few, many) in counts.items():
        assert many <= few + 1, name


@pytest.mark.parametrize("new", [[], letters(900, 1)], ids=["documents", "a_letter"])
async def test_a_commit_looks_its_documents_up(tmp_path, new):
    """A commit of a few documents counts the letters of earlier runs, but does not compare itself with each."""
    states = [DocumentState(f"n{n}", "completed", "h") for n in range(5)]
    steps = []
    async with SqliteLedger(tmp_path / "run.db") as ledger:
        await ledger.open(KEY)
        for epoch, (first, count) in enumerate([(0, 100), (100, 400)]):
            await ledger.commit(KEY, Commit(2 * epoch + 1, {}, [], letters(first, count)))
            commit = Commit(2 * epoch + 2, {}, states, new)
            steps.append(await steps_of(ledger, lambda commit=commit: ledger.commit(KEY, commit)))
        assert await ledger.count_dead_letters(KEY) == 500 + len(new)
    few, many = steps
    assert 10 * (many - few) < 400 * 2 * 5  # two counts, of few steps a letter
