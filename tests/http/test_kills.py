"""A server that is killed and started again, and a client that comes back at any instant."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

from penstock.adapters.pubmed.sample import write_sample

from ..cli.conftest import COMMAND, Penstock, environment  # noqa: TID252  tests are no installed package
from ..length import LONG  # noqa: TID252
from .conftest import write_pipeline
from .serving import Client

RECONNECTS = int(os.environ.get("PENSTOCK_RECONNECTS", "200" if LONG else "12"))
SLOW = """
import asyncio
async def slow(document):
    await asyncio.sleep(0.002)
    return document
"""


class Server:
    """``penstock serve`` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = None
        self.client = Client(0)

    def start(self, *words: str, **more: str) -> None:
        """Start it, and wait for its port; ``more`` is added to its environment."""
        command = [str(COMMAND), "serve", "p.toml", "--port", "0", *words]
        more["PYTHONPATH"] = os.pathsep.join([environment()["PYTHONPATH"], "."])
        self._process = Penstock.server().start(command, self._folder, environment(**more))
        line = self._process.stderr.readline().decode()
        found = re.search(r":(\d+) ", line)
        assert found, line + self._process.stderr.read().decode()
        self.client.port = int(found[1])

    def end(self, number: int) -> int:
        """Send it a signal, and return its exit code."""
        self._process.send_signal(number)
        code = self._process.wait(60)
        self._process.stdout.close()
        self._process.stderr.close()
        return code


async def test_no_event_is_missing_or_comes_twice(folder):
    """Whenever the client or the server goes away, ``Last-Event-ID`` continues behind the last event that came.

    The run of the killed server goes on in the next one, and its output is that of an undisturbed run.
    """
    seeded = random.Random(RECONNECTS)
    write_sample("sample.xml", 40 * RECONNECTS // 2)
    Path("http_slow.py").write_text(SLOW)
    write_pipeline("p", 'process = ["http_slow:slow"]', "checkpoint_every = 20", "progress_every = 10")
    server, came, kills = Server(folder), [], 0
    server.start()
    run = await server.client.start()
    for _ in range(RECONNECTS):
        wanted = seeded.randrange(1, 40)
        await read(server.client, run, came, wanted)
        if seeded.random() < 0.25:
            server.end(9)
            kills += 1
            server.start()
    await read(server.client, run, came, None)
    found = (await server.client("GET", f"/v1/runs/{run}")).json
    every = (await server.client("GET", f"/v1/runs/{run}/events", accept="application/x-ndjson")).body
    assert server.end(15) == 0
    assert kills > 1
    assert (found["state"], found["restarts"]) == ("completed", kills)
    assert [event.id for event in came] == [*range(1, found["events"]["last"] + 1)]
    assert [event.data for event in came] == every.decode().splitlines()
    written = [json.loads(line)["doc_id"] for line in Path("p.jsonl").read_text().splitlines()]
    assert len(written) == len({*written}) == 40 * RECONNECTS // 2


async def read(client, run, came, wanted):
    """Read so many events behind those that came, or all, and leave at once."""
    last = {"last_event_id": str(came[-1].id)} if came else {}
    stream = await client.open("GET", f"/v1/runs/{run}/events", **last)
    async with stream:
        assert stream.status == 200
        async for event in stream.events():
            came.append(event)
            wanted = None if wanted is None else wanted - 1
            if wanted == 0:
                break
