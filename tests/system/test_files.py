"""Files on the real disk."""

from __future__ import annotations

import os

import pytest

from penstock.system import DiskStorage, reason


@pytest.fixture
def disk():
    return DiskStorage()


def test_a_file_grows_at_its_end(disk, tmp_path):
    """``append`` writes at the end, also after reading and truncating."""
    path = tmp_path / "a"
    file = disk.open(path, create=True)
    file.append(b"hello")
    assert file.read(1, 3) == b"ell"
    assert file.read(3, 99) == b"lo"
    file.append(b" world")
    assert file.size() == 11
    file.truncate(5)
    file.append(b"!")
    file.fsync()
    disk.fsync_folder(tmp_path)
    file.close()
    file.close()
    assert path.read_bytes() == b"hello!"


def test_short_writes_and_reads_are_continued(disk, tmp_path, monkeypatch):
    """All bytes are written and read even if the system handles fewer at a time."""
    file = disk.open(tmp_path / "a", create=True)
    write, read = os.write, os.read
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
        patch.setattr(os, "read", lambda fd, length: read(fd, min(length, 5)))
        file.append(bytes(range(100)))
        assert file.read(10, 80) == bytes(range(10, 90))
    file.close()


def test_a_file_is_known_by_its_identity(disk, tmp_path):
    """The identity stays after a rename, and differs for another file of the same name."""
    file = disk.open(tmp_path / "a", create=True)
    other = disk.open(tmp_path / "b", create=True)
    assert file.identity != other.identity
    disk.rename(tmp_path / "b", tmp_path / "a")
    again = disk.open(tmp_path / "a", create=False)
    assert again.identity == other.identity
    for each in (file, other, again):
        each.close()
    disk.remove(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        disk.open(tmp_path / "a", create=False)
    with pytest.raises(FileNotFoundError):
        disk.remove(tmp_path / "a")


def test_reasons():
    """Known errors are explained; other errors keep the words of the system."""
    assert reason(OSError(28, "No space left on device")) == "the disk is full; free some space and run again"
    assert reason(OSError(71, "Protocol error")) == "protocol error"
    assert reason(OSError("odd")) == "odd"
    assert reason(OSError()) == "oserror"
