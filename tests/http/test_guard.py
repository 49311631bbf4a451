"""Who may ask the server, and how much: tokens, names, origins, sizes, rates. Every refusal is a problem document."""

from __future__ import annotations

import asyncio
import json
from contextvars import ContextVar
from itertools import product
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from penstock.errors import GraphError
from penstock.http import HOSTS, Limits, application, serve
from penstock.http.guard import OPEN, Buckets
from penstock.http.openapi import EVERYWHERE, OPERATIONS, PROBLEMS
from penstock.http.server import is_loopback

from .serving import Client, listening, serving

TOKEN = "a-token-for-the-tests"  # noqa: S105
ROUTES = [(one.method.upper(), one.path) for one in OPERATIONS] + [
    ("GET", path) for path in ("/", "/docs", "/openapi.json")
]


def problem(answer):
    """Return the kind of a problem, and check that it is a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json
    assert found["status"] == answer.status
    assert {"type", "title", "status", "detail", "instance"} <= {*found} | {"instance"}
    return found["type"].removeprefix("urn:penstock:problem:")


async def test_the_authorisation_matrix(folder):
    """Without the right token, every route but the open ones answers 401, at this machine too, and does nothing."""
    sent = {
        "none": {},
        "wrong": {"authorization": "Bearer wrong"},
        "right": {"authorization": f"Bearer {TOKEN}"},
    }
    sent |= {
        "other scheme": {"authorization": f"Basic {TOKEN}"},
        "longer": {"authorization": f"Bearer {TOKEN}x"},
    }
    for token, hosts in ((TOKEN, None), (TOKEN, HOSTS), (None, HOSTS)):
        async with serving(
            "p.toml", token=token, hosts=hosts, state=f"state-{token}-{hosts is None}"
        ) as client:
            asker = Client(client.port)
            for (method, path), (name, headers) in product(ROUTES, sent.items()):
                if name in {"other scheme", "longer"} and path != "/v1/runs":
                    continue
                place = path.replace("{run_id}", "none")
                answer = await asker(method, place, {} if method == "POST" else None, **headers)
                needed = token is not None and path not in OPEN
                refused = needed and name != "right"
                assert (answer.status == 401) == refused, (method, path, name)
                if refused:
                    assert problem(answer) == "unauthorized"
                    assert answer.headers["www-authenticate"] == "Bearer"
                    assert TOKEN.encode() not in answer.body
            assert (await client("GET", "/v1/runs")).json == {"runs": []}


@pytest.mark.parametrize(
    ("host", "ours"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False),  # noqa: S104

     ("::", False), ("192.168.0.1", False), ("example.org", False)],
)  # fmt: skip
def test_only_this_machine_needs_no_token(host, ours, folder):
    """An address that others can reach is refused without a token, before anything listens."""
    assert is_loopback(host) == ours
    if not ours:
        with pytest.raises(GraphError, match="token"):
            serve(["p.toml"], host=host, port=0)


async def test_other_names_and_origins_are_refused(folder):
    """A page of another origin cannot use the server, nor a name that leads to this machine."""
    async with serving("p.toml", hosts=HOSTS) as client:
        for host, status in (
            ("evil.example", 421),
            ("evil.example:80", 421),
            ("localhost:1", 200),
            ("[::1]:8", 200),
        ):
            assert (await client("GET", "/v1/runs", host=host)).status == status
        here = f"http://127.0.0.1:{client.port}"
        for method, headers, status in (
            ("GET", {"origin": here}, 200),
            ("GET", {"origin": "http://evil.example"}, 403),
            ("GET", {"origin": "null"}, 403),
            ("POST", {"origin": "http://evil.example"}, 403),
            ("POST", {"sec_fetch_site": "cross-site"}, 403),
            ("GET", {"sec_fetch_site": "cross-site"}, 200),
        ):
            data = {"pipeline": "none"} if method == "POST" else None
            answer = await client(method, "/v1/runs", data, **headers)
            assert answer.status == status, (method, headers)
        assert problem(await client("POST", "/v1/runs", {}, origin="http://evil.example")) == "foreign-origin"


async def test_what_a_request_may_not_be(folder):
    """Wrong requests are refused, each with its own problem, and the values that came are not repeated."""
    limits = Limits(body=1000, body_seconds=0.05)
    async with serving("p.toml", limits=limits) as client:
        run = await client.start()
        events = f"/v1/runs/{run}/events"
        for method, path, data, headers, expected in (
            ("POST", "/v1/runs", b"{", {}, (400, "invalid-json")),
            ("POST", "/v1/runs", b"[]", {}, (422, "invalid")),
            ("POST", "/v1/runs", {"pipeline": "p", "files": "/etc/passwd"}, {}, (422, "invalid")),
            ("POST", "/v1/runs", {"pipeline": "p"}, {"idempotency_key": "two words"}, (422, "invalid")),
            ("POST", "/v1/runs", {"pipeline": "p"}, {"content_type": "text/plain"}, (415, "not-json")),
            ("POST", "/v1/runs", b" " * 1001, {}, (413, "too-large")),
            ("POST", "/v1/runs", b"", {"content_length": "10"}, (408, "too-slow")),
            ("GET", "/v1/runs?limit=0", None, {}, (422, "invalid")),
            ("GET", "/v1/runs?unknown=1", None, {}, (422, "invalid")),
            ("GET", f"{events}?types=Nothing", None, {}, (422, "invalid")),
            ("GET", events, None, {"last_event_id": "x"}, (422, "invalid")),
            ("GET", events, None, {"accept": "text/html"}, (406, "not-acceptable")),
            ("GET", f"{events}?after=999999", None, {}, (410, "events-gone")),
            ("GET", "/v1/runs/none/events", None, {}, (404, "no-such-run")),
            ("GET", "/v1/none", None, {}, (404, "not-found")),
            ("DELETE", "/v1/runs", None, {}, (405, "method-not-allowed")),
            ("POST", "/metrics", None, {}, (405, "method-not-allowed")),
        ):
            answer = await client(method, path, data, **headers)
            assert (answer.status, problem(answer)) == expected, (method, path)
            assert answer.status in {*PROBLEMS, 405}
            assert b"passwd" not in answer.body
    assert {status for one in OPERATIONS for status in (*one.problems, *EVERYWHERE)} <= {*PROBLEMS}


def test_requests_have_a_rate_and_a_burst(monkeypatch):
    """Each address may make twice the rate at once, and then the rate; another address has its own."""
    now = [0.0]
    monkeypatch.setattr("penstock.http.guard.time.monotonic", lambda: now[0])
    buckets = Buckets(5)
    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") == pytest.approx(0.2)
    assert buckets.take("b") == 0
    now[0] = 0.2
    assert (buckets.take("a"), buckets.take("a") > 0) == (0.0, True)


async def test_the_rate_and_the_streams_are_limited(folder):
    """Too many requests, or too many clients that read events, get a problem that says when to come back."""
    limits = Limits(streams=0)
    async with serving("p.toml", limits=limits) as client:
        run = await client.start()
        answer = await client("GET", f"/v1/runs/{run}/events")
        assert (answer.status, problem(answer), answer.headers["retry-after"]) == (
            503,
            "too-many-streams",
            "10",
        )
    async with serving("p.toml", limits=Limits(requests=0.5)) as client:
        assert (await client("GET", "/healthz")).status == 200
        answer = await client("GET", "/healthz")
        assert (answer.status, problem(answer)) == (429, "too-many-requests")
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_client_that_takes_nothing_is_left(folder):
    """A stream whose client is idle for too long is given up, and its run is cancelled."""
    from .conftest import write_pipeline

    write_sample(600)
    write_pipeline("p", to="-")
    async with serving("p.toml", limits=Limits(idle_seconds=0.3)) as client:
        stream = await client.open("POST", "/v1/stream", {"pipeline": "p"})
        async with stream:
            run, state = stream.headers["penstock-run"], "running"
            while state == "running":
                await asyncio.sleep(0.1)
                found = (await client("GET", f"/v1/runs/{run}")).json
                state = found["state"]
    assert (state, found["reason"]) == ("cancelled", "the client closed the connection")


def write_sample(records):
    from penstock.adapters.pubmed.sample import write_sample

    write_sample("sample.xml", records)


async def test_a_quiet_stream_has_heartbeats(folder, steps):
    """While nothing happens, a client gets comments; with them an SSE client learns how far it is."""
    from .conftest import write_pipeline

    write_pipeline("p", 'process = ["http_steps:held"]', "grace = 0.1")
    async with serving("p.toml", limits=Limits(heartbeat_seconds=0.02)) as client:
        run = await client.start()
        for accept, beat in (("text/event-stream", b": heartbeat\n\n"), ("application/x-ndjson", b"\n")):
            stream = await client.open("GET", f"/v1/runs/{run}/events?types=DocumentFailed", accept=accept)
            async with stream:
                async for chunk in stream.chunks():
                    if chunk.endswith(beat) and (chunk.startswith(b"id: ") or accept != "text/event-stream"):
                        break


async def test_it_can_be_mounted_in_another_application(folder):
    """Under a prefix everything works the same: routes, the token, the place of a new run, the document."""
    api = application(["p.toml"], token=TOKEN)
    unready = Starlette(routes=[Mount("/penstock", api)])
    async with listening(unready) as port:
        answer = await Client(port, TOKEN, "/penstock")("POST", "/v1/runs", {"pipeline": "p"})
        assert (answer.status, problem(answer)) == (503, "stopping")
    async with api.state.penstock, listening(unready) as port:
        client = Client(port, TOKEN, "/penstock")
        answer = await client("POST", "/v1/runs", {"pipeline": "p"})
        assert answer.headers["location"] == f"/penstock/v1/runs/{answer.json['id']}"
        assert (await client.ended(answer.json["id"]))["state"] == "completed"
        assert (await Client(port, None, "/penstock")("GET", "/v1/runs")).status == 401
        assert (await Client(port, None, "/penstock")("GET", "/healthz")).status == 200
        assert (await client("GET", "/openapi.json")).json["servers"] == [{"url": "/penstock"}]
        assert (await client("GET", "/none")).status == 404


async def test_hooks_run_in_the_context_of_the_request(folder):
    """A hook sees the events of every run, and what a middleware has set for the request that started it."""
    request, seen = ContextVar("request", default=""), []
    api = application(["p.toml"], hooks=[lambda events: seen.append((request.get(), len(events)))])

    async def traced(scope, receive, send):
        request.set(scope["method"])
        await api(scope, receive, send)

    async with api.state.penstock, listening(traced, "off") as port:
        client = Client(port)
        found = await client.ended(await client.start())
    assert {name for name, _ in seen} == {"POST"}
    assert sum(count for _, count in seen) == found["events"]["last"]


async def test_metrics_and_pages(folder):
    """Metrics count the runs, the document is OpenAPI 3.1, and the pages use nothing from elsewhere."""
    async with serving("p.toml") as client:
        await client.ended(await client.start())
        metrics = (await client("GET", "/metrics")).body.decode()
        document = (await client("GET", "/openapi.json")).json
        pages = [(await client("GET", path)).body.decode() for path in ("/docs", "/")]
        assert (await client("GET", "/readyz")).json == {"status": "ok"}
    assert "penstock_documents_completed_total" in metrics or 'adapter="pubmed"' in metrics
    assert document["openapi"] == "3.1.0"
    refs = {part.split('"')[0] for part in json.dumps(document).split('"$ref": "#/components/schemas/')[1:]}
    assert refs <= {*document["components"]["schemas"]}
    for page in pages:
        assert "http://" not in page
        assert "https://" not in page


def test_files_of_one_name_and_folders_in_use_are_refused(folder):
    """Names of pipelines are unique, and one server uses a state folder."""
    Path("more").mkdir()
    Path("more/p.toml").write_bytes(Path("p.toml").read_bytes())
    with pytest.raises(GraphError, match="have one name, 'p'"):
        application(["p.toml", "more/p.toml"])
    with pytest.raises(GraphError, match="no pipeline"):
        application([])
