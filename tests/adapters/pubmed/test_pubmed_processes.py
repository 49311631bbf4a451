"""Files parsed by other processes: the same documents, exact positions, and no process left."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.adapters.pubmed.sample import write_sample
from penstock.adapters.pubmed.source import PubMedSource
from penstock.adapters.xml_files import workers as module
from penstock.document import RawRecord
from penstock.errors import DocumentError, SourceError

from ...length import LONG  # noqa: TID252  tests are no installed package


def children() -> set[int]:
    """Return the ids of this process's workers."""
    listed = subprocess.run(
        ["ps", "-wweo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()[1:]]
    return {int(pid) for pid, ppid, line in rows if int(ppid) == os.getpid() and "files.worker" in line}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of very different sizes, one empty, with deletions and malformed records."""
    write_sample(tmp_path / "n1.xml.gz", 60, seed=1, deletions=4)
    write_sample(tmp_path / "n2.xml", 0, seed=2)
    write_sample(tmp_path / "n3.xml", 5, seed=3, malformed=2)
    write_sample(tmp_path / "n4.xml.gz", 33, seed=4)
    return tmp_path


def outcome(source: PubMedSource, raw: RawRecord) -> tuple[str, str, object]:
    try:
        name = source.identify(raw)
    except DocumentError as error:
        name = str(error)
    result = source.parse(raw)
    return raw.key, name, result.ok if result.is_ok() else str(result.error)


async def outcomes(folder: Path, processes: int, position=None, page_size: int = 10):
    """Return the outcome of each record, and the positions of the pages."""
    source = PubMedSource(folder / "n*", page_size=page_size, processes=processes)
    found, places = [], []
    async for page in source.fetch(position):
        found += [(outcome(source, raw), raw.data, raw.context) for raw in page.items]
        places.append((len(found), json.loads(json.dumps(page.position))))
    return found, places


def by_key(found):
    return sorted(found, key=lambda one: one[0][0])


async def test_the_same_documents(folder: Path) -> None:
    """All records, documents and errors equal those of one process; only the order differs."""
    one, _ = await outcomes(folder, 1)
    three, places = await outcomes(folder, 3)
    assert len(one) == 104
    assert three != one
    assert by_key(three) == by_key(one)
    assert await outcomes(folder, 3) == (three, places)  # the order is always the same
    assert children() == set()


async def test_resumed_with_any_number_of_processes(folder: Path) -> None:
    """A run continues exactly after any page, with any number of processes."""
    for first in (1, 3):
        found, places = await outcomes(folder, first)
        for count, position in places[:: 3 if LONG else 15]:
            for then in (1, 2):
                rest, _ = await outcomes(folder, then, position, page_size=7)
                assert by_key(found[:count] + rest) == by_key(found)


async def test_a_record_that_was_stored_parses_anywhere(folder: Path) -> None:
    """Key, bytes and context, as a dead letter stores them, are enough to parse a record again."""
    source = PubMedSource(folder / "n*", processes=2)
    async for page in source.fetch(None):
        for raw in page.items:
            assert outcome(source, RawRecord(raw.key, raw.data, raw.context)) == outcome(source, raw)


async def test_closed_in_the_middle_no_process_is_left(folder: Path) -> None:
    """`aclose` waits until every process has ended."""
    walk = PubMedSource(folder / "n*", page_size=1, processes=3).fetch(None)
    await anext(walk)
    assert len(children()) == 3
    await walk.aclose()
    assert children() == set()


async def test_cancelled_at_any_time_no_process_is_left(folder: Path) -> None:
    """Cancelling ends the processes, whether they are starting or working."""
    for delay in (0, 0.01, 0.05, 0.3):
        task = asyncio.create_task(outcomes(folder, 2))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
        assert children() == set()


async def until_error(source: PubMedSource, *, kill: bool = False) -> tuple[list[str], str]:
    """Return the keys before the error, and the error; with ``kill``, kill the processes at every page."""
    keys: list[str] = []
    try:
        async for page in source.fetch(None):
            keys += [raw.key for raw in page.items]
            for child in children() if kill else ():
                os.kill(child, signal.SIGKILL)
    except SourceError as error:
        return keys, str(error)
    return keys, ""


async def test_a_process_that_dies(folder: Path) -> None:
    """Its pages so far are delivered, then an error is raised; the other processes are ended."""
    keys, error = await until_error(PubMedSource(folder / "n*", page_size=1, processes=2), kill=True)
    assert 2 <= len(keys) < 104
    assert re.search(
        r"n\d\.xml\S* cannot be read further: the process that parses it died \(killed by SIGKILL\)", error
    )
    assert children() == set()


async def test_a_process_that_cannot_start(folder: Path, monkeypatch) -> None:
    """The error contains the last line that the process printed."""
    monkeypatch.setattr(module, "_PROGRAM", "raise RuntimeError('no such luck')")
    with pytest.raises(SourceError, match=r"died \(exit code 1\): RuntimeError: no such luck"):
        await outcomes(folder, 2)


async def test_a_broken_file(folder: Path) -> None:
    """The records before the damage are delivered; the error is raised when it is the file's turn."""
    path = folder / "n4.xml.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:60_000]))
    keys, error = await until_error(PubMedSource(folder / "n*", page_size=10, processes=2))
    assert error.startswith(f"{path} is truncated: it ends within the record")
    broken = [key for key in keys if key.startswith("n4")]
    assert broken == [f"n4.xml.gz#{number}" for number in range(len(broken))]
    assert 5 < len(broken) < 33
    assert len(keys) > len(broken)


PARENT = """
import asyncio, sys
from penstock.adapters.pubmed.source import PubMedSource

async def main():
    async for page in PubMedSource(sys.argv[1], page_size=1, processes=2).fetch(None):
        print("page", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def test_a_killed_parent_leaves_no_orphans(folder: Path) -> None:
    """SIGKILL cannot be handled; the processes end because their pipes close."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder / "n*")], stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout
    assert parent.stdout.readline() == b"page\n"
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    rows = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
    workers = {pid for pid, ppid in rows if ppid == parent.pid}
    assert len(workers) == 2
    parent.kill()
    parent.communicate()
    give_up = time.monotonic() + 60
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < give_up, "processes outlive their parent"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie has ended


BUG = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])
module = importlib.import_module("penstock.adapters.pubmed.source")
from penstock.adapters.xml_files.worker import main
module.parse_record = lambda *record: 1 / 0
main()
"""


async def test_a_bug_in_a_process_is_reported_with_its_traceback(folder: Path, monkeypatch) -> None:
    """A bug is not reported as an error of the file."""
    monkeypatch.setattr(module, "_PROGRAM", BUG)
    with pytest.raises(RuntimeError, match=r"in another process failed: ZeroDivisionError") as caught:
        await outcomes(folder, 2)
    assert "in parse\n" in "".join(caught.value.__notes__)
    assert children() == set()
