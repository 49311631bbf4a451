"""The HTTP server under load: one client that reads as fast as it can, 500 clients of a live run, 100 that stop reading.

The server is a process of its own, on this machine, over real sockets. The clients are one more process, which counts
bytes, events and ids, and parses nothing: it must not be the one that is measured. So two processors are enough.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psutil
from events import Trivial
from harness import Row

from penstock import Document, DocumentCompleted, DocumentStarted, IngestionPipeline, RawRecord
from penstock.abc import JSON, Page
from penstock.adapters import Adapter
from penstock.http import Limits, application
from penstock.http.ending import EndingServer
from penstock.http.journal import Journal
from penstock.http.records import Record
from penstock.http.server import _allow_files, listener_at
from penstock.sinks import MemorySink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from multiprocessing.connection import Connection

TITLE = "The HTTP server"
STORED = 250_000
RATE = 100
SECONDS = 10
CLIENTS = 500
MANY = 1_000
STALLED = 100
TEXT = "x" * 2_000


class Paced(Trivial):
    """50 documents a second, so 100 events, each as large as an abstract."""

    def __init__(self, documents: int, rate: float, text: str) -> None:
        super().__init__(1000)
        self.documents = documents
        self.rate = rate
        self.text = text

    async def fetch(self, position: JSON) -> AsyncIterator[Page[RawRecord]]:
        began = time.monotonic()
        for n in range(position or 0, self.documents):
            await asyncio.sleep(max(0.0, began + n / self.rate - time.monotonic()))
            yield Page([RawRecord(f"T:{n}", b"")], n + 1)

    def parse(self, raw: RawRecord) -> Any:
        from expression import Ok

        return Ok(Document(doc_id=raw.key, source="trivial", content=self.text))


@dataclass
class Model:
    """What the server reads of the model of a file."""

    grace: float = 1.0
    key: str = "key"
    columns: None = None
    raw: bool = False


class Made:
    """A pipeline that no file describes, as the server uses it."""

    outputs: ClassVar[tuple[str, ...]] = ("memory",)
    ledger: ClassVar[None] = None
    model: ClassVar[Model] = Model()

    def __init__(self, source: Any) -> None:
        self.source = source
        self.adapter = source

    def build(self, hooks: Any = ()) -> Any:
        class Built:
            pipeline = IngestionPipeline(Adapter(self.source), hooks=hooks, progress_every=1000)

        return Built

    def sink(self) -> Any:
        return Forgetful()


class Forgetful(MemorySink):
    """Keeps nothing."""

    async def write(self, documents: Any) -> None:
        pass


def run_server(folder: Path, started: Connection) -> None:
    """Serve a run that has ended, and two that are slow; send the port."""
    record = Record(id="stored", pipeline="stored", kind="run", state="completed", created_at=0.0)
    record.save(folder / "runs" / "stored")

    async def store() -> None:
        journal = Journal(folder / "runs" / "stored" / "events", 1 << 40)
        journal.open()
        document = Document(doc_id="T:0", source="trivial")
        for n in range(0, STORED, 200):
            events = []
            for k in range(n, n + 200, 2):
                events.append(DocumentStarted(time.time(), "run", f"T:{k}", "trivial"))
                events.append(DocumentCompleted(time.time(), "run", f"T:{k}", "trivial", document, 0.001))
            journal.append(events)
        journal.end()
        journal.close()

    asyncio.run(store())
    import uvicorn

    limits = Limits(requests=1e6)
    files: Any = {
        "few": Made(Paced(RATE * SECONDS // 2, RATE / 2, "")),
        "large": Made(Paced(RATE * SECONDS // 2, RATE / 2, TEXT)),
        "fast": Made(Trivial(STORED // 5)),
    }
    app = application(files, state=folder, limits=limits)
    _allow_files(10_000)
    listener = listener_at("127.0.0.1", 0, limits)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
    EndingServer(config, app.state.penstock, lambda: started.send(listener.getsockname()[1])).run([listener])


def ask(port: int, method: str, path: str, data: Any = None) -> Any:
    """Return the JSON of an answer."""
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    body = None if data is None else json.dumps(data)
    connection.request(method, path, body, {"content-type": "application/json"})
    return json.loads(connection.getresponse().read())


def read_all(port: int, run: str) -> tuple[int, float]:
    """Read a stream with one client as fast as possible; return how many events came, and the seconds."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(
            f"GET /v1/runs/{run}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        count, rest, began = 0, b"", time.perf_counter()
        while data := connection.recv(1 << 20):
            data = rest + data
            count += data.count(b"\nevent: ")
            rest = data[-7:]
        return count, time.perf_counter() - began


class Reader(asyncio.Protocol):
    """One of many clients: counts events, and checks that their ids have no gap."""

    def __init__(self, run: str, *, reads: bool = True) -> None:
        self.run = run
        self.reads = reads
        self.count = 0
        self.last = 0
        self.gaps = 0
        self.late: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            f"GET /v1/runs/{self.run}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        if not self.reads:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        *blocks, self.rest = (self.rest + data).split(b"\n\n")
        found = re.findall(rb"id: (\d+)\nevent", b"\n\n".join(blocks))
        for number in map(int, found):
            self.gaps += number != self.last + 1
            self.last = number
        self.count += len(found)
        if found and (stamps := re.findall(rb'"timestamp":([\d.]+)', blocks[-1])):
            self.late.append(time.time() - float(stamps[-1]))

    def connection_lost(self, _: Any) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def crowd(
    port: int, pipeline: str, clients: int, stalled: int, server: psutil.Process
) -> dict[str, Any]:
    """Let many clients read a live run, of which some read nothing; return what they saw."""
    loop = asyncio.get_running_loop()
    run = (await asyncio.to_thread(ask, port, "POST", "/v1/runs", {"pipeline": pipeline}))["id"]
    cpu = sum(server.cpu_times()[:2])
    readers = []
    for n in range(clients):
        _, reader = await loop.create_connection(
            lambda n=n: Reader(run, reads=n >= stalled), "127.0.0.1", port
        )  # type: ignore[misc]
        readers.append(reader)
    await asyncio.sleep(0.5)
    memory, began = server.memory_info().rss, time.perf_counter()
    await asyncio.gather(*(reader.done for reader in readers if reader.reads))
    found = {
        "grown": (server.memory_info().rss - memory) / 2**20,
        "seconds": time.perf_counter() - began,
        "cpu": sum(server.cpu_times()[:2]) - cpu,
        "counts": {reader.count for reader in readers if reader.reads},
        "gaps": sum(reader.gaps for reader in readers),
        "late": sorted(late for reader in readers for late in reader.late),
        "last": (await asyncio.to_thread(ask, port, "GET", f"/v1/runs/{run}"))["events"]["last"],
    }
    for reader in readers:
        reader.transport.abort()
    return found


def rows() -> list[Row]:
    """Return the measured rows."""
    _allow_files(10_000)
    ours, theirs = get_context("spawn").Pipe()
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        server = get_context("spawn").Process(target=run_server, args=(Path(folder), theirs))
        server.start()
        try:
            port, process = ours.recv(), psutil.Process(server.pid)
            for _ in range(3):
                count, seconds = read_all(port, "stored")
                assert count == STORED, count
            found.append(
                _row(
                    "one client, stored events",
                    f"{count / seconds:,.0f} events/s",
                    ">= 50,000",
                    count / seconds >= 50_000,
                )
            )
            live = ask(port, "POST", "/v1/runs", {"pipeline": "fast"})["id"]
            count, seconds = read_all(port, live)
            fast = f"{count / seconds:,.0f} events/s, with the run in the same process"
            found.append(Row("one client, a run as fast as it can", fast, "", "", "", None))
            seen = asyncio.run(crowd(port, "few", CLIENTS, 0, process))
            whole = seen["counts"] == {seen["last"]} and not seen["gaps"]
            late = seen["late"][len(seen["late"]) * 99 // 100]
            told = f"lost {'none' if whole else 'some'}, p99 {late * 1000:.0f} ms late, {seen['cpu'] / seen['seconds']:.2f} processors"
            found.append(_row(f"{CLIENTS} clients, {RATE} events/s each", told, "lose none", whole))
            seen = asyncio.run(crowd(port, "large", MANY, STALLED, process))
            whole = seen["counts"] == {seen["last"]} and not seen["gaps"]
            told = f"RSS +{seen['grown']:.1f} MB, the others lost {'none' if whole else 'some'}"
            found.append(
                _row(
                    f"{MANY} clients, {STALLED} stop reading", told, "<= 50 MB", whole and seen["grown"] <= 50
                )
            )
        finally:
            server.terminate()
            server.join()
    return found


def _row(what: str, ours: str, target: str, met: bool) -> Row:  # noqa: FBT001
    return Row(what, ours, "", "", target, met)
