"""The promises of every ledger, as checks that you can call on a ledger of your own.

>>> from penstock.testing import ledger_laws
>>> ledger_laws.check(lambda: MyKind())

A ``LedgerKind`` creates a new, empty ledger, and simulates a crash. Each law in ``LAWS`` is an async function
of a kind, uses only what ``penstock.abc.Ledger`` promises, and raises ``LawViolation`` if a promise is
broken.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.abc import DocumentState
from penstock.abc.delivery import DEADLY
from penstock.errors import LedgerError, PositionError
from penstock.testing.ledger_use import (
    KEY,
    LedgerKind,
    LedgerUse,
    commit_of,
    letter_of,
    position_at,
    state_of,
)
from penstock.testing.promises import law_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["LAWS", "LedgerKind", "check"]

LAWS: dict[str, Callable[..., Awaitable[None]]] = {}
"""The laws by name."""


_law = law_of(LAWS, LedgerUse)


# -- runs --------------------------------------------------------------------------------------------


@_law
async def fresh(use: LedgerUse) -> None:
    """The first ``open`` begins run 1 at epoch 0, without position, record, counts or dead letters."""
    came = await use.ledger.open(KEY)
    use.opened("the first open", came, run=1, epoch=0, position=None, record=None, counts={}, resumed=False)
    if came.started_at <= 0:
        raise use.broken(f"started_at should be Unix time; it is {came.started_at}")
    await use.letters("the first open")


@_law
async def resumed(use: LedgerUse) -> None:
    """After a crash the same run continues from its last commit, with its record, counts and start time."""
    first = await use.ledger.open(KEY)
    for epoch in (1, 2):
        await use.commit(epoch, state_of("a", "1"), record={"at": epoch}, counts={"completed": epoch})
    use.opened(
        "a crash", await use.crash(), run=1, epoch=2, resumed=True, position=position_at(2), record={"at": 2},
        counts={"completed": 2}, started_at=first.started_at,
    )  # fmt: skip


@_law
async def next_run(use: LedgerUse) -> None:
    """After a completed run the next one begins with its position and record, and without counts."""
    await use.ledger.open(KEY)
    await use.commit(1, state_of("a", "1"), record={"at": 5}, counts={"completed": 1})
    with use.refused("finish('failed')", ValueError):  # a failed run is never finished
        await use.ledger.finish(KEY, "failed")
    await use.ledger.finish(KEY, "completed")
    wanted = {"run": 2, "epoch": 1, "position": position_at(1), "record": {"at": 5}, "counts": {}}
    use.opened("the end of a run", await use.crash(), resumed=False, **wanted)
    use.opened("a crash in the next", await use.crash(), resumed=True, **wanted)


@_law
async def restarting(use: LedgerUse) -> None:
    """``restart`` forgets position, record, states and dead letters of its key, and keeps other keys."""
    await use.run(state_of("a", "1"))
    await use.ledger.open("other")
    await use.ledger.commit("other", commit_of(1, letters=[letter_of("f#9")]))
    await use.ledger.open(KEY)
    await use.commit(2, letters=[letter_of("f#1")])
    await use.pend(3, state_of("b", "1"))
    wanted: dict[str, Any] = {"run": 3, "epoch": 0, "position": None, "record": None, "counts": {}}
    use.opened("a restart", await use.ledger.open(KEY, restart=True), resumed=False, **wanted)
    use.opened("a restart and a crash", await use.crash(), **wanted)
    await use.known("a restart", [False], ("a", "1"))
    await use.letters("a restart")
    other = await use.ledger.open("other")
    use.opened("a restart of another key", other, run=1, epoch=1, position=position_at(1))


@_law
async def undone(use: LedgerUse) -> None:
    """``undo_open`` forgets a run without documents, or does nothing; it never forgets what was committed.

    Calling it twice, or for a key that is not open, does nothing.
    """
    await use.ledger.undo_open(KEY)
    first = (await use.ledger.open(KEY)).run
    await use.commit(1)  # no document
    await use.ledger.undo_open(KEY)
    await use.ledger.undo_open(KEY)
    use.opened("undoing the first open", await use.crash(), run=first, counts={})
    await use.commit((await use.ledger.open(KEY)).epoch + 1, state_of("a", "1"), counts={"completed": 1})
    epoch = (await use.ledger.open(KEY)).epoch
    letter = letter_of("f#1")
    await use.commit(epoch + 1, letters=[letter])
    known: dict[str, Any] = {"epoch": epoch + 1, "position": position_at(epoch + 1)}
    for when in ("undoing a run with documents", "undoing a run that was resumed"):
        await use.ledger.undo_open(KEY)
        use.opened(when, await use.crash(), run=first, resumed=True, **known)
        await use.letters(when, letter)
    await use.ledger.finish(KEY, "completed")
    await use.ledger.open(KEY)
    await use.ledger.undo_open(KEY)
    use.opened("undoing the second open", await use.crash(), run=first + 1, counts={}, **known)
    await use.known("undoing the second open", [True], ("a", "1"))


@_law
async def not_open(use: LedgerUse) -> None:
    """Calls on a key that is not open raise: before ``open``, after ``finish``, after ``aclose``."""

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
            with use.refused(f"{name} {when}", LedgerError):
                await call()

    await all_refused("before open")
    await use.run(state_of("a", "1"))
    await all_refused("after finish")
    await use.ledger.open(KEY)
    await use.ledger.aclose()
    await use.ledger.aclose()
    await all_refused("after aclose")


# -- documents ---------------------------------------------------------------------------------------


@_law
async def unchanged(use: LedgerUse) -> None:
    """``unchanged`` compares with the state at the start of the run.

    A later failure keeps the last good hash, a deletion counts as a state, and an empty hash never matches.
    """
    await use.run(state_of("a", "1"), state_of("b", "1"), state_of("e", ""), state_of("g", "1"))
    await use.ledger.open(KEY)
    asked: list[tuple[str, str]] = [("a", "1"), ("b", "2"), ("c", "1"), ("e", ""), ("a", "1")]
    before = [True, False, False, False, True]
    await use.known("one run", before, *asked)
    await use.commit(
        2, state_of("a", "2"), state_of("c", "1"), state_of("b", "2", "failed"), state_of("g", "t", "deleted")
    )
    await use.known("a commit of this run", before, *asked)
    await use.ledger.finish(KEY, "completed")
    await use.crash()
    asked = [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("c", "1"), ("g", "1"), ("g", "t")]
    await use.known("the next run", [False, True, True, False, True, False, True], *asked)
    many = [state_of(f"d{n}", f"{n:064x}") for n in range(1_500)]
    await use.commit(3, *many)
    await use.ledger.finish(KEY, "completed")
    await use.ledger.open(KEY)
    came = await use.ledger.unchanged(KEY, [(one.doc_id, one.content_hash) for one in many])
    use.same("the number of unchanged documents after a large commit", sum(came), len(many))


@_law
async def dead_letters(use: LedgerUse) -> None:
    """Dead letters come back whole, oldest first; a record that fails again has only its last letter."""
    await use.ledger.open(KEY)
    letters = [letter_of(f"f#{n}", None, bytes(range(256)) * n) for n in range(20)]
    await use.commit(1, letters=letters[:12])
    await use.commit(2, letters=letters[12:])
    await use.crash()
    await use.letters("two commits and a crash", *letters)
    again = letter_of("f#0", None, b"again")
    await use.commit(3, letters=[again])
    await use.letters("another failure of the first", *letters[1:], again)


@_law
async def deadly(use: LedgerUse) -> None:
    """``deadly_letters`` are the dead letters of records that killed processes, and no others."""
    await use.ledger.open(KEY)
    plain = [letter_of(f"f#{n}") for n in range(40)]
    other = replace(letter_of("other"), context={"note": {DEADLY: 3}, "text": f'"{DEADLY}":'})
    killers = [replace(letter_of(f"kills#{n}"), context={"at": n, DEADLY: 3}) for n in range(20)]
    await use.commit(1, letters=[*plain[:20], killers[0], other])
    await use.pend(2, letters=killers[1:])
    for after, wanted in (("a pending commit", killers[:1]), ("its confirmation", killers)):
        came = [letter async for letter in use.ledger.deadly_letters(KEY)]
        use.same(f"after {after}, the letters of records that kill", came, wanted)
        await use.ledger.confirm(KEY, 2)
    await use.commit(3, letters=plain[20:], resolved=[letter.key for letter in killers[1:]])
    await use.crash()
    came = [letter async for letter in use.ledger.deadly_letters(KEY)]
    use.same("after all but one were resolved, the letters of records that kill", came, killers[:1])


@_law
async def resolved(use: LedgerUse) -> None:
    """Three things remove dead letters: a success of their document, ``Commit.resolved``, and dropping."""
    await use.ledger.open(KEY)
    old = [
        letter_of("f#1", "a"),
        letter_of("f#2", "b"),
        letter_of("f#3"),
        letter_of("f#4"),
        letter_of("f#5", "c"),
    ]
    await use.commit(1, letters=old)
    await use.commit(2, state_of("a", "1"), state_of("b", "1", "failed"), resolved=["f#3"])
    await use.letters("a success and a resolved record", old[1], old[3], old[4])
    await use.pend(3, state_of("c", "1"), resolved=["f#4"])
    await use.letters("a pending commit", old[1], old[3], old[4])
    await use.ledger.confirm(KEY, 3)
    await use.letters("its confirmation", old[1])
    use.same("the number of dropped letters", await use.ledger.drop_dead_letters(KEY, ["f#2", "f#9"]), 1)
    await use.letters("dropping it")


# -- commits -----------------------------------------------------------------------------------------


@_law
async def epochs(use: LedgerUse) -> None:
    """``commit`` and ``pending`` refuse an epoch that is not later than the last one, and change nothing."""
    await use.ledger.open(KEY)
    await use.commit(4)
    for epoch in (4, 3):
        for name, write in (("commit", use.commit), ("pending", use.pend)):
            with use.refused(f"{name} of epoch {epoch} after 4", LedgerError):
                await write(epoch, position=position_at(99))
    use.opened("refused commits", await use.crash(), epoch=4, position=position_at(4))


@_law
async def all_or_nothing(use: LedgerUse) -> None:
    """A commit with an invalid state changes nothing at all."""
    await use.ledger.open(KEY)
    with use.refused("a commit with an unknown status", ValueError):
        await use.commit(1, state_of("a", "1"), state_of("b", "1", "strange"), letters=[letter_of("f#1")])
    use.opened("a refused commit", await use.crash(), epoch=0, position=None)
    await use.letters("a refused commit")


@_law
async def json_only(use: LedgerUse) -> None:
    """A position, record or counts that are not JSON are refused, and the error names which."""
    await use.ledger.open(KEY)
    for what in ("position", "record", "counts"):
        for value in ({"a": object()}, {"a": float("nan")}):
            with use.refused(f"a commit whose {what} is {value}", PositionError, what):
                await use.commit(1, **{what: value})
    use.opened("refused commits", await use.ledger.open(KEY), epoch=0, position=None)


@_law
async def copies(use: LedgerUse) -> None:
    """Changing a position after ``commit`` got it, or ``open`` returned it, does not change the ledger."""
    await use.ledger.open(KEY)
    position: dict[str, Any] = {"v": 1, "nodes": {"a": [1]}}
    await use.commit(1, position=position)
    position["nodes"]["a"].append(2)
    for after in ("a change to the committed position", "a change to the returned position"):
        opened = await use.ledger.open(KEY)
        use.opened(after, opened, position={"v": 1, "nodes": {"a": [1]}})
        if opened.position is not None:
            opened.position["nodes"]["a"].append(3)


@_law
async def pending(use: LedgerUse) -> None:
    """A pending commit is invisible, also after a crash; a second one for its epoch replaces it."""
    await use.ledger.open(KEY)
    await use.commit(1, letters=[letter_of("f#1", "a")])
    await use.pend(2, letters=[letter_of("f#2")])
    await use.pend(2, state_of("a", "1"), letters=[letter_of("f#3")])
    use.opened("a pending commit and a crash", await use.crash(), epoch=1, position=position_at(1))
    await use.letters("a pending commit", letter_of("f#1", "a"))
    await use.ledger.confirm(KEY, 2)
    use.opened("its confirmation", await use.crash(), epoch=2, position=position_at(2))
    await use.letters("its confirmation", letter_of("f#3"))


@_law
async def dropped(use: LedgerUse) -> None:
    """Confirming an epoch drops the pending ones after it, and they may be committed again."""
    await use.ledger.open(KEY)
    for epoch in (1, 2, 3):
        await use.pend(epoch, state_of(f"{epoch}", "1"), letters=[letter_of(f"f#{epoch}")])
    await use.crash()
    await use.ledger.confirm(KEY, 2)
    use.opened("confirming 2 of 3", await use.crash(), epoch=2, position=position_at(2))
    await use.letters("confirming 2 of 3", letter_of("f#1"), letter_of("f#2"))
    await use.commit(3, state_of("x", "1"))
    await use.ledger.finish(KEY, "completed")
    await use.ledger.open(KEY)
    await use.known("the run", [True, True, False, True], ("1", "1"), ("2", "1"), ("3", "1"), ("x", "1"))


@_law
async def confirmed(use: LedgerUse) -> None:
    """``confirm`` with nothing pending does nothing: a sink reports its commit at every start."""
    await use.ledger.open(KEY)
    await use.ledger.confirm(KEY, 0)
    await use.commit(1)
    for epoch in (7, 0):
        await use.ledger.confirm(KEY, epoch)
    use.opened("confirming with nothing pending", await use.crash(), epoch=1, position=position_at(1))


@_law
async def overtaking(use: LedgerUse) -> None:
    """While a commit is pending, ``commit`` and ``finish`` are refused."""
    await use.ledger.open(KEY)
    await use.pend(1)
    with use.refused("a commit after a pending one", LedgerError):
        await use.commit(2)
    with use.refused("finish after a pending commit", LedgerError):
        await use.ledger.finish(KEY, "completed")
    await use.ledger.confirm(KEY, 0)
    await use.commit(2)
    await use.ledger.finish(KEY, "completed")


@_law
async def any_text(use: LedgerUse) -> None:
    """No identifier or error text breaks a commit, and no two of them are confused."""
    texts = ["a\0b", "ab", "\ud800", "\U0001f9ea", "'; DROP TABLE runs; --", "\x1b[2J", "x" * 3_000]
    states = [DocumentState(text, "completed", f"{n:064x}", 1, text, text) for n, text in enumerate(texts)]
    letters = [letter_of(text, f"letter of {n}") for n, text in enumerate(texts) if text != "\ud800"]
    await use.ledger.open(KEY)
    await use.commit(1, *states, letters=letters)
    await use.ledger.finish(KEY, "completed")
    await use.ledger.open(KEY)
    asked = [(one.doc_id, one.content_hash) for one in states]
    await use.known("a run", [True] * len(asked), *asked)
    await use.known("a run", [False], ("a", f"{0:064x}"))
    await use.letters("a run", *letters)


def check(make: Callable[[], LedgerKind]) -> None:
    """Check that ledgers of a kind keep every law; each law gets a kind of its own.

    Raises:
        LawViolation: a law is broken; the first one that is.
    """

    async def main() -> None:
        for law in LAWS.values():
            await law(make())

    asyncio.run(main())
