"""A source that plays a script of records, and a model of the events that the event stage must deliver.

The model is a plain loop without demand, positions or tasks.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from expression import Error, Ok, Result
from hypothesis import strategies as st

from penstock.abc import Page, Source, Standing
from penstock.adapters import Adapter
from penstock.document import Document, RawRecord, content_hash
from penstock.documents.settings import Settings
from penstock.errors import DocumentError
from penstock.events import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
)
from penstock.runtime.policy import RetryPolicy
from penstock.runtime.subscription import Running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from penstock.abc import JSON, Position

ATTEMPTS = 3
POLICY = RetryPolicy(attempts=ATTEMPTS, initial=1.0, factor=2.0, jitter=False)

KINDS = ("ok", "ok", "ok", "gone", "bad", "crash", "nameless", "out", "step")


@dataclass(frozen=True)
class Record:
    """One record: it has ``flaky`` retryable failures first, and then ends as its ``kind``.

    ``ok`` completes, ``gone`` is a tombstone, ``parse`` refuses ``bad`` and raises with ``crash``, ``nameless``
    has no id, ``where`` leaves out ``out``, a processing step fails with ``step``.
    """

    kind: str = "ok"
    flaky: int = 0
    seconds: float = 0.0  # that an async step takes


RECORDS = st.lists(
    st.builds(
        Record,
        kind=st.sampled_from(KINDS),
        flaky=st.sampled_from([0, 0, 0, 0, 1, 2, ATTEMPTS]),
        seconds=st.sampled_from([0.0, 0.0, 0.5, 3.0]),
    ),
    max_size=9,
)


class ScriptedSource(Source):
    """Plays ``records`` in pages; ``down`` is how often the page at an index fails to be fetched."""

    name: ClassVar[str] = "scripted"

    def __init__(
        self,
        records: Sequence[Record],
        *,
        page: int = 3,
        down: dict[int, int] | None = None,
        first: int = 0,
        promised: int | None = None,
    ) -> None:
        self.records = list(records)
        self.promised = promised
        self.page = page
        self.down = dict(down or {})
        self.first = first
        self.attempts: Counter[str] = Counter()
        self.fetched = 0
        self.on_parse: Callable[[str], object] = lambda _: None

    async def fetch(self, position: JSON) -> AsyncGenerator[Page[RawRecord], None]:
        at = position or 0
        while at < len(self.records):
            if self.down.get(at, 0) > 0:
                self.down[at] -= 1
                raise ConnectionError(f"page {at} is down")
            end = min(at + self.page, len(self.records))
            self.fetched += end - at
            yield Page([self.raw(i) for i in range(at, end)], end, promised=self.promised)
            at = end
        if self.down.get(-1, 0) > 0:  # behind the last page
            self.down[-1] -= 1
            raise ConnectionError("the end is down")

    def raw(self, i: int) -> RawRecord:
        return RawRecord(f"file#{i}", f"{i}:{self.records[i].kind}".encode(), {"number": i})

    def identify(self, raw: RawRecord) -> str:
        number = raw.context["number"]
        if self.records[number].kind == "nameless":
            raise DocumentError(f"{raw.key} has no name")
        return f"d{number}"

    def parse(self, raw: RawRecord) -> Result[Document, DocumentError]:
        number = raw.context["number"]
        record = self.records[number]
        self.on_parse(f"d{number}")
        self.attempts[f"d{number}"] += 1
        if self.attempts[f"d{number}"] <= record.flaky:
            return Error(DocumentError("not yet", retryable=True))
        if record.kind == "bad":
            return Error(DocumentError("refused"))
        if record.kind == "crash":
            raise ZeroDivisionError(f"{raw.key} crashes the parser")
        return Ok(
            Document(
                doc_id=f"d{number}",
                source=self.name,
                title=record.kind,
                content_hash=content_hash(raw.data),
                deleted=record.kind == "gone",
                metadata={"seconds": record.seconds},
            )
        )

    def id_of(self, i: int) -> str:
        return f"file#{i}" if self.records[i].kind == "nameless" else f"d{i}"

    def rewind(self, seen: Sequence[tuple[Any, ...]]) -> None:
        """Continue each record behind the failures that were ``seen``."""
        self.attempts = Counter(event[1] for event in seen if event[0] == "F")


def wanted(document: Document) -> bool:
    return document.title != "out"


def step(document: Document) -> Document:
    if document.title == "step":
        raise ValueError(f"the step cannot take {document.doc_id}")
    return document.model_copy(update={"content": "processed"})


@dataclass(frozen=True)
class Plan:
    """The settings of the event stage that the model knows."""

    where: bool = True
    every: int | None = 3
    limit: int | None = None
    fail_fast: bool = False
    retry: bool = True
    concurrency: int = 1
    sleepy: bool = False  # the step is async, and takes each record's seconds
    unchanged: frozenset[str] = frozenset()

    @property
    def settings(self) -> Settings:
        return Settings(
            where=(wanted,) if self.where else (),
            process=(_sleepy_step,) if self.sleepy else (step,),
            concurrency=self.concurrency,
            retry=POLICY if self.retry else None,
            progress_every=self.every,
            fail_fast=self.fail_fast,
            limit=self.limit,
            compare=self._compare if self.unchanged else None,
            pipeline_id="test",
        )

    async def _compare(self, pairs: Sequence[tuple[str, str]]) -> list[Standing]:
        return ["unchanged" if doc_id in self.unchanged else "new" for doc_id, _ in pairs]

    def running(self, source: Source, position: Position | None = None) -> Running[PipelineEvent]:
        return Running(Adapter(source, page_size=3).events(self.settings), position)


async def _sleepy_step(document: Document) -> Document:
    import asyncio

    await asyncio.sleep(document.metadata["seconds"])
    return step(document)


PLANS = st.builds(
    Plan,
    where=st.booleans(),
    every=st.sampled_from([None, 1, 2, 3, 5]),
    retry=st.booleans(),
    unchanged=st.frozensets(st.integers(0, 8).map(lambda i: f"d{i}"), max_size=3),
)
CONCURRENT = st.builds(
    Plan,
    where=st.booleans(),
    every=st.sampled_from([None, 1, 2, 3, 5]),
    retry=st.booleans(),
    concurrency=st.integers(1, 3),
    sleepy=st.just(True),
    unchanged=st.frozensets(st.integers(0, 8).map(lambda i: f"d{i}"), max_size=3),
)


# -- events as tuples, without what is measured ------------------------------------------------------


def shown(event: PipelineEvent) -> tuple[Any, ...]:
    match event:
        case DocumentStarted():
            return ("S", event.doc_id)
        case DocumentCompleted():
            return ("C", event.doc_id, event.retry_count)
        case DocumentFailed():
            return ("F", event.doc_id, event.retry_count, event.will_retry)
        case BatchProgress():
            return ("P", event.completed, event.failed, event.skipped, event.in_flight)
        case AdapterStateChange():
            return ("A", event.old_state, event.new_state)
    raise AssertionError(event)


# -- the model ---------------------------------------------------------------------------------------


@dataclass
class Model:
    """The events of an undisturbed sequential run, and its last state."""

    plan: Plan
    events: list[tuple[Any, ...]] = field(default_factory=list)
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    state: str = "running"

    def say(self, *event: Any) -> None:
        self.events.append(event)

    def progress(self) -> None:
        self.say("P", self.completed, self.failed, self.skipped, 0)

    def settle(self, what: str) -> None:
        setattr(self, what, getattr(self, what) + 1)
        every = self.plan.every
        if self.state == "running" and every and (self.completed + self.failed + self.skipped) % every == 0:
            self.progress()

    def document(self, source: ScriptedSource, i: int) -> None:
        plan, record, name = self.plan, source.records[i], source.id_of(i)
        attempts = ATTEMPTS if plan.retry else 1
        flaky = 0 if record.kind == "nameless" else min(record.flaky, attempts)
        out = record.kind == "out" and plan.where
        if name in plan.unchanged or (out and not flaky):
            self.settle("skipped")
            return
        self.say("S", name)
        for k in range(flaky):
            again = k + 1 < attempts
            if not again:
                self.fail(name, k)
                return
            self.say("F", name, k, True)
        if out or record.kind in ("bad", "crash", "nameless", "step"):
            self.fail(name, flaky)
        else:
            self.say("C", name, flaky)
            self.settle("completed")

    def fail(self, name: str, retries: int) -> None:
        self.say("F", name, retries, False)
        if self.plan.fail_fast:
            self.state = "failed"
        self.settle("failed")


def expected(plan: Plan, source: ScriptedSource) -> Model:
    """Return the model of a sequential run over ``source``."""
    model = Model(plan)
    model.say("A", "new", "running")
    for i in range(len(source.records)):
        if plan.limit is not None and model.completed + model.failed >= plan.limit:
            break
        model.document(source, i)
        if model.state != "running":
            break
    model.progress()
    ended = "completed" if model.state == "running" else model.state
    model.say("A", "running", ended)
    return model


# -- driving -----------------------------------------------------------------------------------------


async def take(
    running: Running[PipelineEvent], schedule: Sequence[int], most: int | None = None
) -> list[Any]:
    """Return the events of a run, or at least the first ``most``, requested by ``schedule``."""
    events: list[Any] = []
    turn = 0
    while most is None or len(events) < most:
        got = await running.request(schedule[turn % len(schedule)])
        turn += 1
        if not got:
            break
        events += got
    return events


async def all_of(
    running: Running[PipelineEvent], schedule: Sequence[int]
) -> tuple[list[Any], Exception | None]:
    """Return the events of a run, and the error it ended with."""
    events: list[Any] = []
    async with aclosing(running):
        try:
            turn = 0
            while got := await running.request(schedule[turn % len(schedule)]):
                turn += 1
                events += got
        except Exception as error:  # noqa: BLE001  the test looks at it
            return events, error
    return events, None
