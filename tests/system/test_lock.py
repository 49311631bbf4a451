"""The lock that lets one process at a time write a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from penstock.system import FileLock, Holder, holder_of, lock_path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.lock"


def test_one_holder_at_a_time(path):
    """The second gets the holder; after the release it gets the lock, and no file is left."""
    first, second = FileLock(path), FileLock(path)
    before = time.time()
    assert first.acquire() is None
    holder = second.acquire()
    assert holder is not None
    assert holder.pid == os.getpid()
    assert before <= holder.since <= time.time()
    assert holder_of(path) == holder
    second.release()
    assert second.acquire() == holder
    first.release()
    first.release()
    assert holder_of(path) is None
    assert second.acquire() is None
    second.release()
    assert not path.exists()


def test_taking_it_twice_is_no_error(path):
    """An object that holds the lock may take it again."""
    lock = FileLock(path)
    assert lock.acquire() is None
    assert lock.acquire() is None
    lock.release()
    assert not path.exists()


def test_the_file_of_a_killed_process_is_free(path):
    """A file without a system lock is free, whatever its content."""
    path.write_text('{"pid": 1, "host": "elsewhere", "since": 0}')
    assert holder_of(path) is None
    lock = FileLock(path)
    assert lock.acquire() is None
    lock.release()


def test_links_lead_to_the_same_lock(tmp_path):
    """The lock file is beside the real file, also through a symbolic link."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert lock_path(tmp_path / "link") == lock_path(tmp_path / "real") == tmp_path.resolve() / "real.lock"


def test_a_holder_as_text():
    """A holder is shown with process, host and time, as far as they are known."""
    here = Holder(os.getpid(), os.uname().nodename, 0.0)
    assert str(here).startswith(f"this process {os.getpid()} on {os.uname().nodename} since 19")
    assert str(Holder(7, "host", 0.0)).startswith("process 7 on host since 19")
    assert str(Holder(0, "", 0.0)) == "another process"


def test_one_of_many_threads_gets_it(path):
    """One thread at a time has the lock, although each release removes the file."""
    held = []

    def work():
        for _ in range(100):
            lock = FileLock(path)
            if lock.acquire() is None:
                held.append(1)
                assert len(held) == 1
                held.clear()
                lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert holder_of(path) is None


COUNT = """
import sys
from pathlib import Path
from penstock.system import FileLock
lock, ledger, done = FileLock(Path(sys.argv[1])), Path(sys.argv[2]), 0
while done < 50:
    if lock.acquire() is None:
        ledger.write_text(str(int(ledger.read_text()) + 1))
        lock.release()
        done += 1
"""


def test_one_of_many_processes_gets_it(path, tmp_path):
    """Four processes count in one file, and no count is lost."""
    ledger = tmp_path / "count"
    ledger.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, path, ledger]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert ledger.read_text() == "200"


FORK = """
import os, signal, sys
from pathlib import Path
from penstock.system import FileLock
path = Path(sys.argv[1])
lock = FileLock(path)
assert lock.acquire() is None
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    if sys.argv[2] == "release":
        lock.release()
    os.write(writer, b"ready")
    signal.pause()
assert os.read(reader, 5) == b"ready"
"""

RELEASED = """
assert path.exists()
assert FileLock(path).acquire() is not None
lock.release()
assert FileLock(path).acquire() is None
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
"""

ORPHANED = """
print(child, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_neither_keeps_nor_drops_the_lock(path):
    """A forked child does not hold the lock, and cannot release it."""
    subprocess.run([sys.executable, "-c", FORK + RELEASED, path, "release"], check=True)


def test_a_forked_child_does_not_inherit_the_lock(path):
    """When the parent is killed the lock is free, although the child still has the file open."""
    command = [sys.executable, "-c", FORK + ORPHANED, path, "keep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.wait()
        lock = FileLock(path)
        assert lock.acquire() is None
        lock.release()
        os.kill(child, signal.SIGKILL)


def test_a_missing_folder(tmp_path):
    """``holder_of`` finds no holder and makes no folder; ``acquire`` makes it."""
    path = tmp_path / "no" / "x.lock"
    assert holder_of(path) is None
    assert not path.parent.exists()
    lock = FileLock(path)
    lock.acquire()
    assert path.exists()
    lock.release()


LOOK = """
import sys
from pathlib import Path
from penstock.system import holder_of
print("up", flush=True)
while True:
    holder_of(Path(sys.argv[1]))
"""


def test_looking_for_the_holder_never_blocks_a_run(path):
    """A run can start while ``penstock status`` looks for the holder of its lock."""
    path.touch()  # as a killed run leaves it
    with subprocess.Popen([sys.executable, "-c", LOOK, path], stdout=subprocess.PIPE) as looking:
        try:
            looking.stdout.readline()
            for _ in range(2000):
                lock = FileLock(path)
                assert lock.acquire() is None
                lock.release()
                path.touch()
        finally:
            looking.kill()
