"""``POST /v1/stream``: the pace of the client is the demand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from penstock.adapters.pubmed.sample import write_sample

from .conftest import write_pipeline
from .serving import serving

STREAM = {"pipeline": "p"}


async def test_a_stream_runs_the_pipeline_and_sends_its_events(folder):
    """The client gets all events, the output gets all documents, and the run is listed."""
    async with serving("p.toml") as client:
        stream = await client.open("POST", "/v1/stream", STREAM)
        async with stream:
            events = [event async for event in stream.events()]
        run = (await client("GET", f"/v1/runs/{stream.headers['penstock-run']}")).json
    assert [event.id for event in events] == [*range(1, len(events) + 1)]
    assert events[-1].json["new_state"] == "completed"
    assert (run["kind"], run["state"], run["events"]["last"]) == ("stream", "completed", len(events))
    assert len(Path("p.jsonl").read_text().splitlines()) == 60


async def test_a_pipeline_that_prints_goes_to_the_client_alone(folder):
    """Standard output stands for the client: no output is written, and lines of JSON come if they are wanted."""
    write_pipeline("p", to="-")
    async with serving("p.toml") as client:
        answer = await client(
            "POST", "/v1/stream?types=DocumentCompleted", STREAM, accept="application/x-ndjson"
        )
    documents = [json.loads(line)["document"] for line in answer.body.splitlines()]
    assert len({document["doc_id"] for document in documents}) == 60


async def test_a_client_that_stalls_holds_the_source(folder, steps):
    """While nobody reads, the run stands still within its bound; then it goes on to the end."""
    write_sample("sample.xml", 600)
    write_pipeline("p", 'process = ["http_steps:held"]')
    steps.after = 1_000_000
    async with serving("p.toml") as client:
        stream = await client.open("POST", "/v1/stream", STREAM)
        async with stream:
            before = -1
            while len(steps.passed) != before:  # the run goes on until all buffers are full
                before = len(steps.passed)
                await asyncio.sleep(0.2)
            assert before < 550
            waits_for = None
            while (
                waits_for != 2
            ):  # the output, which is the client, once it has stalled for longer than anything else
                await asyncio.sleep(0.1)
                run = (await client("GET", f"/v1/runs/{stream.headers['penstock-run']}")).json
                waits_for = run["graph"]["waits_for"]
            assert run["state"] == "running"
            count = sum([1 async for event in stream.events() if event.type == "DocumentCompleted"])
    assert count == len(steps.passed) == 600


async def test_a_client_that_leaves_ends_the_run(folder, steps):
    """The run of a closed connection is cancelled, its output is committed, and the next run continues."""
    write_pipeline("p", 'process = ["http_steps:held"]')
    steps.after = 20
    async with serving("p.toml") as client:
        stream = await client.open("POST", "/v1/stream", STREAM)
        async with stream:
            seen = 0
            async for event in stream.events():
                seen += event.type == "DocumentCompleted"
                if seen == 20:
                    break
        found = await client.ended(stream.headers["penstock-run"])
        assert (found["state"], found["reason"]) == ("cancelled", "the client closed the connection")
        steps.after = 1000
        assert (await client.ended(await client.start()))["state"] == "completed"
    ids = [json.loads(line)["doc_id"] for line in Path("p.jsonl").read_text().splitlines()]
    assert len(ids) == len({*ids}) == 60
