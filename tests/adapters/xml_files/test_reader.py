"""`ByteReader` on whole and damaged files."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.adapters.xml_files import reader as module
from penstock.adapters.xml_files.reader import CHUNK, ByteReader
from penstock.errors import SourceError

CONTENT = os.urandom(50_000) + b"<a>text</a>" * 100_000


@pytest.fixture(params=["isal", "zlib"], autouse=True)
def engine(request, monkeypatch):
    """Run every test with both gzip engines."""
    if request.param == "zlib":
        monkeypatch.setattr(module, "_gzip_engine", zlib)
    else:
        pytest.importorskip("isal")


def read_all(path: Path) -> bytes:
    with ByteReader(path) as reader:
        chunks = list(iter(reader.read, b""))
        assert reader.read() == b""
        assert reader.consumed == reader.size == path.stat().st_size
    assert all(len(chunk) <= CHUNK for chunk in chunks)
    return b"".join(chunks)


def read_until_error(path: Path) -> tuple[bytes, str]:
    content = b""
    with ByteReader(path) as reader:
        try:
            while chunk := reader.read():
                content += chunk
        except SourceError as error:
            return content, str(error)
    return content, ""


@pytest.mark.parametrize("name", ["a.xml", "a.gz"])
def test_content_tells_gzip_not_the_name(tmp_path: Path, name: str) -> None:
    """Plain bytes named .gz and gzip named .xml are both read correctly."""
    path = tmp_path / name
    path.write_bytes(CONTENT)
    assert read_all(path) == CONTENT
    path.write_bytes(gzip.compress(CONTENT))
    assert read_all(path) == CONTENT


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 70_000])
def test_members_and_padding(tmp_path: Path, padding: bytes) -> None:
    """Several gzip members are read as one content; zeros after or between them are ignored."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"") + padding + gzip.compress(CONTENT) + padding)
    assert read_all(path) == b"one" + CONTENT


def test_a_small_file_that_unpacks_to_much_comes_in_chunks(tmp_path: Path) -> None:
    """A ratio of a thousand to one does not make chunks larger."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"\0" * 15_000_000))
    assert len(read_all(path)) == 15_000_000


SMALL = gzip.compress(b"".join(b"<r>%d</r>" % number for number in range(2_000)))


@given(st.integers(1, len(SMALL) - 1))
def test_a_truncated_gzip_returns_its_content_then_raises(tmp_path_factory, end: int) -> None:
    """The content before the cut is returned first; then the error says that the file is truncated."""
    path = tmp_path_factory.mktemp("cut") / "a.gz"
    path.write_bytes(SMALL[:end])
    content, error = read_until_error(path)
    if end == 1:
        assert content == SMALL[:1]  # a single byte is not recognised as gzip
        return
    assert gzip.decompress(SMALL).startswith(content)
    assert error == f"{path} is truncated: its gzip data ends early, after {end} bytes; fetch it again"


@given(st.integers(20, len(SMALL) - 1), st.integers(1, 255))
def test_a_damaged_gzip_is_always_noticed(tmp_path_factory, place: int, flip: int) -> None:
    """A byte changed anywhere in the data or the checksum is an error."""
    path = tmp_path_factory.mktemp("damaged") / "a.gz"
    damaged = bytearray(SMALL)
    damaged[place] ^= flip
    path.write_bytes(damaged)
    _, error = read_until_error(path)
    assert "is damaged: its gzip data is invalid" in error or "is truncated" in error


@pytest.mark.parametrize("rest", [b"x", b"\0\0rest", b"\x1f", b"\x1fz"])
def test_something_else_after_the_gzip_data(tmp_path: Path, rest: bytes) -> None:
    """Such data is an error; it is not dropped silently."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one") + rest)
    content, error = read_until_error(path)
    assert content == b"one"
    assert "contains other data after its gzip data" in error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty (0 bytes): fetch it again"),
        (b"PK\x03\x04rest", "is a zip archive, which cannot be read: give it a name that ends in .zip"),
        (b"BZh91AY", "is bzip2, which"),
        (b"\xfd7zXZ\x00", "is xz, which"),
        (b"\x28\xb5\x2f\xfd", "is zstandard, which"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    """The error distinguishes an empty file and other compression formats from damage."""
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        ByteReader(path)
    assert f"{path} {message}" in str(caught.value)


def test_a_missing_file_a_directory_and_a_pipe(tmp_path: Path) -> None:
    """Each has its own error message."""
    with pytest.raises(SourceError, match="cannot be opened: No such file"):
        ByteReader(tmp_path / "missing")
    with pytest.raises(SourceError, match=r"is a directory: name its files, for example .*\*\.xml\.gz"):
        ByteReader(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="is not a regular file and cannot be read twice"):
        ByteReader(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """The error contains the reason of the operating system."""
    path = tmp_path / "a.xml"
    path.write_bytes(b"<a/>")
    path.chmod(0)
    with pytest.raises(SourceError, match="cannot be opened: Permission denied"):
        ByteReader(path)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """The change is an error at the end of the file, where it would otherwise count as complete."""
    path = tmp_path / "a.xml"
    path.write_bytes(b"<a/>")
    with ByteReader(path) as reader:
        assert reader.read() == b"<a/>"
        with path.open("ab") as file:
            file.write(b"more")
        assert reader.read() == b"more"
        with pytest.raises(SourceError, match="changed while it was read"):
            reader.read()


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_a_refused_file_is_closed(tmp_path: Path) -> None:
    """A constructor that raises leaves no file open."""
    path = tmp_path / "a.gz"
    path.write_bytes(b"PK\x03\x04")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(SourceError):
        ByteReader(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
