"""The promises of every sink, as checks that you can call on a sink of your own.

>>> from penstock.testing import sink_laws
>>> sink_laws.check(lambda: MyKind())

A ``SinkKind`` does two things that no sink has a method for: it reads the output, and it simulates a crash.
Each law in ``LAWS`` is an async function of a kind whose output does not exist yet, and raises
``LawViolation`` if the promise is broken.

File sinks must cut their output back to a record, and refuse an output that is not theirs. Transactional
sinks must return the commit that they hold instead.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
from typing import TYPE_CHECKING, Any, Protocol

from penstock.abc import JSON, Commit, Sink
from penstock.document import Document
from penstock.errors import SinkError, SinkMismatch
from penstock.sinks.files.lines import encode_lines
from penstock.sources import from_iterable
from penstock.testing.promises import Use, law_of
from penstock.testing.strange_documents import STRANGE_DOCUMENTS, UNWRITABLE_DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["LAWS", "SinkKind", "any_crash", "check"]

LAWS: dict[str, Callable[..., Awaitable[None]]] = {}
"""The laws by name."""

_STRANGE: tuple[JSON, ...] = ({}, {"format": "other", "parts": []}, [], "x", 7)


class SinkKind(Protocol):
    """One output of one kind of sink.

    Four more methods are optional. ``shorten(sink)`` removes a part at the end of the output,
    ``meddle(sink)`` changes its end, and ``stored(sink)`` returns the output as it is stored. These three are
    called on a closed sink. ``kept(document)`` is for a sink that stores only some fields of a document: it
    returns the document with these fields alone. ``doc_id`` must be one of them.

    Three more are for an output that others can reach while a sink has it open. ``harms(sink)`` returns
    functions by name. Each does what another program may do to the open output: it removes, renames,
    replaces or truncates it. ``wipe()`` removes what is left after that, when the sink is closed.
    ``lose_lock(sink)`` takes the lock of an open sink away, as if somebody had removed its lock file.
    """

    def new(self) -> Sink:
        """Return a sink on the output."""
        ...

    async def crash(self, sink: Sink) -> Sink:
        """End ``sink`` as if its process had been killed; return a new one on what is left."""
        ...

    def content(self, sink: Sink) -> Any:
        """Return the output as its readers see it: documents in order, or lines of JSON.

        Lines are those that ``JsonLinesSink`` writes. This may be a coroutine function.
        """
        ...


class _Use(Use):
    """A sink in use, with its epochs counted and its documents numbered."""

    def __init__(self, kind: SinkKind, law: str, **replay: Any) -> None:
        super().__init__(law, **replay)
        self.kind = kind
        self.sink = kind.new()
        self.epoch = 0

    async def aclose(self) -> None:
        await self.sink.aclose()

    @property
    def transactional(self) -> bool:
        return self.sink.transactional

    async def open(self, record: JSON = None, *, restart: bool = False) -> Commit | None:
        return await self.sink.open(None if self.transactional else record, restart=restart)

    async def write(self, first: int, last: int, size: int = 10) -> None:
        await self.sink.write(_documents(first, last, size))

    async def commit(self) -> JSON:
        """Commit, and return the record as a ledger returns it."""
        self.epoch += 1
        commit = Commit(self.epoch, {"at": self.epoch}, counts={"completed": self.epoch})
        record = await self.sink.commit(commit)
        try:
            copy: JSON = json.loads(json.dumps(record))
        except (TypeError, ValueError) as error:
            raise self.broken(f"a record should be JSON; it is {record!r}: {error}") from error
        return copy

    async def three(self) -> JSON:
        """Write and commit three documents, close, and return the record."""
        await self.open()
        await self.write(0, 3)
        record = await self.commit()
        await self.sink.aclose()
        return record

    async def holds(self, *numbers: int, after: str) -> None:
        """Check which documents are in the output."""
        came = [json.loads(line)["doc_id"] for line in (await self.lines()).splitlines()]
        self.same(f"after {after}, the documents in the output", came, [f"d{n}" for n in numbers])

    def holds_its_commit(self, held: Commit | None) -> None:
        came = None if held is None else (held.epoch, held.position)
        self.same("epoch and position of the held commit", came, (self.epoch, {"at": self.epoch}))

    async def lines(self) -> bytes:
        """Return the output as lines of JSON."""
        content = self.kind.content(self.sink)
        content = await content if inspect.isawaitable(content) else content
        return content if isinstance(content, bytes) else encode_lines(content)


_law = law_of(LAWS, _Use)


def _documents(first: int, last: int, size: int = 10) -> list[Document]:
    return [
        Document(doc_id=f"d{n}", source="test", title="t" * size, metadata={"n": n})
        for n in range(first, last)
    ]


@_law
async def committed(use: _Use) -> None:
    """After ``commit`` the output has all documents, in order, each once and complete."""
    use.same("the commit held by a new output", await use.open(), None)
    await use.write(0, 3)
    await use.sink.write([])
    await use.write(3, 5)
    await use.commit()
    await use.holds(*range(5), after="write and commit")
    kept = getattr(use.kind, "kept", lambda document: document)
    wanted = encode_lines([kept(document) for document in _documents(0, 5)])
    use.same("the lines of the committed documents", await use.lines(), wanted)


@_law
async def closing(use: _Use) -> None:
    """``aclose`` does not commit, and may be called again."""
    await use.open()
    await use.write(0, 3)
    await use.commit()
    await use.write(3, 1500, size=1000)
    await use.sink.aclose()
    await use.sink.aclose()
    await use.holds(*range(3), after="closing with documents that were not committed")


@_law
async def rolling_back(use: _Use) -> None:
    """A file sink opens at any record that it returned; a transactional one returns its last commit."""
    await use.open()
    await use.write(0, 3)
    first = await use.commit()
    await use.write(3, 5)
    await use.commit()
    await use.sink.aclose()
    held = await use.open(first)
    if use.transactional:
        use.holds_its_commit(held)
        return
    await use.holds(*range(3), after="opening at the record before the last")
    await use.write(7, 9)
    second = await use.commit()
    await use.sink.aclose()
    await use.open(second)
    await use.holds(0, 1, 2, 7, 8, after="opening at the last record")


@_law
async def any_crash(use: _Use, *, seed: int = 0) -> None:
    """Opening after a crash leaves just the committed documents, whatever was written after them."""
    rng = random.Random(seed)  # noqa: S311  a schedule, not a secret
    await use.open()
    record, there, n = await use.commit(), 0, 0
    for _ in range(rng.randrange(1, 40)):
        choice = rng.random()
        if choice < 0.6:  # noqa: PLR2004
            more = rng.choice([1, 2, 50])
            await use.write(n, n + more, size=rng.choice([1, 3000, 50_000]))
            n += more
            continue
        if choice < 0.8:  # noqa: PLR2004
            record, there = await use.commit(), n
            continue
        if choice > 0.9:  # noqa: PLR2004
            await use.commit()  # durable, but the crash comes before the ledger knows
            there = n if use.transactional else there
        use.sink = await use.kind.crash(use.sink)
        held = await use.open(record)
        if use.transactional:
            use.holds_its_commit(held)
        await use.holds(*range(there), after="a crash")
        n = there


@_law
async def fresh_start(use: _Use) -> None:
    """A file sink refuses to open an output without its record, and does not change it."""
    await use.three()
    if use.transactional:
        use.holds_its_commit(await use.open())
    else:
        with use.refused("a fresh start on an existing output", SinkMismatch, "restart"):
            await use.open()
    await use.holds(*range(3), after="a fresh start")


@_law
async def restarting(use: _Use) -> None:
    """``restart`` empties the output; after that the sink is like new."""
    await use.three()
    use.same("the commit held after a restart", await use.open(restart=True), None)
    await use.holds(after="a restart")
    use.epoch = 0
    await use.write(5, 6)
    await use.commit()
    await use.holds(5, after="a restart and a commit")


@_law
async def shortened(use: _Use) -> None:
    """An output shorter than the committed one is refused, and not changed."""
    await _harmed(use, "shorten", "restart")


@_law
async def meddled(use: _Use) -> None:
    """An output whose end was changed after the commit is refused, and not changed."""
    await _harmed(use, "meddle", "not the one")


async def _harmed(use: _Use, how: str, word: str) -> None:
    harm, stored = getattr(use.kind, how, None), getattr(use.kind, "stored", None)
    if harm is None or stored is None:
        return
    record = await use.three()
    harm(use.sink)
    before = stored(use.sink)
    with use.refused(f"opening an output that was {use.law}", SinkMismatch, word):
        await use.open(record)
    if stored(use.sink) != before:
        raise use.broken("a refused output should stay as it was; it changed")


@_law
async def guarded(use: _Use) -> None:
    """An output that another program removed, renamed, replaced or cut ends the run with a ``SinkError``.

    The next commit notices it, or ``verify`` at the end of the run. The error names the output.
    """
    harms: Any = getattr(use.kind, "harms", lambda _: {})
    for name in harms(use.sink):
        for commits in (True, False):
            use.epoch = 0
            await use.open()
            await use.write(0, 3)
            await use.commit()
            await use.sink.verify()
            harms(use.sink)[name]()
            with use.refused(f"an output that was {name}", SinkError, use.sink.describe()):
                if commits:
                    await use.write(3, 6)
                    await use.commit()
                await use.sink.verify()
            await use.sink.aclose()
            use.kind.wipe()  # type: ignore[attr-defined]
            use.sink = use.kind.new()


@_law
async def fenced(use: _Use) -> None:
    """A sink that lost its lock changes nothing: its output now belongs to another run."""
    lose_lock = getattr(use.kind, "lose_lock", None)
    if lose_lock is None:
        return
    record = await use.three()
    await use.open(record)
    await use.write(3, 1500 if not use.transactional else 6, size=1000)  # a file sink has written some of it
    lose_lock(use.sink)
    first, use.sink = use.sink, use.kind.new()
    try:
        await use.open(record)
        await use.write(7, 9)
        await use.commit()
        await use.sink.aclose()
        with use.refused("a commit without the lock", SinkError, first.describe()):
            await first.write(_documents(9, 12))
            await first.commit(Commit(use.epoch + 1, {}))
    finally:
        await first.aclose()
    await use.holds(0, 1, 2, 7, 8, after="a sink without its lock was closed")


@_law
async def claimed(use: _Use) -> None:
    """``claim`` changes nothing, ``undo_open`` keeps what was committed; a restart may follow."""
    record = await use.three()
    await use.sink.claim()
    await use.sink.undo_open()
    await use.holds(*range(3), after="a claim that was undone")
    await use.open(record)
    await use.sink.undo_open()
    await use.sink.claim()
    await use.holds(*range(3), after="an open that was undone, and a claim")
    use.same("the commit held after a claim and a restart", await use.open(restart=True), None)
    await use.holds(after="a claim and a restart")


@_law
async def strange_records(use: _Use) -> None:
    """A file sink refuses the record of another kind of output."""
    if use.transactional:
        return
    for record in _STRANGE:
        with use.refused(f"the record {record!r}", SinkMismatch, "another kind of output"):
            await use.open(record)
        await use.sink.aclose()
        use.sink = use.kind.new()


@_law
async def not_open(use: _Use) -> None:
    """``write`` and ``commit`` raise before ``open`` and after ``aclose``."""
    for when in ("before opening", "after closing"):
        with use.refused(f"write {when}", SinkError, "not open"):
            await use.write(0, 1)
        with use.refused(f"commit {when}", SinkError, "not open"):
            await use.sink.commit(Commit(1, {}))
        await use.open(restart=True)
        await use.sink.aclose()


@_law
async def strange_documents(use: _Use) -> None:
    """A sink takes every document that `fault_of` finds writable, however strange its values are."""
    await use.open()
    await use.sink.write(STRANGE_DOCUMENTS)
    await use.commit()
    came = {json.loads(line)["doc_id"] for line in (await use.lines()).splitlines()}
    lost = [document.doc_id[:20] for document in STRANGE_DOCUMENTS if document.doc_id not in came]
    use.same("the strange documents that the output lacks", lost, [])


@_law
async def unwritable_documents(use: _Use) -> None:
    """A run loses only the documents that no sink can write; the sink gets all others."""
    documents = _documents(0, len(UNWRITABLE_DOCUMENTS) + 1)
    mixed = [each for pair in zip(documents, UNWRITABLE_DOCUMENTS, strict=False) for each in pair]
    result = await from_iterable([*mixed, documents[-1]]).into(use.sink)
    use.same(
        "completed and failed documents", (result.documents, result.failed), (len(documents), len(mixed) // 2)
    )
    await use.holds(*range(len(documents)), after="a run with documents that no sink can write")


@_law
async def manners(use: _Use) -> None:
    """``describe`` returns one line, also before ``open``."""
    text = use.sink.describe()
    if not text or "\n" in text:
        raise use.broken(f"describe() should return one line; it returned {text!r}")


def check(make: Callable[[], SinkKind], *, crashes: int = 10) -> None:
    """Check every law.

    Args:
        make: Returns a kind of sink whose output does not exist yet; called for each law.
        crashes: How many seeds to try for ``any_crash``.

    Raises:
        LawViolation: a law is broken; the first one that is.
    """

    async def main() -> None:
        for law in LAWS.values():
            await law(make())
        for seed in range(1, crashes):
            await any_crash(make(), seed=seed)

    asyncio.run(main())
