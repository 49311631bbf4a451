"""A run is killed or fails at any call to its ledger or sink; the next run ends like an undisturbed one."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import IngestionPipeline
from penstock.adapters import Adapter
from penstock.errors import LedgerError, SinkError
from penstock.testing import run as virtually

from ..length import LONG, cases, sampled  # noqa: TID252  tests are no installed package
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
    machine: Machine, source: ScriptedSource, fault: Fault, *, concurrent: bool, restart: bool = False
) -> IngestionPipeline:
    """Return the pipeline of one process."""
    return IngestionPipeline(
        Adapter(source, page_size=3), ledger=machine.ledger(fault), process=[sleepy if concurrent else step],
        concurrency=2 if concurrent else 1, where=wanted, retry=POLICY, progress_every=2, checkpoint_every=3,
        restart=restart,
    )  # fmt: skip


async def outcome(machine: Machine) -> dict[str, Any]:
    """Return outputs, counts and letters, which must equal those of an undisturbed run."""
    await machine.books.open("scripted")
    last = machine.books._entries["scripted"].last
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
    concurrent: bool = False,
    restart: bool = False,
) -> Any:
    """Run the pipeline once, as one process; return its summary, or the exception it ended with."""
    source = ScriptedSource(records)
    source.attempts = machine.attempts  # a flaky record goes on where it was in the process before
    sink = SINKS[kind](machine, fault)
    try:
        pipeline = pipeline_on(machine, source, fault, concurrent=concurrent, restart=restart)
        return await pipeline.run(sink)
    except (Killed, LedgerError, SinkError) as error:
        return error
    finally:
        await machine.lose_power(fault.at)


async def outcome_of_another(
    machine: Machine, records: list[Record], kind: str, *, concurrent: bool
) -> dict[str, Any]:
    """Return the outcome after one more process, which is not disturbed."""
    book = machine.books._entries.get("scripted")
    ended, counts = book is not None and not book.running, book and book.last and book.last[3]
    await process(machine, records, Fault(), kind, concurrent=concurrent)
    result = await outcome(machine)
    return {**result, "counts": counts} if ended else result  # one more logical run had nothing to do


async def undisturbed(records: list[Record], kind: str, *, concurrent: bool) -> tuple[dict[str, Any], int]:
    """Return the outcome of an undisturbed run, and its number of calls."""
    machine, fault = Machine(), Fault()
    await process(machine, records, fault, kind, concurrent=concurrent)
    return await outcome(machine), fault.calls


def sorted_outcome(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, **{name: sorted(result[name]) for name in OUTPUTS}}


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("concurrent", [False, True], ids=["sequential", "concurrent"])
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
def test_every_single_fault(kind: str, kill: bool, concurrent: bool) -> None:
    """A run is killed, or fails once, before or after any call: the next run completes output and ledger.

    Every day each case takes every fourth call; the cases of one output together take every call.
    """

    async def main() -> None:
        whole, calls = await undisturbed(SCRIPT, kind, concurrent=concurrent)
        assert calls > 12
        for at in sampled(range(calls), 4, 2 * kill + concurrent):
            for after in (False, True):
                machine, fault = Machine(), Fault(at, kill=kill, after=after)
                ended = await process(machine, SCRIPT, fault, kind, concurrent=concurrent)
                assert isinstance(ended, Killed if kill else LedgerError | SinkError), fault.log
                result = await outcome_of_another(machine, SCRIPT, kind, concurrent=concurrent)
                if concurrent:
                    assert sorted_outcome(result) == sorted_outcome(whole), (at, after, fault.log[at])
                else:
                    assert result == whole, (at, after, fault.log[at])

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("kills", [(True, True), (True, False), (False, True)], ids=["kk", "kf", "fk"])
def test_every_pair_of_faults(kind: str, kills: tuple[bool, bool]) -> None:
    """A second process is killed, or fails, at each of its calls too: the third makes everything whole.

    Every day the first process ends at every ninth call; the cases together take every call.
    """
    script = SCRIPT[5:11] if LONG else SCRIPT[5:9]

    async def main() -> None:
        whole, calls = await undisturbed(script, kind, concurrent=False)
        for at in sampled(range(calls), 9, 3 * [*SINKS].index(kind) + kills[0] + 2 * kills[1]):
            for after in (False, True):
                again = 0
                while True:
                    machine = Machine()
                    await process(
                        machine, script, Fault(at, kill=kills[0], after=after), kind, concurrent=False
                    )
                    second = Fault(again, kill=kills[1], after=not after)
                    await process(machine, script, second, kind, concurrent=False)
                    result = await outcome_of_another(machine, script, kind, concurrent=False)
                    assert {**result, "counts": 0} == {**whole, "counts": 0}, (at, after, again, second.log)
                    if second.calls <= again:
                        break
                    again += 1

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failed"])
@pytest.mark.parametrize("first", [-1, 14], ids=["completed", "interrupted"])
def test_a_restart_with_every_single_fault(kind: str, kill: bool, first: int) -> None:
    """The next run completes the output, whether it is a restart or not.

    The ledger keeps its dead letters until the output is open. Every day each case takes every third
    call, and by turns a fault before it and after it.
    """

    async def main() -> None:
        whole, _ = await undisturbed(SCRIPT, kind, concurrent=False)
        counted, machine = Fault(), Machine()
        await process(machine, SCRIPT, Fault(first), kind)
        await process(machine, SCRIPT, counted, kind, restart=True)
        for at in sampled(range(counted.calls), 3, 1 + (kill != (first > 0))):
            both = itertools.product((False, True), (True, False))
            for after, again in cases([(at % 2 > 0, True), (at % 2 > 0, False)], both):
                machine, fault = Machine(), Fault(at, kill=kill, after=after)
                await process(machine, SCRIPT, Fault(first), kind)
                before = await outcome(machine)
                await process(machine, SCRIPT, fault, kind, restart=True)
                if fault.log[: at + 1].count("ledger.open") == 1:  # the second one forgets
                    assert (await outcome(machine))["dead"] == before["dead"], (at, after, fault.log)
                ended = await process(machine, SCRIPT, Fault(), kind, restart=again)
                assert not isinstance(ended, BaseException), (at, after, again, fault.log)
                result = await outcome(machine)
                assert {**result, "counts": 0} == {**whole, "counts": 0}, (at, after, again, fault.log)

    virtually(main())


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("concurrent", [False, True], ids=["sequential", "concurrent"])
def test_the_calls_do_not_depend_on_how_fast_the_machine_is(kind: str, concurrent: bool) -> None:
    """Tests plant faults at calls that they counted in another run, so both runs must make the same calls."""

    def calls(pause: float) -> list[str]:
        async def main() -> list[str]:
            machine, fault, source = Machine(), Fault(), ScriptedSource(SCRIPT)
            source.on_parse = lambda _: sleep(pause)
            sink = SINKS[kind](machine, fault)
            await pipeline_on(machine, source, fault, concurrent=concurrent).run(sink)
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
    concurrent: bool,
    faults: list[tuple[int, bool, bool]],
) -> None:
    """Several processes are killed or fail, one after the other; the last one completes output and ledger."""
    for k, record in enumerate(records):  # an attempt that was not committed does not come again
        records[k] = replace(record, flaky=0 if record.kind == "out" else min(record.flaky, ATTEMPTS - 1))

    async def main() -> None:
        whole, _ = await undisturbed(records, kind, concurrent=concurrent)
        machine = Machine()
        for at, kill, after in faults:
            fault = Fault(at, kill=kill, after=after)
            await process(machine, records, fault, kind, concurrent=concurrent)
        result = await outcome_of_another(machine, records, kind, concurrent=concurrent)
        assert sorted_outcome({**result, "counts": 0}) == sorted_outcome({**whole, "counts": 0})
        if not concurrent:
            assert [result[name] for name in OUTPUTS] == [whole[name] for name in OUTPUTS]

    virtually(main())


@pytest.mark.parametrize("concurrent", [False, True], ids=["sequential", "concurrent"])
@pytest.mark.parametrize("how", ["cancel", "stop"])
def test_interrupted_at_every_turn_of_the_loop(how: str, concurrent: bool) -> None:
    """A run is cancelled or stopped after any number of turns; the next run completes output and ledger.

    Every day it is interrupted after every third number of turns.
    """
    script = [
        record for record in SCRIPT if not record.flaky
    ]  # the clock stands still while turns are counted

    async def interrupted(turns: int) -> tuple[dict[str, Any], bool]:
        machine, fault = Machine(), Fault(turns=2)
        pipeline = pipeline_on(machine, ScriptedSource(script), fault, concurrent=concurrent)
        task = asyncio.ensure_future(pipeline.run(machine.file_sink(fault)))
        for _ in range(turns):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel() if how == "cancel" else pipeline.stop()
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.result().state in ("completed", "cancelled")
        await machine.lose_power(turns)
        return await outcome_of_another(machine, script, "file", concurrent=concurrent), done

    async def main() -> None:
        whole, _ = await undisturbed(script, "file", concurrent=concurrent)
        turns, done = concurrent, False
        while not done:
            result, done = await interrupted(turns)
            assert sorted_outcome(result) == sorted_outcome(whole), turns
            assert concurrent or result == whole
            turns += 1 if LONG else 3
        assert turns > 20

    virtually(main())
