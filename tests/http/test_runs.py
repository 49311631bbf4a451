"""Runs over HTTP: start, watch, stop, and what every answer says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from penstock.events import decode
from penstock.http import Limits

from .conftest import write_pipeline
from .serving import serving


async def test_a_run_writes_its_output_and_shows_its_counts_graph_and_failures(folder):
    """A run that was started by POST does what ``penstock run`` does, and GET shows it."""
    async with serving("p.toml") as client:
        listed = (await client("GET", "/v1/pipelines")).json["pipelines"]
        assert listed == [
            {"name": "p", "adapter": "pubmed", "outputs": ["p.jsonl"], "can_run": True, "active_run": None}
        ]
        run = await client.start()
        found = await client.ended(run)
        dead = (await client("GET", f"/v1/runs/{run}/dead")).json
        with_raw = (await client("GET", f"/v1/runs/{run}/dead?raw=true&limit=1")).json
        (shown,) = (await client("GET", "/v1/runs")).json["runs"]
    rights = {path.stat().st_mode & 0o777 for path in Path(".penstock/runs").rglob("*json")}
    assert rights == {0o600}
    lines = Path("p.jsonl").read_text().splitlines()
    assert (found["state"], found["counts"]["completed"], found["counts"]["failed"]) == (
        "completed",
        len(lines),
        1,
    )
    assert found["summary"]["counts"]["completed"] == len(lines) == 60
    assert [node["name"] for node in found["graph"]["nodes"]] == ["from_pages", "documents", "p.jsonl"]
    assert found["graph"]["nodes"][1]["delivered"] == found["events"]["last"]
    assert found["graph"]["edges"] == [{"source": 0, "target": 1}, {"source": 1, "target": 2}]
    (error,) = found["errors"]
    (letter,) = dead["letters"]
    assert error["error"] == letter["error"]
    assert (found["dead_letters"], dead["total"], dead["next"], letter["raw"]) == (1, 1, None, None)
    assert with_raw["letters"][0]["raw"]
    assert shown == {name: found[name] for name in shown}


async def test_events_are_those_of_the_run_numbered_from_1(folder):
    """The stream has every event with its id, NDJSON has the same lines, and a filter leaves out the others."""
    async with serving("p.toml") as client:
        run = await client.start()
        stream = await client.open("GET", f"/v1/runs/{run}/events")
        async with stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            events = [event async for event in stream.events()]
        plain = await client("GET", f"/v1/runs/{run}/events", accept="application/x-ndjson")
        few = await client(
            "GET", f"/v1/runs/{run}/events?types=DocumentFailed,BatchProgress", accept="application/x-ndjson"
        )
        tail = await client.open("GET", f"/v1/runs/{run}/events?tail=2")
        async with tail:
            last = [event async for event in tail.events()]
    assert [event.id for event in events] == [*range(1, len(events) + 1)]
    assert all(type(decode(event.data)).__name__ == event.type for event in events)
    assert [event.data for event in events] == plain.body.decode().splitlines()
    wanted = {"DocumentFailed", "BatchProgress"}
    assert [json.loads(line)["type"] for line in few.body.splitlines()] == [
        e.type for e in events if e.type in wanted
    ]
    assert last == events[-2:]
    assert events[-1].json["new_state"] == "completed"


async def test_a_client_that_has_everything_need_not_come_back(folder):
    """Behind the last event of a run that is over there is 204, which ends an EventSource."""
    async with serving("p.toml") as client:
        run = await client.start()
        found = await client.ended(run)
        last = found["events"]["last"]
        answer = await client("GET", f"/v1/runs/{run}/events", last_event_id=str(last))
        beyond = await client("GET", f"/v1/runs/{run}/events", last_event_id=str(last + 1))
        head = await client("HEAD", f"/v1/runs/{run}/events")
    assert (head.status, head.headers["penstock-first-event"]) == (200, "1")
    assert (answer.status, answer.body) == (204, b"")
    assert (beyond.status, beyond.json["type"]) == (410, "urn:penstock:problem:events-gone")
    assert (beyond.json["first"], beyond.json["last"]) == (1, last)


async def test_cancel_commits_what_is_done_and_the_next_run_continues(folder, steps):
    """A cancelled run keeps its documents; both runs together write what one run would."""
    write_pipeline("p", 'process = ["http_steps:held"]', "grace = 0.1")
    steps.after = 20
    async with serving("p.toml") as client:
        run = await client.start()
        while len(steps.passed) < 20:
            await asyncio.sleep(0.01)
        assert (await client("POST", f"/v1/runs/{run}/cancel")).status == 202
        found = await client.ended(run)
        assert (await client("POST", f"/v1/runs/{run}/cancel")).status == 200
        assert found["state"] == "cancelled"
        assert found["counts"]["completed"] == len(Path("p.jsonl").read_text().splitlines()) == 20
        steps.after = 1000
        assert (await client.ended(await client.start()))["state"] == "completed"
    ids = [json.loads(line)["doc_id"] for line in Path("p.jsonl").read_text().splitlines()]
    assert len(ids) == len({*ids}) == 60


async def test_an_idempotency_key_starts_one_run(folder):
    """The same key returns the same run, also from another server; for another pipeline it is refused."""
    write_pipeline("q")
    key = {"idempotency_key": "k-1"}
    async with serving("p.toml", "q.toml", limits=Limits(runs=1)) as client:
        run = await client.start(**key)
        again = await client("POST", "/v1/runs", {"pipeline": "p"}, **key)
        other = await client("POST", "/v1/runs", {"pipeline": "q"}, **key)
        await client.ended(run)
    async with serving("p.toml", "q.toml") as client:
        later = await client("POST", "/v1/runs", {"pipeline": "p"}, **key)
        runs = (await client("GET", "/v1/runs")).json["runs"]
    assert (again.status, again.json["id"]) == (later.status, later.json["id"]) == (200, run)
    assert other.status == 409
    assert len(runs) == 1


async def test_what_cannot_start_says_why(folder, steps):
    """A pipeline runs once at a time, a limited number run at all, and one that prints can only be streamed."""
    write_pipeline("p", 'process = ["http_steps:held"]', "grace = 0.1")
    write_pipeline("q")
    write_pipeline("out", to="-")
    async with serving("p.toml", "q.toml", "out.toml", limits=Limits(runs=1)) as client:

        async def refused(pipeline):
            answer = await client("POST", "/v1/runs", {"pipeline": pipeline})
            return answer.status, answer.json["type"].rpartition(":")[2]

        run = await client.start()
        answer = await client("POST", "/v1/runs", {"pipeline": "p"})
        assert (answer.status, answer.json["run"]) == (409, run)
        assert await refused("q") == (429, "too-many-runs")
        assert await refused("out") == (409, "stream-only")
        assert await refused("no") == (404, "no-such-pipeline")


async def test_a_run_that_fails_says_why_without_secrets(folder, monkeypatch):
    """The reason of a failure is shown, with the name of a variable in place of its value."""
    monkeypatch.setenv("SECRET_PLACE", "s3cret-place")
    write_pipeline("p", source="${SECRET_PLACE}.xml")
    monkeypatch.setattr("penstock.redact._concealed", {})
    async with serving("p.toml") as client:
        found = await client.ended(await client.start())
    assert found["state"] == "failed"
    assert "${SECRET_PLACE}" in found["reason"]
    assert "s3cret" not in json.dumps(found)


async def test_old_runs_and_old_events_are_forgotten(folder):
    """Retention: so many runs, and so many bytes of events each. A number that is gone is a clear answer."""
    limits = Limits(kept_runs=2, run_bytes=40_000)
    write_sample_again()
    async with serving("p.toml", limits=limits) as client:
        runs = []
        for _ in range(3):
            runs.append(await client.start())
            found = await client.ended(runs[-1])
        listed = (await client("GET", "/v1/runs")).json["runs"]
        first = await client("GET", f"/v1/runs/{runs[1]}/events", last_event_id="1")
        assert (await client("GET", f"/v1/runs/{runs[0]}")).status == 404
    assert [run["id"] for run in listed] == [runs[2], runs[1]]
    assert found["state"] == "completed"
    assert first.status in {200, 410}


def write_sample_again():
    """Let every run read everything."""
    write_pipeline("p", "skip_completed = false")


@pytest.mark.parametrize("resume", [True, False])
async def test_a_server_that_stops_leaves_runs_to_the_next_one(folder, steps, resume):
    """The next server continues the run, with the next number, or shows it as interrupted."""
    write_pipeline("p", 'process = ["http_steps:held"]', "grace = 0.1")
    steps.after = 20
    async with serving("p.toml") as client:
        run = await client.start()
        while len(steps.passed) < 20:
            await asyncio.sleep(0.01)
    steps.after = 1000
    async with serving("p.toml", resume=resume) as client:
        if not resume:
            found = (await client("GET", f"/v1/runs/{run}")).json
            assert (found["state"], found["restarts"]) == ("interrupted", 0)
            return
        stream = await client.open("GET", f"/v1/runs/{run}/events")
        async with stream:
            events = [event async for event in stream.events()]
        found = (await client("GET", f"/v1/runs/{run}")).json
    assert (found["state"], found["restarts"]) == ("completed", 1)
    assert [event.id for event in events] == [*range(1, found["events"]["last"] + 1)]
    states = [event.json["new_state"] for event in events if event.type == "AdapterStateChange"]
    assert states == ["running", "cancelled", "completed"]
