"""What every ledger promises."""

from __future__ import annotations

import pytest

from penstock.abc import Commit, DeadLetter, DocumentState, Ledger
from penstock.errors import LedgerError, PositionError

KEY = "pubmed"


def done(doc_id, content_hash="h"):
    return DocumentState(doc_id, "completed", content_hash)


def failed(doc_id, content_hash="h"):
    return DocumentState(doc_id, "failed", content_hash, 3, "bad date", "DocumentError")


def deleted(doc_id, content_hash="t"):
    return DocumentState(doc_id, "deleted", content_hash)


def letter(key, doc_id=None, raw=b"<x/>"):
    return DeadLetter(doc_id, key, "pubmed", "bad date", "DocumentError", raw, {"at": [1]}, "Trace…", 3, 12.5)


def commit(epoch, *states, letters=(), position=None, record=None, counts=None):
    return Commit(
        epoch,
        {"v": 1, "nodes": {"a": epoch}} if position is None else position,
        states,
        letters,
        record,
        counts or {},
    )


async def run_of(ledger, *states, letters=()):
    """Complete one logical run with one commit."""
    opened = await ledger.open(KEY)
    await ledger.commit(KEY, commit(opened.epoch + 1, *states, letters=letters))
    await ledger.finish(KEY, "completed")


async def letters_of(ledger, key=KEY):
    return [letter async for letter in ledger.dead_letters(key)]


async def test_a_fresh_key_knows_nothing(ledger):
    """The first open begins run 1 at epoch 0 without position, record or counts."""
    opened = await ledger.open(KEY)
    assert (opened.run, opened.epoch, opened.resumed) == (1, 0, False)
    assert (opened.position, opened.record, opened.counts) == (None, None, {})
    assert opened.started_at > 0
    assert await letters_of(ledger) == []
    assert await ledger.tally(KEY) == {}


async def test_an_interrupted_run_goes_on_at_its_last_commit(kind):
    """After a crash the same run is resumed, with its last commit and its start time."""
    ledger = kind.new()
    first = await ledger.open(KEY)
    await ledger.commit(KEY, commit(1, done("a"), record={"offset": 5}, counts={"completed": 1}))
    await ledger.commit(KEY, commit(2, done("b"), record={"offset": 9}, counts={"completed": 2}))
    ledger = await kind.crash(ledger)
    again = await ledger.open(KEY)
    assert (again.run, again.epoch, again.resumed) == (1, 2, True)
    assert again.position == {"v": 1, "nodes": {"a": 2}}
    assert again.record == {"offset": 9}
    assert again.counts == {"completed": 2}
    assert again.started_at == first.started_at
    await ledger.aclose()


async def test_a_completed_run_is_followed_by_the_next(kind):
    """The next run has empty counts, and the position, record and epoch of the last one."""
    ledger = kind.new()
    await ledger.open(KEY)
    await ledger.commit(KEY, commit(1, done("a"), record={"offset": 5}, counts={"completed": 1}))
    await ledger.finish(KEY, "completed")
    ledger = await kind.crash(ledger)
    opened = await ledger.open(KEY)
    assert (opened.run, opened.epoch, opened.resumed, opened.counts) == (2, 1, False, {})
    assert opened.position == {"v": 1, "nodes": {"a": 1}}
    assert opened.record == {"offset": 5}
    ledger = await kind.crash(ledger)
    again = await ledger.open(KEY)
    assert (again.run, again.resumed, again.counts) == (2, True, {})
    await ledger.aclose()


async def test_only_completed_runs_are_finished(ledger):
    """A state other than ``completed`` is refused: an interrupted run is simply not finished."""
    await ledger.open(KEY)
    with pytest.raises(ValueError, match="failed"):
        await ledger.finish(KEY, "failed")


async def test_unchanged_answers_as_of_the_start_of_the_run(ledger):
    """Commits of this run do not change the answers, which are about earlier runs."""
    await run_of(ledger, done("a", "1"), done("b", "1"))
    await ledger.open(KEY)
    asked = [("a", "1"), ("b", "2"), ("c", "1"), ("a", "1")]
    assert await ledger.unchanged(KEY, asked) == [True, False, False, True]
    await ledger.commit(KEY, commit(2, done("a", "2"), done("b", "2"), done("c", "1")))
    assert await ledger.unchanged(KEY, asked) == [True, False, False, True]
    await ledger.finish(KEY, "completed")
    await ledger.open(KEY)
    assert await ledger.unchanged(KEY, asked) == [False, True, True, False]


async def test_compare_tells_what_changed_from_what_is_new(ledger):
    """The answer is as of the start of the run; a document that only failed is new, a deleted one is known."""
    await run_of(ledger, done("a", "1"), failed("b", "1"), done("c", "1"), deleted("d", "1"), done("e", ""))
    await run_of(ledger, failed("c", "2"))
    await ledger.open(KEY)
    asked = [
        ("a", "1"),
        ("a", "2"),
        ("b", "1"),
        ("c", "1"),
        ("c", "2"),
        ("d", "2"),
        ("e", ""),
        ("f", "1"),
        ("a", ""),
    ]
    standings = [
        "unchanged",
        "changed",
        "new",
        "unchanged",
        "changed",
        "changed",
        "changed",
        "new",
        "changed",
    ]
    assert await ledger.compare(KEY, asked) == standings
    await ledger.commit(KEY, commit(3, done("f", "1"), done("a", "2")))
    assert await ledger.compare(KEY, asked) == standings
    assert await Ledger.compare(ledger, KEY, asked[:3]) == [
        "unchanged",
        "new",
        "new",
    ]  # the default of ``Ledger``


async def test_a_failure_does_not_forget_what_was_completed(ledger):
    """A document that failed later is unchanged if it has the content that was completed before."""
    await run_of(ledger, done("a", "1"))
    await run_of(ledger, failed("a", "2"))
    await run_of(ledger, failed("a", "3"))
    await ledger.open(KEY)
    assert await ledger.unchanged(KEY, [("a", "1"), ("a", "2"), ("a", "3")]) == [True, False, False]


async def test_a_deletion_is_an_outcome_like_any_other(ledger):
    """After a deletion, the hash of the tombstone is unchanged, and that of the document is not."""
    await run_of(ledger, done("a", "1"))
    await run_of(ledger, deleted("a", "t"))
    await ledger.open(KEY)
    assert await ledger.unchanged(KEY, [("a", "1"), ("a", "t")]) == [False, True]


async def test_an_unknown_hash_is_never_unchanged(ledger):
    """An empty content hash never counts as unchanged."""
    await run_of(ledger, done("a", ""))
    await ledger.open(KEY)
    assert await ledger.unchanged(KEY, [("a", "")]) == [False]
    assert await ledger.unchanged(KEY, []) == []


async def test_restart_forgets_one_key_and_no_other(kind):
    """It forgets position, record, states and dead letters, and begins the next run; other keys keep theirs."""
    ledger = kind.new()
    await run_of(ledger, done("a", "1"), failed("b"), letters=[letter("f#2", "b")])
    await ledger.open("other")
    await ledger.commit("other", commit(1, done("a", "1"), letters=[letter("f#9")]))
    await ledger.open(KEY)
    await ledger.commit(KEY, commit(2, done("c", "1")))
    await ledger.pending(KEY, commit(3, done("d", "1")))
    opened = await ledger.open(KEY, restart=True)
    ledger = await kind.crash(ledger)
    again = await ledger.open(KEY)
    for state in (opened, again):
        assert (state.run, state.epoch, state.position, state.record, state.counts) == (3, 0, None, None, {})
    assert not opened.resumed
    assert await ledger.unchanged(KEY, [("a", "1"), ("c", "1")]) == [False, False]
    assert await ledger.tally(KEY) == {}
    assert await letters_of(ledger) == []
    other = await ledger.open("other")
    assert (other.run, other.epoch) == (1, 1)
    assert len(await letters_of(ledger, "other")) == 1
    await ledger.commit(KEY, commit(1, done("a", "2")))
    await ledger.aclose()


async def test_restart_of_an_unknown_key_is_an_ordinary_start(ledger):
    """A restart of a key that never ran begins run 1."""
    opened = await ledger.open(KEY, restart=True)
    assert (opened.run, opened.epoch, opened.resumed) == (1, 0, False)


async def test_epochs_only_increase(ledger):
    """An epoch that was committed before is refused, and changes nothing."""
    await ledger.open(KEY)
    await ledger.commit(KEY, commit(4, done("a")))
    for epoch in (4, 3):
        for write in (ledger.commit, ledger.pending):
            with pytest.raises(LedgerError, match="committed before"):
                await write(KEY, commit(epoch, done("b")))
    assert (await ledger.open(KEY)).epoch == 4
    assert await ledger.tally(KEY) == {"completed": 1}


async def test_an_unknown_status_is_refused(ledger):
    """A commit with an unknown status raises, and writes nothing."""
    await ledger.open(KEY)
    with pytest.raises(ValueError, match="skipped"):
        await ledger.commit(KEY, commit(1, done("a"), DocumentState("b", "skipped", "")))
    assert (await ledger.open(KEY)).epoch == 0
    assert await ledger.tally(KEY) == {}


@pytest.mark.parametrize("what", ["position", "record", "counts"])
@pytest.mark.parametrize("value", [{"a": object()}, {"a": float("nan")}])
async def test_only_json_is_accepted(ledger, what, value):
    """A value that is not JSON is refused with its name, and nothing is committed."""
    await ledger.open(KEY)
    for write in (ledger.commit, ledger.pending):
        with pytest.raises(PositionError, match=what):
            await write(KEY, commit(1, done("a"), **{what: value}))
    assert (await ledger.open(KEY)).epoch == 0
    assert await ledger.tally(KEY) == {}


async def test_a_commit_is_a_copy(ledger):
    """Changing a position or a state after its commit does not change the ledger."""
    await ledger.open(KEY)
    position, state = {"v": 1, "nodes": {"a": [1]}}, done("a", "1")
    await ledger.commit(KEY, commit(1, state, position=position))
    position["nodes"]["a"].append(2)
    state.content_hash = "2"
    opened = await ledger.open(KEY)
    assert opened.position == {"v": 1, "nodes": {"a": [1]}}
    assert await ledger.states(KEY, ["a"]) == [done("a", "1")]
    opened.position["nodes"]["a"].append(3)
    assert (await ledger.open(KEY)).position == {"v": 1, "nodes": {"a": [1]}}


async def test_a_pending_commit_is_true_when_confirmed(kind):
    """Nothing of it is visible before ``confirm``, even after a crash; all of it is visible afterwards."""
    ledger = kind.new()
    await ledger.open(KEY)
    await ledger.commit(KEY, commit(1, failed("a"), letters=[letter("f#1", "a")]))
    await ledger.pending(KEY, commit(2, done("a"), failed("b"), letters=[letter("f#2", "b")]))
    ledger = await kind.crash(ledger)
    opened = await ledger.open(KEY)
    assert opened.epoch == 1
    assert await ledger.tally(KEY) == {"failed": 1}
    assert await letters_of(ledger) == [letter("f#1", "a")]
    await ledger.confirm(KEY, 2)
    opened = await ledger.open(KEY)
    assert (opened.epoch, opened.position) == (2, {"v": 1, "nodes": {"a": 2}})
    assert await ledger.tally(KEY) == {"completed": 1, "failed": 1}
    assert await letters_of(ledger) == [letter("f#2", "b")]
    await ledger.aclose()


async def test_a_sink_that_did_not_commit_drops_what_was_pending(kind):
    """Confirming an earlier epoch drops later ones, which may then be written again."""
    ledger = kind.new()
    await ledger.open(KEY)
    for epoch in (1, 2, 3):
        await ledger.pending(KEY, commit(epoch, done(f"{epoch}"), letters=[letter(f"f#{epoch}")]))
    ledger = await kind.crash(ledger)
    await ledger.open(KEY)
    await ledger.confirm(KEY, 2)
    assert await ledger.tally(KEY) == {"completed": 2}
    assert [found.key for found in await letters_of(ledger)] == ["f#1", "f#2"]
    await ledger.commit(KEY, commit(3, done("x")))
    await ledger.pending(KEY, commit(4, done("y")))
    await ledger.confirm(KEY, 3)
    ledger = await kind.crash(ledger)
    opened = await ledger.open(KEY)
    assert opened.epoch == 3
    assert await ledger.states(KEY, ["1", "2", "3", "x", "y"]) == [
        done("1"),
        done("2"),
        None,
        done("x"),
        None,
    ]
    await ledger.aclose()


async def test_a_pending_commit_may_be_written_again(ledger):
    """A second attempt at the same epoch replaces the first."""
    await ledger.open(KEY)
    await ledger.pending(KEY, commit(1, done("a"), letters=[letter("f#1")]))
    await ledger.pending(KEY, commit(1, done("b")))
    await ledger.confirm(KEY, 1)
    assert await ledger.states(KEY, ["a", "b"]) == [None, done("b")]
    assert await letters_of(ledger) == []


async def test_nothing_overtakes_a_pending_commit(ledger):
    """While an epoch is pending, a commit and the end of the run are refused."""
    await ledger.open(KEY)
    await ledger.pending(KEY, commit(1, done("a")))
    with pytest.raises(LedgerError, match="epoch 1 of 'pubmed' is still pending"):
        await ledger.commit(KEY, commit(2, done("b")))
    with pytest.raises(LedgerError, match="epoch 1 of 'pubmed' is still pending"):
        await ledger.finish(KEY, "completed")
    await ledger.confirm(KEY, 0)
    await ledger.commit(KEY, commit(2, done("b")))
    await ledger.finish(KEY, "completed")


async def test_confirm_without_anything_pending_does_nothing(ledger):
    """Sinks report their epoch at every start, so a useless ``confirm`` must be harmless."""
    await ledger.open(KEY)
    await ledger.confirm(KEY, 0)
    await ledger.commit(KEY, commit(1, done("a")))
    await ledger.confirm(KEY, 7)
    await ledger.confirm(KEY, 0)
    assert (await ledger.open(KEY)).epoch == 1


async def test_dead_letters_come_back_whole(kind):
    """All fields survive, the raw bytes too; the letters come oldest first."""
    ledger = kind.new()
    await ledger.open(KEY)
    letters = [letter(f"f#{n}", None, bytes(range(256)) * n) for n in range(40)]
    await ledger.commit(KEY, commit(1, letters=letters[:25]))
    await ledger.commit(KEY, commit(2, letters=letters[25:]))
    ledger = await kind.crash(ledger)
    await ledger.open(KEY)
    assert await letters_of(ledger) == letters
    assert await ledger.count_dead_letters(KEY) == 40
    await ledger.aclose()


async def test_a_dead_letter_replaces_the_one_of_the_same_record(ledger):
    """A record that fails again has one letter, the latest."""
    await ledger.open(KEY)
    again = letter("f#1", "a", b"new")
    await ledger.commit(KEY, commit(1, letters=[letter("f#1", "a"), letter("f#2", "a")]))
    await ledger.commit(KEY, commit(2, letters=[again]))
    assert await letters_of(ledger) == [letter("f#2", "a"), again]


async def test_a_success_resolves_the_dead_letters_of_its_document(ledger):
    """The last state of a document decides, also within one commit; a letter without a document stays."""
    await ledger.open(KEY)
    old = [letter("f#1", "a"), letter("f#2", "b"), letter("f#3", "c"), letter("f#4", None)]
    await ledger.commit(KEY, commit(1, failed("a"), failed("b"), failed("c"), letters=old))
    new = [letter("f#5", "d"), letter("f#6", "e")]
    states = [failed("d"), done("d"), done("e"), failed("e"), done("a"), failed("b"), deleted("c")]
    await ledger.commit(KEY, commit(2, *states, letters=new))
    assert await letters_of(ledger) == [letter("f#2", "b"), letter("f#4", None), letter("f#6", "e")]


async def test_a_ledger_must_be_opened_first(ledger):
    """Every call raises before the first ``open``, for another key, after the run and after closing."""

    async def all_refused():
        calls = [
            ledger.unchanged(KEY, []),
            ledger.commit(KEY, commit(9)),
            ledger.pending(KEY, commit(9)),
            ledger.confirm(KEY, 1),
            ledger.finish(KEY, "completed"),
            ledger.count_dead_letters(KEY),
            letters_of(ledger),
        ]
        for call in calls:
            with pytest.raises(LedgerError, match=r"await open\('pubmed'\) first"):
                await call

    await all_refused()
    await ledger.open("other")
    await all_refused()
    await run_of(ledger, done("a"))
    await all_refused()
    await ledger.open(KEY)
    await ledger.aclose()
    await ledger.aclose()
    await all_refused()
    assert (await ledger.open(KEY)).run == 2


async def test_the_last_of_several_outcomes_counts(kind):
    """This holds within a commit and between commits, before and after the run is finished."""
    ledger = kind.new()
    await ledger.open(KEY)
    await ledger.commit(KEY, commit(1, failed("a"), done("a", "1"), done("b", "1")))
    await ledger.commit(KEY, commit(2, failed("b", "2"), done("a", "3")))
    expected = [done("a", "3"), failed("b", "2")]
    assert await ledger.states(KEY, ["a", "b"]) == expected
    await ledger.finish(KEY, "completed")
    ledger = await kind.crash(ledger)
    await ledger.open(KEY)
    assert await ledger.states(KEY, ["a", "b"]) == expected
    assert await ledger.unchanged(KEY, [("a", "1"), ("a", "3"), ("b", "1")]) == [False, True, True]
    await ledger.aclose()


@pytest.mark.parametrize("size", [1, 2, 511, 512, 513, 2_777])
async def test_commits_of_any_size(ledger, size):
    """Every document of a commit is stored once."""
    states = [done(f"d{n}", f"{n:064x}") for n in range(size)]
    await run_of(ledger, *states)
    await ledger.open(KEY)
    asked = [(state.doc_id, state.content_hash) for state in states]
    assert await ledger.unchanged(KEY, asked) == [True] * size
    assert await ledger.unchanged(KEY, [(doc_id, "0" * 64) for doc_id, _ in asked[1:]]) == [False] * (
        size - 1
    )
    assert await ledger.states(KEY, [doc_id for doc_id, _ in asked]) == states
    assert await ledger.tally(KEY) == {"completed": size}


@pytest.mark.parametrize("content_hash", ["", "h", "A" * 64, "ab" * 32, " " * 64, "é" * 64, "12" * 31 + "1 "])
async def test_any_text_is_a_hash(ledger, content_hash):
    """A hash comes back as it was given, even if it is not a SHA-256."""
    await run_of(ledger, done("a", content_hash))
    await ledger.open(KEY)
    assert await ledger.states(KEY, ["a"]) == [done("a", content_hash)]
    assert await ledger.unchanged(KEY, [("a", content_hash)]) == [content_hash != ""]


@pytest.mark.parametrize(
    "text", ["a\0b", "\ud800", "\U0001f9ea", "'; DROP TABLE keys; --", "\udcff\0\n\x1b["]
)
async def test_any_text_is_an_identifier(ledger, text):
    """No identifier, key or error breaks a commit or another document."""
    opened = await ledger.open(text)
    state = DocumentState(text, "failed", "h", 1, text, text)
    known = "ab" * 32
    await ledger.commit(text, commit(opened.epoch + 1, done("a", known), state, letters=[letter(text, text)]))
    await ledger.commit(text, commit(opened.epoch + 2, done(text, "h")))
    await ledger.finish(text, "completed")
    await ledger.open(text)
    assert await ledger.unchanged(text, [("a", known), (text, "h"), ("b", "h")]) == [True, True, False]
    assert await letters_of(ledger, text) == []


async def test_a_checkpoint_keeps_positions_only(kind):
    """``op.checkpoint`` commits many positions without documents; the last one counts."""
    ledger = kind.new()
    await ledger.open("checkpoint")
    for epoch in range(1, 51):
        await ledger.commit("checkpoint", Commit(epoch, {"v": 1, "nodes": {"s": epoch}}))
    ledger = await kind.crash(ledger)
    opened = await ledger.open("checkpoint")
    assert (opened.epoch, opened.position, opened.counts) == (50, {"v": 1, "nodes": {"s": 50}}, {})
    await ledger.aclose()


async def test_undo_open_forgets_a_run_without_documents(kind):
    """The ledger is as before ``open``: new, or with its last run completed. A run with documents stays."""
    ledger = kind.new()
    state = DocumentState("a", "completed", "0" * 64)

    async def opened(**wanted):
        came = await ledger.open("k")
        assert {name: getattr(came, name) for name in wanted} == wanted

    await ledger.open("k")
    await ledger.commit("k", Commit(1, {}, record={"an": "output"}))  # of the fresh output
    await ledger.undo_open("k")
    await opened(run=1, epoch=0, record=None, resumed=False)
    await ledger.open("k", restart=True)  # nothing was there to forget
    await ledger.undo_open("k")
    await opened(run=1, epoch=0, resumed=False)
    await ledger.commit("k", Commit(1, {"at": 1}, [state], counts={"completed": 1}))
    await ledger.undo_open("k")  # does nothing: it has a document
    ledger = await kind.crash(ledger)
    await opened(run=1, epoch=1, resumed=True)
    await ledger.undo_open("k")  # does nothing: the run was resumed
    await opened(run=1, epoch=1, resumed=True)
    await ledger.finish("k", "completed")
    await opened(run=2, epoch=1, resumed=False)
    await ledger.undo_open("k")
    ledger = await kind.crash(ledger)
    await opened(run=2, epoch=1, position={"at": 1}, resumed=False)
    assert await ledger.unchanged("k", [("a", "0" * 64)]) == [True]
    await ledger.open("k", restart=True)
    await ledger.undo_open("k")  # does nothing: what it was is forgotten
    await opened(run=3, epoch=0, resumed=True)
    await ledger.aclose()
