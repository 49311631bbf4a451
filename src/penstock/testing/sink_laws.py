"""What every sink promises, as checks that anyone can call on a sink of their own.

>>> from penstock.testing import sink_laws
>>> sink_laws.check(lambda: MyKind())

The checks need to know two things that no sink has a method for: what its output holds, and how a crash
looks. A ``SinkKind`` says both. Each law is an async function of a kind whose output does not exist yet, and
raises ``LawViolation`` if the promise is broken. What only a file sink promises (to cut its output back to
a record, to refuse an output that is another) is not asked of a transactional one, which is asked instead
for the commit that it holds.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from penstock.abc import JSON, Commit, Sink
from penstock.document import Document
from penstock.errors import SinkError, SinkMismatch
from penstock.sinks.files.lines import encode_lines
from penstock.testing.promises import hold, refused, same

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = [
    "LAWS",
    "SinkKind",
    "any_crash",
    "check",
    "closing",
    "committed",
    "fresh_start",
    "manners",
    "meddled",
    "not_open",
    "restarting",
    "rolling_back",
    "shortened",
    "strange_records",
]

_STRANGE: tuple[JSON, ...] = ({}, {"format": "other", "parts": []}, [], "x", 7)


class SinkKind(Protocol):
    """One output of one kind of sink, and what can happen to it.

    ``content(sink)`` returns what the output holds for its readers: documents in order, or lines of JSON as
    ``JsonLinesSink`` writes them; it may be a coroutine. Two further methods are used if they are there:
    ``shorten(sink)`` takes something away from the end of the output, and ``meddle(sink)`` changes its end;
    the sink is closed then, and with them ``stored(sink)`` returns the output as it is stored.
    """

    def new(self) -> Sink:
        """Return a sink on the output."""
        ...

    async def crash(self, sink: Sink) -> Sink:
        """End ``sink`` as if its process had been killed, and return another on what is left."""
        ...

    def content(self, sink: Sink) -> Any:
        """Return what the output holds."""
        ...


class _Use:
    """A sink in use, with its epochs counted and its documents numbered."""

    def __init__(self, kind: SinkKind, law: str, **replay: Any) -> None:
        self.kind = kind
        self.law = law
        self.replay = replay
        self.sink = kind.new()
        self.epoch = 0
        self.record: JSON = None

    @property
    def transactional(self) -> bool:
        return self.sink.transactional

    async def open(self, record: JSON = None, *, restart: bool = False) -> Commit | None:
        return await self.sink.open(None if self.transactional else record, restart=restart)

    async def write(self, first: int, last: int, size: int = 10) -> None:
        await self.sink.write(_documents(first, last, size))

    async def commit(self) -> JSON:
        """Commit, and return the record as a ledger gives it back."""
        self.epoch += 1
        commit = Commit(self.epoch, {"at": self.epoch}, counts={"completed": self.epoch})
        record = await self.sink.commit(commit)
        try:
            self.record = json.loads(json.dumps(record))
        except (TypeError, ValueError) as error:
            hold(self.law, kept=False, message=f"a record should be JSON, and is {record!r}: {error}")
        return self.record

    async def holds(self, *numbers: int, after: str) -> None:
        """Check which documents the output holds."""
        came = [json.loads(line)["doc_id"] for line in (await self.lines()).splitlines()]
        wanted = [f"d{n}" for n in numbers]
        same(self.law, f"after {after}, what the output holds", came, wanted, **self.replay)

    async def lines(self) -> bytes:
        """Return what the output holds, as lines of JSON."""
        content = self.kind.content(self.sink)
        content = await content if inspect.isawaitable(content) else content
        return content if isinstance(content, bytes) else encode_lines(content)


@asynccontextmanager
async def _using(kind: SinkKind, law: str, **replay: Any) -> AsyncIterator[_Use]:
    use = _Use(kind, law, **replay)
    try:
        yield use
    finally:
        await use.sink.aclose()


def _documents(first: int, last: int, size: int = 10) -> list[Document]:
    return [
        Document(doc_id=f"d{n}", source="test", title="t" * size, metadata={"n": n})
        for n in range(first, last)
    ]


async def committed(kind: SinkKind) -> None:
    """Documents are written in order, each once, and are there after ``commit``, whole."""
    async with _using(kind, "committed") as use:
        same(use.law, "the commit held by a new output", await use.open(), None)
        await use.write(0, 3)
        await use.sink.write([])
        await use.write(3, 5)
        await use.commit()
        await use.holds(*range(5), after="write and commit")
        same(use.law, "what the documents became", await use.lines(), encode_lines(_documents(0, 5)))


async def closing(kind: SinkKind) -> None:
    """``aclose`` does not commit, and may be called again."""
    async with _using(kind, "closing") as use:
        await use.open()
        await use.write(0, 3)
        await use.commit()
        await use.write(3, 1500, size=1000)
        await use.sink.aclose()
        await use.sink.aclose()
        await use.holds(*range(3), after="closing with documents that were not committed")


async def rolling_back(kind: SinkKind) -> None:
    """A file sink opens at any record it returned; a transactional one says what it committed last."""
    async with _using(kind, "rolling_back") as use:
        await use.open()
        await use.write(0, 3)
        first = await use.commit()
        await use.write(3, 5)
        await use.commit()
        await use.sink.aclose()
        held = await use.open(first)
        if use.transactional:
            await _holds_its_commit(use, held)
            return
        await use.holds(*range(3), after="opening at the record before the last")
        await use.write(7, 9)
        second = await use.commit()
        await use.sink.aclose()
        await use.open(second)
        await use.holds(0, 1, 2, 7, 8, after="opening at the last record")


async def _holds_its_commit(use: _Use, held: Commit | None) -> None:
    came = None if held is None else (held.epoch, held.position)
    wanted = (use.epoch, {"at": use.epoch})
    same(use.law, "epoch and position of the commit it holds", came, wanted, **use.replay)


async def any_crash(kind: SinkKind, *, seed: int = 0) -> None:
    """Whatever was written since, opening after a crash gives just what was committed last."""
    rng = random.Random(seed)  # noqa: S311  a schedule, not a secret
    async with _using(kind, "any_crash", seed=seed) as use:
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
                await use.commit()  # durable, but the ledger did not get to hear of it
                there = n if use.transactional else there
            use.sink = await kind.crash(use.sink)
            held = await use.open(record)
            if use.transactional:
                await _holds_its_commit(use, held)
            await use.holds(*range(there), after="a crash")
            n = there


async def fresh_start(kind: SinkKind) -> None:
    """An output that the ledger knows nothing of is refused by a file sink, and stays as it is."""
    async with _using(kind, "fresh_start") as use:
        await use.open()
        await use.write(0, 3)
        await use.commit()
        await use.sink.aclose()
        if use.transactional:
            await _holds_its_commit(use, await use.open())
        else:
            with refused(use.law, "a fresh start on an output that is there", SinkMismatch, "restart"):
                await use.open()
        await use.holds(*range(3), after="a fresh start")


async def restarting(kind: SinkKind) -> None:
    """``restart`` empties the output, and then goes on as on a new one."""
    async with _using(kind, "restarting") as use:
        await use.open()
        await use.write(0, 3)
        await use.commit()
        await use.sink.aclose()
        same(use.law, "the commit held after a restart", await use.open(restart=True), None)
        await use.holds(after="a restart")
        use.epoch = 0
        await use.write(5, 6)
        await use.commit()
        await use.holds(5, after="a restart and a commit")


async def shortened(kind: SinkKind) -> None:
    """An output shorter than what was committed is refused, and not touched."""
    await _harmed(kind, "shortened", "shorten", "restart")


async def meddled(kind: SinkKind) -> None:
    """An output whose end is not what was committed is refused, and not touched."""
    await _harmed(kind, "meddled", "meddle", "not the one")


async def _harmed(kind: SinkKind, law: str, how: str, word: str) -> None:
    harm, stored = getattr(kind, how, None), getattr(kind, "stored", None)
    if harm is None or stored is None:
        return
    async with _using(kind, law) as use:
        await use.open()
        await use.write(0, 3)
        record = await use.commit()
        await use.sink.aclose()
        harm(use.sink)
        before = stored(use.sink)
        with refused(law, f"opening an output that was {law}", SinkMismatch, word):
            await use.open(record)
        hold(law, stored(use.sink) == before, "a refused output should stay as it was")


async def strange_records(kind: SinkKind) -> None:
    """A file sink does not believe a ledger that was used with another kind of output."""
    for record in _STRANGE:
        async with _using(kind, "strange_records", record=record) as use:
            if use.transactional:
                return
            with refused(use.law, "a strange record", SinkMismatch, "another kind of output", **use.replay):
                await use.open(record)


async def not_open(kind: SinkKind) -> None:
    """Writing or committing before opening, and after closing, says so."""
    async with _using(kind, "not_open") as use:
        for when in ("before opening", "after closing"):
            with refused(use.law, f"write {when}", SinkError, "not open"):
                await use.write(0, 1)
            with refused(use.law, f"commit {when}", SinkError, "not open"):
                await use.sink.commit(Commit(1, {}))
            await use.open(restart=True)
            await use.sink.aclose()


async def manners(kind: SinkKind) -> None:
    """A sink says in a few words what it is; asked before it is opened, too."""
    async with _using(kind, "manners") as use:
        told = use.sink.describe()
        hold(use.law, bool(told) and "\n" not in told, f"describe() should be one line, and is {told!r}")


LAWS: dict[str, Callable[[SinkKind], Awaitable[None]]] = {
    "committed": committed,
    "closing": closing,
    "rolling_back": rolling_back,
    "any_crash": any_crash,
    "fresh_start": fresh_start,
    "restarting": restarting,
    "shortened": shortened,
    "meddled": meddled,
    "strange_records": strange_records,
    "not_open": not_open,
    "manners": manners,
}
"""The laws by name."""


def check(make: Callable[[], SinkKind], *, crashes: int = 10) -> None:
    """Check every law, each on a kind that ``make`` returns: its output must not exist yet.

    Args:
        make: Returns a kind of sink with an output of its own.
        crashes: Under how many seeds to crash it.

    Raises:
        LawViolation: a law is broken; the first one that is.
    """

    async def main() -> None:
        for law in LAWS.values():
            await law(make())
        for seed in range(1, crashes):
            await any_crash(make(), seed=seed)

    asyncio.run(main())
