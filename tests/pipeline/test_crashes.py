"""A run that dies or fails at any call to its ledger or sink, run again, ends like an undisturbed one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import LedgerError, SinkError, SinkMismatch
from penstock.testing import run as virtually

from ..length import LONG  # noqa: TID252  tests are no installed package
from ..machines import Fault, Killed, Machine  # noqa: TID252  tests are no installed package
from ..scripted import ATTEMPTS, POLICY, RECORDS, Record, ScriptedSource, step, wanted  # noqa: TID252

SCRIPT = [
    Record(), Record(flaky=1), Record("bad"), Record(), Record("gone"), Record("out"), Record("crash"), Record(),
    Record("nameless"), Record(), Record(), Record("step"), Record(),
]  # fmt: skip

SINKS = {"file": Machine.file_sink, "database": Machine.database, "several": Machine.several}
OUTPUTS = ("file", "rows", "others")


async def sleepy(document: Any) -> Any:
    await asyncio.sleep(document.metadata["seconds"])
    return step(document)


def pipeline_on(
    machine: Machine, source: ScriptedSource, fault: Fault, *, overlapping: bool, restart: bool = False
) -> IngestionPipeline:
    """Return a pipeline as one process would make it."""
    return IngestionPipeline(
        Adapter(source, page_size=3), ledger=machine.ledger(fault), process=[sleepy if overlapping else step],
        concurrency=2 if overlapping else 1, where=wanted, retry=POLICY, progress_every=2, checkpoint_every=3,
        restart=restart,
    )  # fmt: skip


async def outcome(machine: Machine) -> dict[str, Any]:
    """Return everything that must be as if nothing had happened."""
    await machine.books.open("scripted")
    last = machine.books._books["scripted"].last
    return {
        "file": [(d.doc_id, d.content) for d in machine.file],
        "rows": [(d.doc_id, d.content) for d in machine.base.rows.values()],
        "others": [(d.doc_id, d.content) for d in machine.other.rows.values()],
        "tally": await machine.books.tally("scripted"),
        "dead": sorted([letter.key async for letter in machine.books.dead_letters("scripted")]),
        "counts": last and last[3],
    }


async def process(
    machine: Machine,
    records: list[Record],
    fault: Fault,
    kind: str,
    *,
    overlapping: bool = False,
    restart: bool = False,
) -> Any:
    """Run the pipeline once, as one process; return its summary, or the exception it ended with."""
    source = ScriptedSource(records)
    source.attempts = machine.attempts  # whoever was flaky goes on being so from there
    sink = SINKS[kind](machine, fault)
    try:
        pipeline = pipeline_on(machine, source, fault, overlapping=overlapping, restart=restart)
        return await pipeline.run(sink)
    except (Killed, LedgerError, SinkError) as error:
        return error
    finally:
        await machine.lose_power(fault.at)


async def outcome_of_another(
    machine: Machine, records: list[Record], kind: str, *, overlapping: bool
) -> dict[str, Any]:
    """Return how it ends when one more process runs, and nothing goes wrong with that one."""
    book = machine.books._books.get("scripted")
    ended, counts = book is not None and not book.running, book and book.last and book.last[3]
    await process(machine, records, Fault(), kind, overlapping=overlapping)
    result = await outcome(machine)
    return {**result, "counts": counts} if ended else result  # a new logical run found nothing to do


async def undisturbed(records: list[Record], kind: str, *, overlapping: bool) -> tuple[dict[str, Any], int]:
    """Return how a run ends, and how many calls it takes."""
    machine, fault = Machine(), Fault()
    await process(machine, records, fault, kind, overlapping=overlapping)
    return await outcome(machine), fault.calls


def sorted_outcome(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, **{name: sorted(result[name]) for name in OUTPUTS}}


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("overlapping", [False, True], ids=["sequential", "overlapping"])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
def test_every_single_fault(kind: str, kill: bool, overlapping: bool) -> None:
    """Killed, or failed once, before or after any call: the next run makes output and ledger whole."""

    async def main() -> None:
        whole, calls = await undisturbed(SCRIPT, kind, overlapping=overlapping)
        assert calls > 12
        for at in range(calls):
            for after in (False, True):
                machine, fault = Machine(), Fault(at, kill=kill, after=after)
                ended = await process(machine, SCRIPT, fault, kind, overlapping=overlapping)
                assert isinstance(ended, Killed if kill else LedgerError | SinkError), fault.log
                result = await outcome_of_another(machine, SCRIPT, kind, overlapping=overlapping)
                if overlapping:
                    assert sorted_outcome(result) == sorted_outcome(whole), (at, after, fault.log[at])
                else:
                    assert result == whole, (at, after, fault.log[at])

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("kills", [(True, True), (True, False), (False, True)], ids=["kk", "kf", "fk"])
def test_every_pair_of_faults(kind: str, kills: tuple[bool, bool]) -> None:
    """A second process is killed, or fails, at each of its calls too: the third makes everything whole."""
    script = SCRIPT[5:11] if LONG else SCRIPT[5:9]

    async def main() -> None:
        whole, calls = await undisturbed(script, kind, overlapping=False)
        for at in range(calls):
            for after in (False, True):
                again = 0
                while True:
                    machine = Machine()
                    await process(
                        machine, script, Fault(at, kill=kills[0], after=after), kind, overlapping=False
                    )
                    second = Fault(again, kill=kills[1], after=not after)
                    await process(machine, script, second, kind, overlapping=False)
                    result = await outcome_of_another(machine, script, kind, overlapping=False)
                    assert {**result, "counts": 0} == {**whole, "counts": 0}, (at, after, again, second.log)
                    if second.calls <= again:
                        break
                    again += 1

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
@pytest.mark.parametrize("first", [-1, 14], ids=["completed", "interrupted"])
def test_a_restart_with_every_single_fault(kind: str, kill: bool, first: int) -> None:
    """Restarted again, it ends whole; run without that, it does too, or refuses an output that was emptied.

    Until the output is open, the ledger has forgotten no dead letter.
    """

    async def main() -> None:
        whole, _ = await undisturbed(SCRIPT, kind, overlapping=False)
        refused, counted = 0, Fault()
        machine = Machine()
        await process(machine, SCRIPT, Fault(first), kind)
        await process(machine, SCRIPT, counted, kind, restart=True)
        for at in range(counted.calls):
            for after, again in ((False, True), (True, True), (False, False), (True, False)):
                machine, fault = Machine(), Fault(at, kill=kill, after=after)
                await process(machine, SCRIPT, Fault(first), kind)
                before = await outcome(machine)
                await process(machine, SCRIPT, fault, kind, restart=True)
                if fault.log[: at + 1].count("ledger.open") == 1:  # the second one forgets
                    assert (await outcome(machine))["dead"] == before["dead"], (at, after, fault.log)
                ended = await process(machine, SCRIPT, Fault(), kind, restart=again)
                if isinstance(ended, SinkMismatch) and not again:
                    refused += 1
                    ended = await process(machine, SCRIPT, Fault(), kind, restart=True)
                assert not isinstance(ended, BaseException), (at, after, again, fault.log)
                result = await outcome(machine)
                assert {**result, "counts": 0} == {**whole, "counts": 0}, (at, after, again, fault.log)
        assert refused

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("overlapping", [False, True], ids=["sequential", "overlapping"])
def test_the_calls_do_not_depend_on_how_fast_the_machine_is(kind: str, overlapping: bool) -> None:
    """Faults are planted at calls counted in another run, so both must make the same ones."""

    def calls(pause: float) -> list[str]:
        async def main() -> list[str]:
            machine, fault, source = Machine(), Fault(), ScriptedSource(SCRIPT)
            source.on_parse = lambda _: sleep(pause)
            sink = SINKS[kind](machine, fault)
            await pipeline_on(machine, source, fault, overlapping=overlapping).run(sink)
            return fault.log

        return virtually(main())

    assert calls(0.007) == calls(0)


@given(
    RECORDS,
    st.sampled_from(sorted(SINKS)),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.booleans()), min_size=1, max_size=4),
)
def test_any_series_of_faults(
    records: list[Record],
    kind: str,
    overlapping: bool,
    faults: list[tuple[int, bool, bool]],
) -> None:
    """Process after process is killed or fails, at calls counted from its own beginning; the last one ends whole."""
    for k, record in enumerate(records):  # an attempt that nobody heard of is gone for good
        records[k] = replace(record, flaky=0 if record.kind == "out" else min(record.flaky, ATTEMPTS - 1))

    async def main() -> None:
        whole, _ = await undisturbed(records, kind, overlapping=overlapping)
        machine = Machine()
        for at, kill, after in faults:
            fault = Fault(at, kill=kill, after=after)
            await process(machine, records, fault, kind, overlapping=overlapping)
        result = await outcome_of_another(machine, records, kind, overlapping=overlapping)
        assert sorted_outcome({**result, "counts": 0}) == sorted_outcome({**whole, "counts": 0})
        if not overlapping:
            assert [result[name] for name in OUTPUTS] == [whole[name] for name in OUTPUTS]

    virtually(main())


@pytest.mark.parametrize("overlapping", [False, True], ids=["sequential", "overlapping"])
@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_interrupted_at_every_turn_of_the_loop(how: str, overlapping: bool) -> None:
    """Cancelled or stopped after any number of turns, then run again: output and ledger are whole."""
    script = [
        record for record in SCRIPT if not record.flaky
    ]  # the clock stands still while turns are counted

    async def interrupted(turns: int) -> tuple[dict[str, Any], bool]:
        machine, fault = Machine(), Fault(turns=2)
        pipeline = pipeline_on(machine, ScriptedSource(script), fault, overlapping=overlapping)
        task = asyncio.ensure_future(pipeline.run(machine.file_sink(fault)))
        for _ in range(turns):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel() if how == "cancel" else pipeline.stop()
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.result().state in ("completed", "cancelled")
        await machine.lose_power(turns)
        return await outcome_of_another(machine, script, "file", overlapping=overlapping), done

    async def main() -> None:
        whole, _ = await undisturbed(script, "file", overlapping=overlapping)
        turns, done = 0, False
        while not done:
            result, done = await interrupted(turns)
            assert sorted_outcome(result) == sorted_outcome(whole), turns
            assert overlapping or result == whole
            turns += 1
        assert turns > 20

    virtually(main())
