"""The JSON Lines sink on a disk that loses power or fails."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import SinkError
from penstock.sinks import JsonLinesSink
from penstock.sinks.files.lines import encode_lines
from penstock.testing.faults import Faults, FaultyStorage, FragileDisk

from .conftest import ENDINGS, unpacked

CUTS = int(os.environ.get("PENSTOCK_CUTS", "120"))
"""Power cuts per kind of file. Before a release: 1,000 or more."""
DOCUMENTS = [Document(doc_id=f"d{n}", source="test", title="t" * (37 * n % 5000)) for n in range(120)]


async def run(disk, ledger, rng, path, *, until):
    """Continue from the ledger's record, as a driver does; stop without closing after ``until`` steps."""
    sink = JsonLinesSink(path, storage=disk)
    sink._worker.run = directly
    await sink.open(ledger["record"])
    if ledger["record"] is None:
        ledger["record"] = await sink.commit(Commit(1, {}))
    at = ledger["at"]
    while at < len(DOCUMENTS):
        if until == 0:
            return
        until -= 1
        step = rng.randrange(1, 4)
        await sink.write(DOCUMENTS[at : at + step])
        at = min(at + step, len(DOCUMENTS))
        if rng.random() < 0.4:  # as if the buffer were full
            sink._file.append(*sink._take_items())
        if rng.random() < 0.3 or at == len(DOCUMENTS):
            record = json.loads(json.dumps(await sink.commit(Commit(1, {}))))
            if rng.random() < 0.8:  # else the ledger did not get the record
                ledger.update(record=record, at=at)
    ledger.update(record=await sink.commit(Commit(1, {})), at=at)


async def directly(call):
    return call()


@pytest.fixture(params=ENDINGS.values(), ids=ENDINGS)
def path(request):
    """Return the path of each kind of file."""
    return Path(f"/disk/out.jsonl{request.param}")


def content(disk, path, length=None):
    return unpacked(disk.content(path)[:length], path.suffix)


@pytest.mark.parametrize("seed", range(CUTS))
async def test_a_power_cut_takes_nothing_that_was_committed(path, seed):
    """After any number of power cuts the output becomes that of an undisturbed run."""
    rng = random.Random(seed)
    disk, ledger = FragileDisk(seed), {"record": None, "at": 0}
    while ledger["at"] < len(DOCUMENTS):
        await run(disk, ledger, rng, path, until=rng.randrange(60))
        disk.cut_power()
        if ledger["record"] is not None and ledger["record"]["offset"]:
            length = ledger["record"]["offset"]
            assert content(disk, path, length) == encode_lines(DOCUMENTS[: ledger["at"]])
    await run(disk, ledger, rng, path, until=-1)
    assert content(disk, path) == encode_lines(DOCUMENTS)


@pytest.mark.parametrize("fail_at", range(1, 31))
async def test_a_failing_disk_takes_nothing_that_was_committed(path, fail_at):
    """If any write, truncate or fsync fails, the error names the output, and the next run completes it."""
    disk, ledger = FragileDisk(), {"record": None, "at": 0}
    faults = Faults(fail_at - 1, kill=False)
    try:
        await run(FaultyStorage(disk, faults), ledger, random.Random(1), path, until=-1)
    except SinkError as error:
        told = str(error)
        assert str(path) in told
        assert "the disk reports an input/output error; check it" in told
    assert faults.calls >= fail_at
    await run(disk, ledger, random.Random(2), path, until=-1)
    assert content(disk, path) == encode_lines(DOCUMENTS)


async def test_after_a_failure_the_sink_refuses_until_it_is_opened_again(path):
    """After a failure the sink refuses all calls: a second fsync might succeed although the first lost bytes."""
    disk, faults = FragileDisk(), Faults(kill=False)
    sink = JsonLinesSink(path, storage=FaultyStorage(disk, faults))
    await sink.open(None)
    record = await sink.commit(Commit(1, {}))
    await sink.write(DOCUMENTS[:3])
    faults.at = faults.calls + 1
    for _ in range(3):
        with pytest.raises(SinkError, match="input/output error"):
            await sink.commit(Commit(1, {}))
    await sink.open(record)
    await sink.write(DOCUMENTS[:3])
    await sink.commit(Commit(1, {}))
    await sink.aclose()
    assert unpacked(disk.durable(path), path.suffix) == encode_lines(DOCUMENTS[:3])
