"""The event stream keeps its laws, with random scripted sources, settings, schedules and cuts."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import aclosing, suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock.runtime.run
from penstock.adapters import Adapter
from penstock.documents.settings import Settings
from penstock.errors import DocumentError
from penstock.events import BatchProgress, DocumentCompleted, DocumentFailed, DocumentStarted, PipelineEvent
from penstock.runtime.subscription import Running
from penstock.testing import VirtualClock
from penstock.testing import run as virtually

from ..scripted import (  # noqa: TID252  tests are no installed package
    CONCURRENT,
    PLANS,
    RECORDS,
    Plan,
    Record,
    ScriptedSource,
    all_of,
    expected,
    shown,
    take,
    wanted,
)

if TYPE_CHECKING:
    from penstock.abc import Standing
    from penstock.document import Document

SCHEDULES = st.lists(st.sampled_from([1, 1, 2, 3, 7, 1000]), min_size=1, max_size=4)
CUTS = st.lists(st.integers(1, 6), min_size=1, max_size=8)


def documents_of(events: list[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the events of each document, in order."""
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for event in events:
        if event[0] in "SCF":
            found[event[1]].append(event)
    return dict(found)


def check_sums(events: list[tuple[Any, ...]]) -> None:
    """In every ``BatchProgress``, started = completed + failed + in flight, counted from the stream itself."""
    counts: Counter[str] = Counter()
    for event in events:
        terminal = event[0] == "C" or (event[0] == "F" and not event[3])
        counts[
            {"S": "started", "C": "completed", "F": "failed" if terminal else "tried"}.get(event[0], "-")
        ] += 1
        if event[0] == "P":
            completed, failed, _, in_flight = event[1:]
            assert (completed, failed) == (counts["completed"], counts["failed"])
            assert counts["started"] == completed + failed + in_flight


def check_documents(events: list[tuple[Any, ...]]) -> None:
    """Each document is started once, tried a number of times, and settled once."""
    for first, *tries, last in documents_of(events).values():
        assert first[0] == "S"
        assert [event[2:] for event in tries] == [(k, True) for k in range(len(tries))]
        assert last[0] == "C" or last[3] is False
        assert last[2] == len(tries)


def states_of(events: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    """Return the state changes, each of which must begin where the one before has ended."""
    changes = [event[1:] for event in events if event[0] == "A"]
    assert all(one[1] == other[0] for one, other in pairwise(changes))
    return changes


def check_end(events: list[tuple[Any, ...]], state: str) -> None:
    """A run ends with a progress event and the change to its last state."""
    assert events[-2][0] == "P"
    assert events[-1] == ("A", "running", state)


# -- the whole stream --------------------------------------------------------------------------------


@given(RECORDS, PLANS, SCHEDULES, st.integers(1, 4))
def test_the_sequential_stream_equals_the_model(
    records: list[Record], plan: Plan, schedule: list[int], page: int
) -> None:
    """The events equal those of a plain loop, for any schedule of requests."""
    source = ScriptedSource(records, page=page)
    events, error = virtually(all_of(plan.running(source), schedule))
    assert error is None
    assert [shown(event) for event in events] == expected(plan, source).events


@given(RECORDS, CONCURRENT, SCHEDULES, st.integers(1, 4))
def test_concurrent_documents_have_the_same_events(
    records: list[Record], plan: Plan, schedule: list[int], page: int
) -> None:
    """The events of each document, and the final counts, equal those of the model."""
    source = ScriptedSource(records, page=page)
    events, error = virtually(all_of(plan.running(source), schedule))
    shown_events, model = [shown(event) for event in events], expected(plan, source).events
    assert error is None
    assert documents_of(shown_events) == documents_of(model)
    assert shown_events[-2:] == model[-2:]
    check_sums(shown_events)
    assert states_of(shown_events) == [("new", "running"), ("running", "completed")]


@given(RECORDS, PLANS, SCHEDULES, st.integers(1, 5))
def test_a_limit_ends_the_run_at_that_many_documents(
    records: list[Record], plan: Plan, schedule: list[int], limit: int
) -> None:
    """``limit`` counts completed and failed documents, not skipped ones; no further page is read."""
    plan = replace(plan, limit=limit)
    source = ScriptedSource(records)
    events, error = virtually(all_of(plan.running(source), schedule))
    assert error is None
    assert [shown(event) for event in events] == expected(plan, source).events


@given(RECORDS, CONCURRENT, SCHEDULES, st.integers(1, 5))
def test_a_limit_holds_for_concurrent_documents(
    records: list[Record], plan: Plan, schedule: list[int], limit: int
) -> None:
    """No document beyond the limit is even started."""
    source = ScriptedSource(records)
    events, _ = virtually(all_of(replace(plan, limit=limit).running(source), schedule))
    shown_events = [shown(event) for event in events]
    check_sums(shown_events)
    check_end(shown_events, "completed")
    done = shown_events[-2][1] + shown_events[-2][2]
    assert done <= limit
    assert shown_events[-2][4] == 0
    whole = expected(plan, source)
    assert done == min(limit, whole.completed + whole.failed)


@given(RECORDS, PLANS, SCHEDULES)
def test_fail_fast_ends_with_the_events_then_the_error(
    records: list[Record], plan: Plan, schedule: list[int]
) -> None:
    """The first document that fails for good ends the run with progress, ``failed`` and a ``DocumentError``."""
    plan = replace(plan, fail_fast=True)
    source = ScriptedSource(records)
    events, error = virtually(all_of(plan.running(source), schedule))
    model = expected(plan, source)
    assert [shown(event) for event in events] == model.events
    assert isinstance(error, DocumentError) == (model.state == "failed")


@given(RECORDS, CONCURRENT, SCHEDULES)
def test_fail_fast_counts_documents_in_flight(records: list[Record], plan: Plan, schedule: list[int]) -> None:
    """Documents in work when another ends the run count as in flight; no event follows the end."""
    source = ScriptedSource(records)
    events, error = virtually(all_of(replace(plan, fail_fast=True).running(source), schedule))
    shown_events = [shown(event) for event in events]
    check_sums(shown_events)
    check_end(shown_events, "failed" if error else "completed")
    assert sum(event[0] == "F" and not event[3] for event in shown_events) == (1 if error else 0)


# -- fields and order of events -----------------------------------------------------------------------------


@given(RECORDS, PLANS | CONCURRENT)
def test_a_document_is_started_before_it_is_parsed(records: list[Record], plan: Plan) -> None:
    """The timestamp of ``DocumentStarted`` is not later than the first parsing, or than the terminal event."""
    source = ScriptedSource(records)
    parsed: dict[str, float] = {}

    async def main() -> list[PipelineEvent]:
        running = plan.running(source)
        running.run.clock = clock = VirtualClock()
        source.on_parse = lambda name: parsed.setdefault(name, clock.time())
        return (await all_of(running, [3]))[0]

    started: dict[str, float] = {}
    for event in virtually(main()):
        if isinstance(event, DocumentStarted):
            started[event.doc_id] = event.timestamp
            assert event.timestamp <= parsed.get(event.doc_id, float("inf"))
        elif isinstance(event, DocumentCompleted):
            assert started[event.doc_id] + event.duration == pytest.approx(event.timestamp)
        elif isinstance(event, DocumentFailed):
            assert started[event.doc_id or ""] <= event.timestamp


@pytest.mark.parametrize("plan", [Plan(where=False), Plan(where=False, sleepy=True)])
async def test_the_start_is_delivered_before_the_parser_is_called(plan: Plan) -> None:
    """A consumer that requests one event at a time gets the start of a document before it is parsed."""
    source = ScriptedSource([Record(), Record()])
    async with plan.running(source) as running:
        assert [shown(e) for e in await running.request(1)] == [("A", "new", "running")]
        assert [shown(e) for e in await running.request(1)] == [("S", "d0")]
        if not plan.sleepy:
            assert source.attempts["d0"] == 0


@pytest.mark.parametrize("sleepy", [False, True])
def test_no_step_gets_a_document_that_where_leaves_out(sleepy: bool) -> None:
    """``where`` gets the parsed document; an accepted document is announced before its first step."""
    source = ScriptedSource([Record(), Record("out"), Record()])
    seen: list[str] = []

    def note(document: Document) -> Document:
        assert wanted(document)
        seen.append(f"step {document.doc_id}")
        return document.model_copy(update={"title": "out"})

    async def sleepy_note(document: Document) -> Document:
        await asyncio.sleep(1)
        return note(document)

    async def main() -> None:
        settings = Settings(where=(wanted,), process=(sleepy_note if sleepy else note,))
        async with Running(Adapter(source, page_size=3).events(settings)) as running:
            while events := await running.request(1):
                seen.extend(f"{shown(e)[0]} {e.doc_id}" for e in events if hasattr(e, "doc_id"))

    virtually(main())
    assert seen == [f"{what} {name}" for name in ("d0", "d2") for what in ("S", "step", "C")]


def test_attempts_wait_for_the_backoff_of_the_policy() -> None:
    """A document that fails twice is tried at 0, 1 and 3 seconds."""
    for plan in (Plan(), Plan(sleepy=True)):
        source = ScriptedSource([Record(flaky=2)])
        tried: list[float] = []

        async def main(plan: Plan = plan, source: ScriptedSource = source) -> None:
            loop = asyncio.get_running_loop()
            source.on_parse = lambda _: tried.append(loop.time())  # noqa: B023
            await all_of(plan.running(source), [100])

        virtually(main())
        assert tried == [0.0, 1.0, 3.0]


def test_a_failure_has_traceback_and_raw_bytes() -> None:
    """An exception of the parser has its traceback, a refused document only its reason; both have the bytes."""
    source = ScriptedSource([Record("crash"), Record("bad"), Record(flaky=1)])
    events, _ = virtually(all_of(Plan().running(source), [100]))
    crash, bad, flaky = (event for event in events if isinstance(event, DocumentFailed))
    assert (crash.error_type, bad.error_type) == ("ZeroDivisionError", "DocumentError")
    assert "on_parse" not in (crash.traceback or "")
    assert "file#0 crashes the parser" in (crash.traceback or "")
    assert bad.traceback is None
    assert (crash.raw, bad.raw) == (b"0:crash", b"1:bad")
    assert [(e.is_retryable, e.will_retry) for e in (crash, bad, flaky)] == [
        (False, False),
        (False, False),
        (True, True),
    ]


def test_a_step_that_returns_no_document_fails_that_document_only() -> None:
    """The error names the step, and the run goes on."""

    def forgetful(document: Any) -> None: ...

    async def late(document: Any) -> None: ...

    for process in (forgetful, late):
        plan = Plan()
        node = plan.running(ScriptedSource([Record()]))._vertex.node  # type: ignore[attr-defined]
        running: Running[Any] = Running(node.with_settings(process=(process,)))
        events, error = virtually(all_of(running, [100]))
        [failed] = [event for event in events if isinstance(event, DocumentFailed)]
        assert error is None
        assert process.__name__ in failed.error
        assert "must return a Document" in failed.error


# -- sources that fail -------------------------------------------------------------------------------


@given(RECORDS, PLANS, SCHEDULES, st.dictionaries(st.sampled_from([-1, 0, 3, 6]), st.integers(1, 2)))
def test_a_source_that_recovers_adds_only_state_changes(
    records: list[Record], plan: Plan, schedule: list[int], down: dict[int, int]
) -> None:
    """An error within the policy adds failed, retrying, running; the events of documents equal the model's."""
    plan = replace(plan, retry=True)
    source = ScriptedSource(records, down=down)
    events, error = virtually(all_of(plan.running(source), schedule))
    shown_events = [shown(event) for event in events]
    again = [("A", "running", "failed"), ("A", "failed", "retrying"), ("A", "retrying", "running")]
    reached = [at for at in down if at < len(records)]
    assert error is None
    assert [e for e in shown_events if e not in again] == expected(plan, source).events
    assert [shown_events.count(e) for e in again] == [sum(down[at] for at in reached)] * 3
    states_of(shown_events)


@given(RECORDS, CONCURRENT, SCHEDULES, st.dictionaries(st.sampled_from([-1, 0, 3, 6]), st.integers(1, 2)))
def test_a_source_that_recovers_loses_no_concurrent_document(
    records: list[Record], plan: Plan, schedule: list[int], down: dict[int, int]
) -> None:
    """The same with documents in work while the source is down."""
    plan = replace(plan, retry=True)
    source = ScriptedSource(records, down=down)
    events, error = virtually(all_of(plan.running(source), schedule))
    shown_events = [shown(event) for event in events]
    assert error is None
    assert documents_of(shown_events) == documents_of(expected(plan, source).events)
    check_sums(shown_events)
    check_end(shown_events, "completed")
    states_of(shown_events)


@given(RECORDS, PLANS | CONCURRENT, SCHEDULES, st.sampled_from([-1, 0, 3, 6]))
def test_a_source_that_stays_down_ends_with_the_events_then_its_error(
    records: list[Record], plan: Plan, schedule: list[int], at: int
) -> None:
    """Earlier events are delivered, then progress, ``failed``, and the exception of the source with a note."""
    source = ScriptedSource(records, down={at: 99})
    events, error = virtually(all_of(plan.running(source), schedule))
    shown_events = [shown(event) for event in events]
    check_sums(shown_events)
    states_of(shown_events)
    if at >= len(records):
        assert error is None
        return
    assert isinstance(error, ConnectionError)
    assert any(note.startswith("penstock: in ") for note in error.__notes__)
    check_end(shown_events, "failed")
    before = ScriptedSource(records if at < 0 else records[:at])
    assert documents_of(shown_events) == documents_of(expected(plan, before).events)


def test_the_attempts_of_a_source_start_again_after_each_page() -> None:
    """Two failures before each of three pages are within three attempts."""
    source = ScriptedSource([Record()] * 9, down={0: 2, 3: 2, 6: 2, -1: 2})
    _, error = virtually(all_of(Plan().running(source), [100]))
    assert error is None


# -- positions ---------------------------------------------------------------------------------------


@given(RECORDS, PLANS, CUTS, SCHEDULES)
def test_positions_are_exact_at_every_cut(
    records: list[Record], plan: Plan, cuts: list[int], schedule: list[int]
) -> None:
    """A run that is cut and resumed several times delivers the events of an undisturbed run."""

    async def main() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        source = ScriptedSource(records)
        seen: list[tuple[Any, ...]] = []
        position = None
        for cut in [*cuts, None]:
            async with aclosing(plan.running(source, position)) as running:
                seen += [shown(event) for event in await take(running, schedule, cut)]
                position = running.position
            source.rewind(seen)
        return seen, expected(plan, source).events

    seen, model = virtually(main())
    assert seen == model


@given(RECORDS, CONCURRENT, st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=6), SCHEDULES)
def test_positions_are_exact_between_sequential_and_concurrent_runs(
    records: list[Record], plan: Plan, cuts: list[tuple[int, int]], schedule: list[int]
) -> None:
    """A run may be resumed with another concurrency: no event is lost, and none comes twice."""

    async def main() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        source = ScriptedSource(records)
        seen: list[tuple[Any, ...]] = []
        position = None
        for cut, concurrency in [*cuts, (None, 2)]:
            now = replace(plan, concurrency=max(concurrency, 1), sleepy=concurrency > 0)
            async with aclosing(now.running(source, position)) as running:
                seen += [shown(event) for event in await take(running, schedule, cut)]
                position = running.position
            source.rewind(seen)
        return seen, expected(plan, source).events

    seen, model = virtually(main())
    assert documents_of(seen) == documents_of(model)
    assert seen[-2:] == model[-2:]
    check_sums(seen)
    states_of(seen)


@given(RECORDS, PLANS | CONCURRENT, st.integers(0, 12), SCHEDULES)
def test_a_drained_run_ends_as_cancelled_and_can_be_resumed(
    records: list[Record], plan: Plan, after: int, schedule: list[int]
) -> None:
    """``drain`` settles the documents in flight; progress and ``cancelled`` follow; the next run has the others.

    A document that waits for its next attempt is tried again by the next run, so ``drain`` makes no document fail.
    """

    async def main() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        source = ScriptedSource(records)
        async with aclosing(plan.running(source)) as running:
            first = await take(running, schedule, after) if after else []
            await running.drain()
            first += await take(running, schedule)
            position = running.position
        begun = [shown(event) for event in first]
        source.rewind(begun)
        rest, _ = await all_of(plan.running(source, position), schedule)
        return begun, [shown(event) for event in rest], expected(plan, source).events

    begun, rest, model = virtually(main())
    assert begun[-2][0] == "P"
    assert begun[-1][0] == "A"
    check_sums(begun + rest)
    states_of(begun + rest)
    check_documents(begun + rest)
    assert (begun + rest)[-2:] == model[-2:]
    assert documents_of(begun + rest) == documents_of(model)


@given(RECORDS, PLANS | CONCURRENT, st.lists(st.integers(0, 9), min_size=1, max_size=12), SCHEDULES)
def test_cancelled_requests_lose_no_event(
    records: list[Record], plan: Plan, turns: list[int], schedule: list[int]
) -> None:
    """Requests are cancelled after any number of turns of the loop: the stream is that of an undisturbed run."""
    source = ScriptedSource(records, down={3: 1})
    plan = replace(plan, retry=True)

    async def main() -> list[tuple[Any, ...]]:
        seen: list[tuple[Any, ...]] = []
        async with aclosing(plan.running(source)) as running:
            for k, patience in enumerate(turns):
                request = asyncio.ensure_future(running.request(schedule[k % len(schedule)]))
                for _ in range(patience):
                    await asyncio.sleep(0)
                request.cancel()
                with suppress(asyncio.CancelledError):
                    seen += [shown(event) for event in await request]
            seen += [shown(event) for event in await take(running, schedule)]
        return seen

    seen = virtually(main())
    model = expected(plan, source).events
    assert documents_of(seen) == documents_of(model)
    assert seen[-2:] == model[-2:]
    check_sums(seen)
    states_of(seen)


# -- faults that were found here -----------------------------------------------------------------------


def test_a_failed_attempt_is_delivered_before_its_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are not held back while a document waits for its next attempt."""
    monkeypatch.setattr(penstock.runtime.run, "SLICE", -1.0)  # so every slice is one event

    async def main() -> None:
        source = ScriptedSource([Record(), Record(flaky=1)])
        async with aclosing(Plan(where=False).running(source)) as running:
            await running.request(100)
            began = asyncio.get_running_loop().time()
            events = [shown(event) for event in await running.request(100)]
            assert events == [("S", "d0"), ("C", "d0", 0), ("S", "d1"), ("F", "d1", 0, True)]
            assert asyncio.get_running_loop().time() == began

    virtually(main())


def test_a_run_that_was_cut_behind_its_final_progress_ends_with_another_one() -> None:
    """A drained run is left between its last two events; the run that resumes it has a final progress again."""

    async def main() -> list[PipelineEvent]:
        source = ScriptedSource([Record()] * 8)
        async with aclosing(Plan(every=None).running(source)) as running:
            await take(running, [1], 3)
            await running.drain()
            while not isinstance((await running.request(1))[0], BatchProgress):
                pass
            position = running.position
        events, _ = await all_of(Plan(every=None).running(source, position), [5])
        return events

    assert [shown(event) for event in virtually(main())][-2:] == [
        ("P", 8, 0, 0, 0),
        ("A", "running", "completed"),
    ]


@pytest.mark.parametrize("plan", [Plan(), Plan(sleepy=True, concurrency=2)])
def test_comparing_with_earlier_runs_may_fail_once(plan: Plan) -> None:
    """The comparison is retried; no record of the page is lost."""
    failures = iter([ConnectionError("lost")])

    async def compare(pairs: Any) -> list[Standing]:
        for error in failures:
            raise error
        return ["new"] * len(pairs)

    source = ScriptedSource([Record()] * 8)
    node = plan.running(source)._vertex.node  # type: ignore[attr-defined]
    events, error = virtually(all_of(Running(node.with_settings(compare=compare)), [100]))
    assert error is None
    assert documents_of([shown(event) for event in events]) == documents_of(expected(plan, source).events)
