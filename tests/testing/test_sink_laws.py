"""Each law of sinks can fail: sinks broken on purpose, and correct ones that pass."""

from __future__ import annotations

import pytest

from penstock.abc import Sink
from penstock.document import Document
from penstock.errors import SinkError
from penstock.sinks import MemorySink
from penstock.testing import LawViolation, sink_laws


class Kind:
    """A kind of ``MemorySink`` or of a subclass."""

    def __init__(self, sink_type=MemorySink):
        self.sink_type = sink_type

    def new(self):
        return self.sink_type()

    async def crash(self, sink):
        return sink

    def content(self, sink):
        return sink.documents

    stored = content

    def meddle(self, sink):
        sink.documents[-1] = sink.documents[-1].model_copy(update={"doc_id": "somebody else's"})

    def shorten(self, sink):
        sink._committed -= 1


class Database:
    """The rows of a database, and the commit that it holds."""

    def __init__(self):
        self.rows, self.held = [], None


class DatabaseSink(Sink):
    """A correct transactional sink."""

    transactional = True

    def __init__(self, base):
        self.base, self.written, self.is_open = base, [], False

    async def open(self, record, *, restart=False):
        if restart:
            self.base.__init__()
        self.is_open = True
        return self.base.held

    async def write(self, documents):
        self.check()
        self.written += documents

    async def commit(self, commit):
        self.check()
        self.base.rows += self.written
        self.base.held = commit
        self.written = []

    async def aclose(self):
        self.is_open, self.written = False, []

    def check(self):
        if not self.is_open:
            raise SinkError("not open")


class DatabaseKind:
    """The database survives a crash, and the next sink uses it."""

    def __init__(self, sink_type=DatabaseSink):
        self.sink_type, self.base = sink_type, Database()

    def new(self):
        return self.sink_type(self.base)

    async def crash(self, sink):
        return self.new()

    async def content(self, sink):
        return self.base.rows


class Reorders(MemorySink):
    async def write(self, documents):
        await super().write(documents[::-1])


class ClipsTitles(MemorySink):
    async def write(self, documents):
        await super().write([d.model_copy(update={"title": d.title[:5]}) for d in documents])


class CommitsOnClose(MemorySink):
    async def aclose(self):
        self._committed = len(self.documents)


class NeverRollsBack(MemorySink):
    async def open(self, record, *, restart=False):
        documents = list(self.documents)
        await super().open(record, restart=restart)
        if record is not None:
            self.documents[:], self._committed = documents, len(documents)


class ForgetsToCutAfterACrash(MemorySink):
    async def open(self, record, *, restart=False):
        rest = self.documents[self._committed :]
        await super().open(record, restart=restart)
        self.documents += rest


class TakesAnyOutput(MemorySink):
    async def open(self, record, *, restart=False):
        kept = list(self.documents)
        await super().open(record, restart=restart or record is None)
        if not restart and record is None:
            self.documents[:], self._committed = kept, len(kept)


class RestartKeeps(MemorySink):
    async def open(self, record, *, restart=False):
        kept = list(self.documents)
        await super().open(record, restart=restart)
        self.documents[:] = kept


class ShorterIsFine(MemorySink):
    def _offset(self, record):
        if isinstance(record, dict) and "count" in record:
            self._committed = max(self._committed, record["count"])
        return super()._offset(record)


class AnotherIsFine(MemorySink):
    def _last(self, offset):
        return None


class StrangeIsFresh(MemorySink):
    async def open(self, record, *, restart=False):
        strange = record is not None and not (isinstance(record, dict) and "count" in record)
        await super().open(None if strange else record, restart=restart)


class OpensItself(MemorySink):
    def _check_open(self):
        pass


class SaysALot(MemorySink):
    def describe(self):
        return "memory\nof everything"


class WrongError(MemorySink):
    def _check_open(self):
        if not self._is_open:
            raise RuntimeError("not open")


class RecordsAreNoJson(MemorySink):
    async def commit(self, commit):
        return {"record": object(), **await super().commit(commit)}


class SharedSink(MemorySink):
    """A correct sink whose documents others can reach: the last one that was opened has the lock."""

    def __init__(self, shared):
        super().__init__()
        self.shared = shared
        self.documents = shared.documents

    async def open(self, record, *, restart=False):
        self._committed = len(self.documents)
        await super().open(record, restart=restart)
        self.shared.holder, self.shared.size = self, len(self.documents)

    async def write(self, documents):
        self.check_lock()
        await super().write(documents)
        self.shared.size += len(documents)

    async def commit(self, commit):
        self.check_lock()
        return await super().commit(commit)

    async def verify(self):
        if len(self.documents) != self.shared.size:
            raise SinkError("memory was emptied")

    async def aclose(self):
        if self.shared.holder is self:
            await super().aclose()

    def check_lock(self):
        if self.shared.holder not in (self, None):
            raise SinkError("memory is written by another")


class SharedKind(Kind):
    """An output that several sinks share."""

    def __init__(self, sink_type=SharedSink):
        super().__init__(sink_type)
        self.documents, self.holder, self.size = [], None, 0

    def new(self):
        return self.sink_type(self)

    def shorten(self, sink):
        del sink.documents[-1]

    def harms(self, sink):
        return {"emptied": self.documents.clear}

    def wipe(self):
        self.documents.clear()

    def lose_lock(self, sink):
        self.holder = None


class Unwatched(SharedSink):
    async def verify(self):
        pass


class Unfenced(SharedSink):
    def check_lock(self):
        pass


class UndoesWhatIsNotItsOwn(SharedSink):
    async def aclose(self):
        await MemorySink.aclose(self)


SHARED_MUTANTS = [("guarded", Unwatched), ("fenced", Unfenced), ("fenced", UndoesWhatIsNotItsOwn)]


class EmptiesWhenClaimed(MemorySink):
    async def claim(self):
        self.documents.clear()


class UndoesTooMuch(MemorySink):
    async def undo_open(self):
        self.documents.clear()


class SkipsWhatItCannotWrite(MemorySink):
    async def write(self, documents):
        await super().write([document for document in documents if "\0" not in document.title])


class TakesOnlyTheFirst(MemorySink):
    async def write(self, documents):
        await super().write(documents[:1])


MUTANTS = [
    ("claimed", EmptiesWhenClaimed),
    ("claimed", UndoesTooMuch),
    ("committed", Reorders),
    ("committed", ClipsTitles),
    ("committed", RecordsAreNoJson),
    ("closing", CommitsOnClose),
    ("rolling_back", NeverRollsBack),
    ("any_crash", ForgetsToCutAfterACrash),
    ("fresh_start", TakesAnyOutput),
    ("restarting", RestartKeeps),
    ("shortened", ShorterIsFine),
    ("meddled", AnotherIsFine),
    ("strange_records", StrangeIsFresh),
    ("not_open", OpensItself),
    ("not_open", WrongError),
    ("strange_documents", SkipsWhatItCannotWrite),
    ("unwritable_documents", TakesOnlyTheFirst),
    ("manners", SaysALot),
]


class ForgetsItsCommit(DatabaseSink):
    async def open(self, record, *, restart=False):
        await super().open(record, restart=restart)


class WritesAtOnce(DatabaseSink):
    async def write(self, documents):
        self.check()
        self.base.rows += documents


class RestartKeepsTheCommit(DatabaseSink):
    async def open(self, record, *, restart=False):
        held = self.base.held
        await super().open(record, restart=restart)
        self.base.held = held
        return held


TRANSACTIONAL_MUTANTS = [
    ("rolling_back", ForgetsItsCommit),
    ("fresh_start", ForgetsItsCommit),
    ("closing", WritesAtOnce),
    ("any_crash", WritesAtOnce),
    ("restarting", RestartKeepsTheCommit),
]


async def first_violation(law, make):
    for seed in range(10 if law == "any_crash" else 1):
        kwargs = {"seed": seed} if law == "any_crash" else {}
        await sink_laws.LAWS[law](make(), **kwargs)


@pytest.mark.parametrize(("law", "mutant"), MUTANTS)
async def test_each_law_can_fail(law, mutant):
    """The law of that name finds a sink that breaks its promise."""
    with pytest.raises(LawViolation) as found:
        await first_violation(law, lambda: Kind(mutant))
    assert found.value.law == law


@pytest.mark.parametrize(("law", "mutant"), TRANSACTIONAL_MUTANTS)
async def test_each_law_of_a_transactional_sink_can_fail(law, mutant):
    """The law of that name finds a transactional sink that breaks its promise."""
    with pytest.raises(LawViolation) as found:
        await first_violation(law, lambda: DatabaseKind(mutant))
    assert found.value.law == law


@pytest.mark.parametrize(("law", "mutant"), SHARED_MUTANTS)
async def test_each_law_of_an_output_that_others_reach_can_fail(law, mutant):
    """The law of that name finds a sink that does not look after its output."""
    with pytest.raises(LawViolation) as found:
        await first_violation(law, lambda: SharedKind(mutant))
    assert found.value.law == law


def test_every_law_has_a_mutant():
    """Each law has a sink that breaks it."""
    assert {law for law, _ in MUTANTS + SHARED_MUTANTS} == set(sink_laws.LAWS)


@pytest.mark.parametrize("make", [Kind, DatabaseKind, SharedKind])
def test_all_laws_at_once(make):
    """A correct sink passes, whether it is transactional or not."""
    sink_laws.check(make)


class KeepsTitles(MemorySink):
    async def write(self, documents):
        await super().write([titled(document) for document in documents])


class TitlesKind(Kind):
    def kept(self, document):
        return titled(document)


def titled(document):
    return Document(doc_id=document.doc_id, title=str(document.title), source=document.source)


def test_a_sink_may_keep_some_fields_only():
    """A kind says with ``kept`` which fields the sink stores; without it they are missed, and others always."""
    sink_laws.check(lambda: TitlesKind(KeepsTitles))
    with pytest.raises(LawViolation, match="law of committed"):
        sink_laws.check(lambda: Kind(KeepsTitles))
    with pytest.raises(LawViolation, match="law of committed"):
        sink_laws.check(lambda: TitlesKind(ClipsTitles))


def test_check_stops_at_the_first_broken_law():
    """The violation names the law."""
    with pytest.raises(LawViolation, match="law of closing"):
        sink_laws.check(lambda: Kind(CommitsOnClose))
