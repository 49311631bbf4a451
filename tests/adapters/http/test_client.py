"""The client against a real server: broken answers, redirects, private addresses, bounds and secrets."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import traceback
import zlib

import pytest
from expression import Ok
from pydantic import SecretStr

from penstock import Document, Page, RawRecord
from penstock.abc import Source
from penstock.adapters import Adapter
from penstock.adapters.http import HttpClient, HttpError, secret_from
from penstock.adapters.http.body import pieces_of
from penstock.adapters.http.hosts import Hosts, is_private
from penstock.documents.settings import Settings
from penstock.errors import GraphError
from penstock.events import encode
from penstock.flow import Flow
from penstock.runtime.policy import RetryPolicy, is_retryable

from .serving import Request, answer, serving

SECRET = "Sehr-geheim-4711"  # noqa: S105


async def failure(url: str, **options) -> HttpError:
    async with HttpClient(**options) as http:
        with pytest.raises(HttpError) as caught:
            await http.get(url)
    assert is_retryable(caught.value) is caught.value.is_retryable
    assert caught.value.host == "127.0.0.1"
    return caught.value


async def test_an_answer() -> None:
    """Parameters join those of the URL, headers have lower-case names, and gzip is unpacked."""
    body = gzip.compress(b'{"a": 1}') + gzip.compress(b"\n")
    async with (
        serving(lambda request: answer(body, content_encoding="gzip")) as (url, requests),
        HttpClient() as http,
    ):
        got = await http.get(f"{url}/x?a=1", {"b": ["x", "y"], "c": None, "d": "ö &"})
        assert (got.json(), got.status, got.headers["content-encoding"]) == ({"a": 1}, 200, "gzip")
        assert requests[0].target == "/x?a=1&b=x&b=y&d=%C3%B6+%26"
        assert got.url == f"{url}{requests[0].target}"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [("429 Too Many Requests", True), ("408 X", True), ("425 X", True), ("503 X", True), ("520 X", True), ("404 Not Found", False),
     ("401 Unauthorized", False), ("501 X", False), ("304 Not Modified", False)],
)  # fmt: skip
async def test_an_answer_that_is_an_error(status, retryable) -> None:
    """The error has the status, whether to try again, and what the body says."""
    async with serving(lambda request: answer(b'{"error": "no such\\nthing"}', status)) as (url, _):
        error = await failure(f"{url}/x")
    assert (error.status, error.is_retryable) == (int(status[:3]), retryable)
    assert f"{url}/x answered {status}" in str(error)
    assert ("no such" in str(error)) == (error.status != 304)


async def test_a_status_that_is_allowed() -> None:
    """``allow`` makes an answer of an error: some servers answer 404 if nothing matches."""
    async with serving(lambda request: answer(b"[]", "404 Not Found")) as (url, _), HttpClient() as http:
        assert (await http.get(url, allow=(404,))).json() == []


BROKEN = {
    "nothing": (b"", "broken"),
    "no HTTP": (b"hello\r\n\r\n", "broken"),
    "cut": (answer(b"{}", content_length="100"), "broken"),
    "cut in a chunk": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nabc", "broken"),
    "no gzip": (answer(b"garbage", content_encoding="gzip"), "damaged"),
    "half a gzip": (answer(gzip.compress(b"x" * 1000)[:-9], content_encoding="gzip"), "ends in the middle"),
}


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_answer(kind) -> None:
    """An answer that is cut off or damaged is an error that is worth another attempt."""
    said, words = BROKEN[kind]
    async with serving(lambda request: said) as (url, _):
        error = await failure(url)
    assert error.is_retryable
    assert words in str(error)


async def test_no_server() -> None:
    """A refused connection is worth another attempt, and so is a server that says nothing."""
    async with serving(lambda request: b"") as (url, _):
        pass
    assert (await failure(url)).is_retryable
    async with serving(lambda request: asyncio.sleep(60, b"")) as (url, _):
        error = await failure(url, timeout=0.05)
    assert error.is_retryable
    assert "no answer for 0.05 s" in str(error)


async def test_json_that_is_none() -> None:
    """A page of HTML is told with its beginning; JSON that was cut is worth another attempt."""
    for body, retryable in ((b"<html>Sorry</html>", False), (b'[{"a": 1}, {"b', True), (b"", True)):
        async with serving(lambda request, body=body: answer(body)) as (url, _), HttpClient() as http:
            got = await http.get(url)
            with pytest.raises(HttpError, match="did not answer with JSON") as caught:
                got.json()
            assert caught.value.is_retryable is retryable


async def test_bounds() -> None:
    """A body that is too large, also once it is unpacked, and one that drips for too long, are given up."""
    bomb = gzip.compress(b"0" * 50_000_000)
    async with serving(lambda request: answer(bomb, content_encoding="gzip")) as (url, _):
        error = await failure(url, max_bytes=1_000_000)
    assert not error.is_retryable
    assert "more than 1 MB" in str(error) or "max_bytes=1000000" in str(error)
    drip = [answer(b"x", content_length="100000"), *([b"x"] * 100)]
    async with serving(lambda request: drip) as (url, _):
        error = await failure(url, longest=0.1)
    assert error.is_retryable
    assert "not complete after 0.1 s" in str(error)


async def test_every_cut_of_a_body_gives_the_same() -> None:
    """Compressed bodies in pieces of any size are unpacked: gzip with several members, both kinds of deflate."""
    text = b"penstock " * 500
    raw = zlib.compressobj(wbits=-15)
    bodies = {
        "gzip": gzip.compress(text[:999]) + gzip.compress(text[999:]) + b"\0\0",
        "deflate": zlib.compress(text),
        "Deflate": raw.compress(text) + raw.flush(),
        "": text,
    }

    async def cut(body, size):
        for at in range(0, len(body), size):
            yield body[at : at + size]

    for encoding, body in bodies.items():
        for size in (1, 2, 7, 10_000):
            got = b"".join([piece async for piece in pieces_of(cut(body, size), encoding, len(text))])
            assert got == text, (encoding, size)


# -- redirects and hosts --------------------------------------------------------------------------


def redirecting(to):
    return lambda request: (
        answer(b"", "302 Found", location=to(request)) if request.target == "/" else answer(b'"there"')
    )


async def test_redirects() -> None:
    """A redirect on the same host is followed, a loop of them is given up, and POST becomes GET."""
    async with serving(redirecting(lambda request: "/there")) as (url, requests), HttpClient() as http:
        assert (await http.request("POST", url, json=[1])).json() == "there"
        assert [request.method for request in requests] == ["POST", "GET"]
    async with serving(redirecting(lambda request: "/")) as (url, requests):
        error = await failure(url)
    assert not error.is_retryable
    assert "more than 5 redirects" in str(error)
    assert len(requests) == 6


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("http://169.254.169.254/latest", "is not on the list"),
        ("http://localhost:1/", "is not on the list"),
        ("file:///etc/passwd", "no URL of http"),
        ("http://[::1]/", "is not on the list"),
        ("//evil.example/", "is not on the list"),
        ("http://exa mple:x/", "exa mple"),
    ],
)
async def test_a_redirect_that_is_refused(target, why) -> None:
    """A redirect goes only to the hosts of the client, and the error names both ends."""
    async with (
        serving(redirecting(lambda request: target)) as (url, requests),
        HttpClient(hosts=[url]) as http,
    ):
        with pytest.raises(HttpError, match=why) as caught:
            await http.get(url)
        assert not caught.value.is_retryable
    assert len(requests) == 1


def test_what_a_client_may_ask() -> None:
    """Names, patterns and URLs allow a host; private addresses need their own name or ``private``."""

    def allowed(url, names, *, private=False, came_from=None) -> bool:
        try:
            Hosts(names, private=private).allow(url, came_from=came_from)
        except HttpError:
            return False
        return True

    assert allowed("https://api.fda.gov/x", ["api.fda.gov"])
    assert allowed("https://API.FDA.GOV./x", ["https://api.fda.gov/drug"])
    assert allowed("https://data.cdc.gov", ["*.cdc.gov"])
    assert not allowed("https://cdc.gov.evil.org", ["*.cdc.gov"])
    assert not allowed("https://evilcdc.gov", ["*.cdc.gov"])
    assert not allowed("https://api.fda.gov@evil.org/", ["api.fda.gov"])
    assert not allowed("ftp://api.fda.gov/", ["api.fda.gov"])
    assert not allowed("http://a.org", ["a.org"], came_from="https://a.org")
    assert not allowed("https://b.org", None, came_from="https://a.org")
    assert allowed("http://127.0.0.1:80", ["127.0.0.1"])
    assert allowed("http://127.0.0.1:80", ["*.org", "127.0.0.1"], private=True)
    hosts = Hosts(None, private=False)
    hosts.allow("https://a.org")
    with pytest.raises(HttpError, match="private address"):
        hosts.allow("http://10.0.0.1/")


def test_arguments_that_cannot_be() -> None:
    """A client is refused at once if a rate, a time or a bound is impossible; one host needs no list."""
    for wrong in (
        {"rate": {"a.org": 0}},
        {"timeout": -1},
        {"longest": float("nan")},
        {"max_bytes": 0},
        {"redirects": -1},
    ):
        with pytest.raises(GraphError, match=next(iter(wrong))):
            HttpClient(**wrong)
    assert Hosts("a.org", private=False).allow("https://a.org/") == "a.org"


def test_private_addresses() -> None:
    """Loopback, private, link-local and shared addresses are private, however they are wrapped in IPv6."""
    private = (
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "::",
    )  # fmt: skip
    assert [address for address in private if not is_private(address)] == []
    assert not any(
        map(is_private, ["130.14.29.110", "2607:f220:41e:4290::110", "64:ff9b::820e:1d6e", "example.org"])
    )


async def test_a_name_with_a_private_address(monkeypatch) -> None:
    """A name that resolves to a private address is not connected to, also if its first answer was another one."""
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo
    answers = []

    async def getaddrinfo(host, port, **options):
        if host in ("rebound.example", b"rebound.example"):  # anyio encodes names
            return await real(answers.pop(0), port, **options)
        return await real(host, port, **options)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    async with serving(lambda request: answer()) as (url, requests):
        target = url.replace("127.0.0.1", "rebound.example")
        async with HttpClient(hosts=["rebound.example"]) as http:
            for answers[:] in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]):
                with pytest.raises(HttpError, match="has the private address 127") as caught:
                    await http.get(target)
                assert not caught.value.is_retryable
        assert requests == []
        answers[:] = ["127.0.0.1"]
        async with HttpClient(hosts=["rebound.example"], private=True) as http:
            assert (await http.get(target)).json() == {}


async def no_addresses(*args, **options):
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


async def test_a_proxy_of_the_environment(monkeypatch) -> None:
    """``HTTP_PROXY`` is asked in place of the server, unless ``NO_PROXY`` or a private address says otherwise."""
    async with (
        serving(lambda request: answer(b'"proxy"')) as (proxy, requests),
        serving(lambda request: answer()) as (url, _),
    ):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "example.com")
        async with HttpClient(hosts=["example.org", "nothere.example.com", url]) as http:
            assert (await http.get("http://example.org/x")).json() == "proxy"
            assert (await http.get(url)).json() == {}
            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_addresses)
            with pytest.raises(HttpError, match="no connection"):
                await http.get("http://nothere.example.com/")
        assert [request.target for request in requests] == ["http://example.org/x"]


# -- secrets --------------------------------------------------------------------------------------


async def test_secrets_go_to_the_host_and_nowhere_else(caplog) -> None:
    """The server gets the key and the token; answers, errors, their causes, logs and reprs do not show them."""
    caplog.set_level(logging.DEBUG)
    seen: list[Request] = []

    def reply(request):
        seen.append(request)
        if request.target.startswith("/echo"):
            return answer(
                f'{{"you sent": "{request.target}", "in": "{request.headers["authorization"]}"}}'.encode(),
                "403 X",
            )
        return answer(b"{}", content_length="77") if request.target.startswith("/cut") else answer()

    secrets = {
        "secret_params": {"api_key": SecretStr(SECRET), "none": None},
        "secret_headers": {"Authorization": f"Bearer {SECRET}"},
    }
    async with serving(reply) as (url, _), HttpClient(**secrets) as http:
        told = [await http.get(f"{url}/ok", {"a": 1}), http, http._secrets, http._client]
        for path in ("echo", "cut"):
            with pytest.raises(HttpError) as caught:
                await http.get(f"{url}/{path}")
            told += traceback.format_exception(caught.value)
            told += [vars(caught.value), getattr(caught.value.__cause__, "request", None)]
            told += [str(getattr(told[-1], "url", "")), getattr(told[-1], "headers", "")]
    assert [request.target for request in seen] == [
        f"/{rest}api_key={SECRET}" for rest in ("ok?a=1&", "echo?", "cut?")
    ]
    assert {request.headers["authorization"] for request in seen} == {f"Bearer {SECRET}"}
    assert SECRET not in "\n".join(map(str, told)) + "\n".join(map(repr, told))
    assert caplog.records
    assert SECRET not in caplog.text


async def test_secrets_that_a_server_repeats() -> None:
    """A key is taken out of links to the next page, which stay valid, and hidden elsewhere in an answer."""

    def reply(request):
        target = request.target
        bodies = f'{{"next": "{url}{target}&after=9", "again": "{url}/x?b=1&amp;api_key={SECRET}", "key": "{SECRET}"}}'
        return answer(bodies.encode(), link=f'<{url}{target}>; rel="next"')

    async with serving(reply) as (url, _), HttpClient(secret_params={"api_key": f" {SECRET}\n"}) as http:
        got = await http.get(f"{url}/x", {"a": 1})
        assert got.headers["link"] == f'<{url}/x?a=1>; rel="next"'
        assert got.json() == {"next": f"{url}/x?a=1&after=9", "again": f"{url}/x?b=1", "key": "***"}
        assert (await http.get(f"{url}/x")).json()["next"] == f"{url}/x?after=9"
    with pytest.raises(ValueError, match="the secret 'X-Key' contains") as caught:
        HttpClient(secret_headers={"X-Key": "geheim\nX-Other: 1"})
    assert "geheim" not in str(caught.value)


def test_secrets_from_settings_and_the_environment(monkeypatch) -> None:
    """A setting wins over the environment; what is empty is no secret."""
    monkeypatch.setenv("SOME_KEY", "from outside")
    assert secret_from(SecretStr("given"), "SOME_KEY").get_secret_value() == "given"
    assert secret_from(None, "SOME_KEY").get_secret_value() == "from outside"
    assert secret_from(SecretStr(" "), "SOME_KEY").get_secret_value() == "from outside"
    monkeypatch.delenv("SOME_KEY")
    assert secret_from(None, "SOME_KEY") is None


async def test_secrets_do_not_follow_a_redirect_to_another_host() -> None:
    """The other host gets neither the key nor an Authorization of the request; an echoed key is refused."""
    async with serving(lambda request: answer(b'"other"')) as (other, requests):
        there = other.replace("127.0.0.1", "localhost")

        def reply(request):
            echo = request.target.partition("?")[2] if "echo" in request.target else ""
            return answer(b"", "302 Found", location=f"{there}/to?{echo}")

        async with (
            serving(reply) as (here, _),
            HttpClient(hosts=[here, there], secret_params={"api_key": SECRET}) as http,
        ):
            assert (
                await http.get(here, headers={"Authorization": "Basic abc", "X-Other": "1"})
            ).json() == "other"
            with pytest.raises(HttpError, match="redirects a secret to another host") as caught:
                await http.get(f"{here}/echo")
            assert SECRET not in str(caught.value)
    (request,) = requests
    assert (request.target, request.headers.get("authorization"), request.headers["x-other"]) == (
        "/to",
        None,
        "1",
    )


class Keyed(Source):
    """Pages of a server that wants a key; the third request fails, and the server repeats the key in its answer."""

    name = "keyed"

    def __init__(self, url: str) -> None:
        self.url = url

    async def fetch(self, position):
        async with HttpClient(hosts=[self.url], secret_params={"api_key": SECRET}) as http:
            for page in range(position or 0, 3):
                answer = await http.get(f"{self.url}/{page}")
                yield Page([RawRecord(f"{answer.url}#0", answer.content)], position=page + 1)

    def identify(self, raw):
        return raw.key

    def parse(self, raw):
        return Ok(Document(doc_id=raw.key, source=self.name))


async def test_no_event_and_no_position_of_a_run_shows_a_secret() -> None:
    """A run ends with an error about the key; its events, positions and the error itself do not show the key."""

    def reply(request):
        status = "403 Forbidden" if request.target.startswith("/2") else "200 OK"
        return answer(f'{{"error": "the key {SECRET} has expired"}}'.encode(), status)

    told: list[object] = []
    async with serving(reply) as (url, _):
        settings = Settings(retry=RetryPolicy(attempts=2, initial=0.0))
        async with Flow(Adapter(Keyed(url), page_size=1).events(settings)).subscribe() as subscription:

            async def read() -> None:
                while events := await subscription.request(10):
                    told.extend([*map(encode, events), subscription.position])

            with pytest.raises(HttpError, match="the key .* has expired") as caught:  # noqa: RUF043
                await read()
    told += traceback.format_exception(caught.value)
    assert sum("DocumentCompleted" in str(one) for one in told) == 2
    assert SECRET not in str(told)
