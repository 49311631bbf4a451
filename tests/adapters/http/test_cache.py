"""The cache: 304, damage, bounds, and no secret in it."""

from __future__ import annotations

import os

import pytest

from penstock.abc.notices import noticing
from penstock.adapters.http import HttpClient
from penstock.adapters.http.cache import Cache

from .serving import answer, serving

SECRET = "Sehr-geheim-4712"  # noqa: S105


class Page:
    """A page with a version; it knows whether a request has the version already."""

    def __init__(self) -> None:
        self.version = 1
        self.headers = {}

    def __call__(self, request) -> bytes:
        etag = f'"{self.version}"'
        if request.headers.get("if-none-match") == etag:
            return b"HTTP/1.1 304 Not Modified\r\n\r\n"
        return answer(f'{{"version": {self.version}}}'.encode(), etag=etag, x_total="7", **self.headers)


async def test_an_unchanged_answer(tmp_path) -> None:
    """The second answer comes from the disk after a 304, which is announced; a new version replaces it."""
    notices: list[str] = []
    async with serving(page := Page()) as (url, requests), HttpClient(cache=tmp_path / "new") as http:
        with noticing(notices):
            first, second = await http.get(f"{url}/?a=1"), await http.get(f"{url}/", {"a": 1})
        assert (first.unchanged, second.unchanged) == (False, True)
        assert (second.json(), second.status, second.headers["x-total"]) == (first.json(), 200, "7")
        assert notices == [f"304: {url}/?a=1 has not changed"]
        page.version = 2
        assert (await http.get(f"{url}/?a=1")).json() == {"version": 2}
        assert (await http.get(f"{url}/?a=2")).json() == {"version": 2}
        assert [request.headers.get("if-none-match") for request in requests] == [None, '"1"', '"1"', None]
        page.headers = {"cache_control": "no-store"}
        for _ in range(2):
            assert not (await http.get(f"{url}/?a=3")).unchanged


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"null\n", b'{"headers": {}, "sha256": ""}\nx', b"\xff\n\xff", "cut", "flipped"]
)
async def test_damage_is_a_miss(tmp_path, damage) -> None:
    """A file that is damaged in any way counts as absent, and is replaced."""
    async with serving(Page()) as (url, _), HttpClient(cache=tmp_path) as http:
        await http.get(url)
        (file,) = tmp_path.iterdir()
        whole = file.read_bytes()
        file.write_bytes(
            whole[:-1] if damage == "cut" else whole[:-1] + b"!" if damage == "flipped" else damage
        )
        again = await http.get(url)
        assert (again.unchanged, again.json()) == (False, {"version": 1})
        assert file.read_bytes().partition(b"\n")[2] == b'{"version": 1}'


def test_it_stays_small(tmp_path) -> None:
    """What was not used for longest is removed once there is too much; a huge answer is not kept at all."""
    cache, headers = Cache(tmp_path, max_bytes=10_000), {"etag": '"1"'}
    paths = [cache.path(f"http://example.org/{n}", {}) for n in range(30)]
    for n, path in enumerate(paths):
        cache.store(path, 200, headers, b"x" * 1000)
        if path.exists():
            os.utime(path, (n, n))
        if n and paths[0].exists():
            os.utime(paths[0], (n + 0.5, n + 0.5))  # it was used
        assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 10_000
    assert cache.load(paths[-1]) is not None
    assert cache.load(paths[0]) is not None
    assert cache.load(paths[1]) is None
    cache.store(paths[1], 200, headers, b"x" * 6000)
    assert cache.load(paths[1]) is None


async def test_no_secret_is_kept(tmp_path) -> None:
    """Names and contents of files hold no secret, also if the server repeats it."""

    def reply(request) -> bytes:
        body = request.target.encode() if "echo" in request.target else b"{}"
        return answer(body, etag='"1"', set_cookie=f"session={SECRET}")

    async with (
        serving(reply) as (url, _),
        HttpClient(cache=tmp_path, secret_params={"key": SECRET}, secret_headers={"X-Key": SECRET}) as http,
    ):
        await http.get(f"{url}/plain")
        await http.get(f"{url}/echo")
    assert len(list(tmp_path.iterdir())) == 2
    assert all(SECRET not in f"{file}{file.read_bytes()}" for file in tmp_path.iterdir())
