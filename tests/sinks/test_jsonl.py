"""What the JSON Lines sink does beyond the promises of all sinks."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from contextlib import aclosing
from pathlib import Path

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import SinkError, SinkMismatch
from penstock.sinks import JsonLinesSink
from penstock.sinks.files.lines import encode_lines

from .. import forks  # noqa: TID252  tests are no installed package
from ..length import LONG, cases  # noqa: TID252  tests are no installed package
from .conftest import file_size_limit

COMMIT = Commit(1, {})
SMALL = [Document(doc_id=f"d{n}", source="test") for n in range(5)]
LARGE = [Document(doc_id=f"d{n}", source="test", title="t" * 9000) for n in range(300)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.jsonl"


async def fresh(path):
    """Open a new output as a driver does, with a record before the first document."""
    sink = JsonLinesSink(path)
    await sink.open(None)
    return sink, await sink.commit(COMMIT)


async def test_documents_reach_the_file_before_the_commit(path):
    """After about a megabyte the lines are written to the file, so memory stays bounded."""
    sink, _ = await fresh(path)
    await sink.write(LARGE)
    assert path.stat().st_size > 1 << 20
    await sink.aclose()


async def test_raw_bytes_only_when_asked_for(path):
    """Raw bytes are written only on request, in base64."""
    raw = bytes(range(256))
    for include_raw, found in ((False, None), (True, raw)):
        async with aclosing(JsonLinesSink(path, include_raw=include_raw)) as sink:
            await sink.open(None, restart=True)
            await sink.write([Document(doc_id="d", source="test", raw=raw)])
            await sink.commit(COMMIT)
        line = json.loads(path.read_bytes())
        assert (base64.b64decode(line["raw"]) if "raw" in line else None) == found


async def test_a_run_killed_before_its_first_commit_begins_again(path):
    """The record of an empty output recognises the lines of a killed run, and cuts them off."""
    sink, record = await fresh(path)
    await sink.write(LARGE)
    sink._file._file.close()
    sink._file._file = None
    await sink.aclose()
    assert path.stat().st_size > 0
    again = JsonLinesSink(path)
    await again.open(record)
    assert path.stat().st_size == 0
    await again.aclose()


@pytest.mark.parametrize("content", [b"precious\n", b'{"doc_id": "of somebody"}\n'])
async def test_an_empty_output_that_was_replaced_is_refused(path, content):
    """The record of an empty output does not overwrite another file of that name."""
    sink, record = await fresh(path)
    await sink.aclose()
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)
    with pytest.raises(SinkMismatch, match="not the one"):
        await JsonLinesSink(path).open(record)
    assert path.read_bytes() == content


async def test_an_empty_output_may_be_deleted(path):
    """An output without committed documents may be deleted: nothing is missing."""
    sink, record = await fresh(path)
    await sink.aclose()
    path.unlink()
    await sink.open(record)
    await sink.write(SMALL)
    await sink.commit(COMMIT)
    await sink.aclose()
    assert path.read_bytes() == encode_lines(SMALL)


async def test_an_output_may_be_moved(path):
    """An output is recognised by its content, not by its name or place."""
    sink, _ = await fresh(path)
    await sink.write(SMALL)
    record = await sink.commit(COMMIT)
    await sink.aclose()
    moved = path.parent / "elsewhere" / "articles.jsonl"
    moved.parent.mkdir()
    shutil.copy(path, moved)
    sink = JsonLinesSink(moved)
    await sink.open(record)
    await sink.write(SMALL)
    await sink.commit(COMMIT)
    await sink.aclose()
    assert moved.read_bytes() == encode_lines(SMALL) * 2


async def test_an_output_that_is_gone(path):
    """An output that is gone is refused, and the message says how many documents are missing."""
    sink, _ = await fresh(path)
    await sink.write(SMALL)
    record = await sink.commit(COMMIT)
    await sink.aclose()
    path.unlink()
    with pytest.raises(SinkMismatch, match=r"is gone, but 5 documents were committed to out\.jsonl"):
        await JsonLinesSink(path).open(record)
    assert list(path.parent.iterdir()) == []


@pytest.mark.slow
async def test_a_link_to_the_output(path):
    """A symbolic link is followed, and the lock is that of the real file."""
    real = path.with_name("real.jsonl")
    real.touch()
    path.symlink_to(real)
    sink, _ = await fresh(path)
    with pytest.raises(SinkError, match="is being written by this process"):
        await JsonLinesSink(real).open(None)
    await sink.write(SMALL)
    await sink.commit(COMMIT)
    await sink.aclose()
    assert real.read_bytes() == encode_lines(SMALL)


HOLD = """
import asyncio, sys
from penstock.sinks import JsonLinesSink
async def main():
    sink = JsonLinesSink(sys.argv[1])
    await sink.open(None)
    sys.stdout.write("open\\n")
    sys.stdout.flush()
    sys.stdin.read()
asyncio.run(main())
"""


@pytest.fixture
def holder(path):
    """Return a process that writes to the output."""
    process = forks.start("-c", HOLD, path)
    assert process.stdout.readline() == b"open\n"
    yield process
    process.kill()
    process.communicate()


async def test_two_processes_on_one_output(holder, path):
    """The second process gets an error that names the first, and can write once the first was killed. Only the file is left."""
    sink = JsonLinesSink(path)
    with pytest.raises(SinkError, match=f"is being written by process {holder.pid} on"):
        await sink.open(None)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    await sink.open(None)
    await sink.aclose()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".", "it is a folder; name a file"),
        ("file/out.jsonl", "a part of its path is a file"),
        ("pipe", "it is not a regular file"),
        ("/dev/null", "it is not a regular file"),
        ("loop", "its symbolic links lead in a circle"),
        ("x" * 300, "its name is too long"),
    ],
)
async def test_what_cannot_be_an_output(tmp_path, name, says):
    """The error says what is wrong and what to do, and no file is left behind."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    sink = JsonLinesSink(tmp_path / name)
    with pytest.raises(SinkError, match=says):
        await sink.open(None)
    await sink.aclose()
    assert sorted(tmp_path.iterdir()) == before


async def test_a_file_size_limit(path):
    """The error names the limit, earlier commits stay, and the run resumes once the limit is raised."""
    sink, _ = await fresh(path)
    await sink.write(SMALL)
    record = await sink.commit(COMMIT)
    with file_size_limit(100_000), pytest.raises(SinkError, match=r"limit; raise it \(ulimit -f\)"):
        await sink.write(LARGE)
    with pytest.raises(SinkError, match="ulimit"):
        await sink.commit(COMMIT)
    await sink.aclose()
    assert path.read_bytes() == encode_lines(SMALL)
    await sink.open(record)
    await sink.write(LARGE)
    await sink.commit(COMMIT)
    await sink.aclose()
    assert path.read_bytes() == encode_lines(SMALL + LARGE)


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder on a disk of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk(small_disk):
    """The error says that the disk is full, earlier commits stay, and the run resumes once there is space."""
    path = small_disk / "out.jsonl"
    sink, _ = await fresh(path)
    await sink.write(SMALL)
    record = await sink.commit(COMMIT)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    with pytest.raises(SinkError, match=r"the disk is full; free some space.*what was committed is intact"):
        await sink.write(LARGE)
    await sink.aclose()
    assert path.read_bytes() == encode_lines(SMALL)
    ballast.unlink()
    await sink.open(record)
    await sink.write(LARGE[:50])
    await sink.commit(COMMIT)
    await sink.aclose()
    assert path.read_bytes() == encode_lines(SMALL + LARGE[:50])


AS_NOBODY = """
import asyncio, os, sys
from penstock.sinks import JsonLinesSink
from penstock.errors import SinkError
if os.geteuid() == 0:
    os.seteuid(65534)
async def main():
    try:
        await JsonLinesSink(sys.argv[1]).open(None)
    except SinkError as error:
        sys.stdout.write(str(error))
asyncio.run(main())
"""


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o777, 0o444), (0o555, 0o666), (0o555, None)])
def test_an_output_without_permission(open_folder, folder_mode, file_mode):
    """The error says that a file or folder must not be written."""
    path = open_folder / "there" / "out.jsonl"
    path.parent.mkdir()
    if file_mode is not None:
        path.touch()
        path.chmod(file_mode)
    path.parent.chmod(folder_mode)
    told = forks.finish("-c", AS_NOBODY, path, folder="/").stdout
    path.parent.chmod(0o755)
    assert told == (
        f"cannot open the output {path}: permission denied; change its permissions, or choose another place"
    )


async def test_a_cancelled_write_has_taken_its_documents(path):
    """A cancelled write has taken its documents, a cancelled commit still happens, and nothing is written twice."""
    sink, _ = await fresh(path)
    write = asyncio.ensure_future(sink.write(LARGE))
    await asyncio.sleep(0)
    write.cancel()
    await asyncio.wait([write])
    assert write.cancelled()
    commit = asyncio.ensure_future(sink.commit(COMMIT))
    await asyncio.sleep(0)
    commit.cancel()
    await asyncio.wait([commit])
    await sink.write(SMALL)
    record = await sink.commit(COMMIT)
    await sink.aclose()
    assert path.read_bytes() == encode_lines(LARGE + SMALL)
    assert (record["lines"], record["offset"]) == (305, path.stat().st_size)


async def test_a_document_that_is_not_json(path):
    """The error names the document, and none of its batch is taken."""
    sink, _ = await fresh(path)
    bad = Document(doc_id="the bad one", source="test", metadata={"deep": [{"x": object()}]})
    with pytest.raises(SinkError, match="'the bad one' cannot be written as JSON"):
        await sink.write([*SMALL, bad])
    await sink.write(SMALL)
    await sink.commit(COMMIT)
    await sink.aclose()
    assert [json.loads(line)["doc_id"] for line in path.read_text().splitlines()] == [
        document.doc_id for document in SMALL
    ]


KILLS = 4 if LONG else 2
WRITE_UNTIL_KILLED = Path(__file__).with_name("write_until_killed.py")


@pytest.mark.parametrize("seed", cases([3], range(4)))
def test_a_killed_process_loses_nothing_it_committed(path, seed):
    """A run that is killed again and again ends with the output of an undisturbed run."""
    wholes = []
    for kills, name in ((KILLS, "killed"), (0, "undisturbed")):
        folder = path.parent / name
        folder.mkdir()
        command = [WRITE_UNTIL_KILLED, folder, str(seed)]
        for kill in range(kills):
            process = forks.start(*command)
            for _ in range(1 + (seed * 7 + kill * 3) % 11):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert forks.finish(*command).returncode == 0
        wholes.append((folder / "out.jsonl").read_bytes())
    assert wholes[0] == wholes[1]
    assert wholes[1].count(b"\n") == 4000
