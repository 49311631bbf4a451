"""Downloads that break off, and go on: by Range, from the beginning, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import random

import pytest

from penstock.adapters.http import HttpClient, HttpError

from .serving import answer, serving

WHOLE = random.Random(1).randbytes(200_000)
SHA = "sha256:" + hashlib.sha256(WHOLE).hexdigest()


class File:
    """A file on a server that breaks off each answer after ``bytes_per_answer`` bytes."""

    def __init__(
        self, *, ranges: bool = True, validators: bool = True, bytes_per_answer: int = 70_000
    ) -> None:
        self.content = WHOLE
        self.ranges = ranges
        self.validators = {"etag": '"1"'} if validators else {}
        self.most = bytes_per_answer
        self.shift = 0

    def __call__(self, request) -> bytes:
        begin, status, extra = 0, "200 OK", {}
        wanted = request.headers.get("range")
        if self.ranges and wanted and request.headers.get("if-range") == self.validators.get("etag"):
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(self.content):
                return answer(b"", "416 No", content_range=f"bytes */{len(self.content)}")
            begin += self.shift
            status = "206 Partial Content"
            extra = {"content_range": f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}"}
        rest = self.content[begin:]
        cut = rest[: self.most]
        return answer(cut, status, **self.validators, **extra, content_length=str(len(rest)))


async def attempts(file: File, path, most: int = 5, **options) -> int:
    """Return how many attempts the download took."""
    async with serving(file) as (url, _), HttpClient() as http:
        for attempt in range(1, most + 1):
            try:
                assert await http.download(f"{url}/file", path, **options) == path
            except HttpError as error:
                if not error.is_retryable:
                    raise
            else:
                return attempt
    raise AssertionError("it never ended")


async def test_it_goes_on_where_it_broke_off(tmp_path, monkeypatch) -> None:
    """Three answers of 70,000 bytes make a file of 200,000, of which nothing was sent twice; no part remains."""
    path = tmp_path / "file.gz"
    async with serving(file := File()) as (url, requests), HttpClient() as http:
        for _ in range(2):
            with pytest.raises(HttpError) as caught:
                await http.download(f"{url}/file", path)
            assert caught.value.is_retryable
        assert not path.exists()
        await http.download(f"{url}/file", path, checksum=SHA)
        assert [request.headers.get("range") for request in requests] == [
            None,
            "bytes=70000-",
            "bytes=140000-",
        ]
    assert path.read_bytes() == file.content
    assert [one.name for one in tmp_path.iterdir()] == ["file.gz"]


async def test_a_server_without_ranges_starts_over(tmp_path) -> None:
    """An answer 200 in place of 206 replaces what was there; so does one to a part whose version nobody knows."""
    path = tmp_path / "file"
    for file in (File(ranges=False), File(validators=False)):
        with pytest.raises(AssertionError, match="it never ended"):
            await attempts(file, path, most=2)
        file.most = 10**9
        assert await attempts(file, path) == 1
        assert path.read_bytes() == WHOLE


async def test_a_file_that_changed_starts_over(tmp_path) -> None:
    """After a new version on the server, nothing of the old one remains."""
    path, file = tmp_path / "file", File()
    with pytest.raises(AssertionError, match="it never ended"):
        await attempts(file, path, most=1)
    file.content, file.validators = bytes(reversed(WHOLE)), {"etag": '"2"'}
    await attempts(file, path)
    assert path.read_bytes() == file.content


async def test_a_range_that_nobody_asked_for(tmp_path) -> None:
    """A server that sends another range than the one that was asked for does not damage the file."""
    path, file = tmp_path / "file", File()
    file.shift = 3
    async with serving(file) as (url, requests), HttpClient() as http:
        for _ in range(2):
            with pytest.raises(HttpError):
                await http.download(f"{url}/file", path)
        assert [request.headers.get("range") for request in requests] == [None, "bytes=70000-", None]
        file.most = 10**9
        file.ranges = False
        await http.download(f"{url}/file", path)
    assert path.read_bytes() == WHOLE


async def test_a_part_that_was_complete(tmp_path) -> None:
    """A process that was killed between the last byte and the renaming finds its file complete; a longer one starts over."""
    path, file = tmp_path / "file", File(bytes_per_answer=10**9)
    for extra in (b"", b"x"):
        async with serving(file) as (url, _), HttpClient() as http:
            (tmp_path / "file.part").write_bytes(WHOLE + extra)
            (tmp_path / "file.part.json").write_text(f'{{"url": "{url}/file", "version": "\\"1\\""}}')
            await http.download(f"{url}/file", path, checksum=SHA)
        assert path.read_bytes() == WHOLE
        (tmp_path / "file.part").write_bytes(b"damaged")
        (tmp_path / "file.part.json").write_text("no JSON")
        await attempts(file, path, checksum=SHA)
        path.unlink()


async def test_checksums_and_bounds(tmp_path) -> None:
    """A wrong checksum and a file that is too large leave no file; an impossible checksum is refused at once."""
    path = tmp_path / "file"
    async with serving(File(bytes_per_answer=10**9)) as (url, requests), HttpClient() as http:
        with pytest.raises(HttpError, match="the md5 of the file is") as caught:
            await http.download(url, path, checksum="md5:00")
        assert caught.value.is_retryable
        with pytest.raises(HttpError, match="more than allowed") as caught:
            await http.download(url, path, max_bytes=1000)
        assert not caught.value.is_retryable
        asked = len(requests)
        with pytest.raises(ValueError, match="a checksum is written as"):
            await http.download(url, path, checksum="crc:00")
        assert len(requests) == asked
    assert not path.exists()
    async with (
        serving(lambda request: answer(gzip.compress(b"0" * 9999), content_encoding="gzip")) as (url, _),
        HttpClient() as http,
    ):
        assert (await http.download(url, path)).read_bytes() == b"0" * 9999
        with pytest.raises(HttpError, match="max_bytes=9998"):
            await http.download(url, path, max_bytes=9998)
