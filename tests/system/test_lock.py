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
    """The second is told who holds it; after the release it may, and nothing is left behind."""
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
    """The same object holds it already."""
    lock = FileLock(path)
    assert lock.acquire() is None
    assert lock.acquire() is None
    lock.release()
    assert not path.exists()


def test_what_a_killed_process_left_is_no_lock(path):
    """A file without a lock, whatever it says, is free."""
    path.write_text('{"pid": 1, "host": "elsewhere", "since": 0}')
    assert holder_of(path) is None
    lock = FileLock(path)
    assert lock.acquire() is None
    lock.release()


def test_links_lead_to_the_same_lock(tmp_path):
    """A file is guarded by its real name."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert lock_path(tmp_path / "link") == lock_path(tmp_path / "real") == tmp_path.resolve() / "real.lock"


def test_a_holder_in_words():
    """Who, where and since when; or as much as is known."""
    here = Holder(os.getpid(), os.uname().nodename, 0.0)
    assert str(here).startswith(f"this process {os.getpid()} on {os.uname().nodename} since 19")
    assert str(Holder(7, "host", 0.0)).startswith("process 7 on host since 19")
    assert str(Holder(0, "", 0.0)) == "another process"


def test_of_many_threads_one_gets_it(path):
    """And it can be handed on many times, although each release removes the file."""
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


def test_of_many_processes_one_gets_it(path, tmp_path):
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
    """A worker that was forked while the lock was held has nothing to do with it."""
    subprocess.run([sys.executable, "-c", FORK + RELEASED, path, "release"], check=True)


def test_a_forked_child_does_not_inherit_the_lock(path):
    """When its parent is killed the lock is free, although the child still has the file open."""
    command = [sys.executable, "-c", FORK + ORPHANED, path, "keep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.wait()
        lock = FileLock(path)
        assert lock.acquire() is None
        lock.release()
        os.kill(child, signal.SIGKILL)


def test_a_folder_that_is_not_there(tmp_path):
    """The system's error is left to the caller's words."""
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "no" / "x.lock").acquire()
    assert holder_of(tmp_path / "no" / "x.lock") is None


LOOK = """
import sys
from pathlib import Path
from penstock.system import holder_of
print("up", flush=True)
while True:
    holder_of(Path(sys.argv[1]))
"""


def test_who_looks_for_the_holder_is_in_nobodys_way(path):
    """``penstock status`` beside a run that is just starting does not make it be refused."""
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
