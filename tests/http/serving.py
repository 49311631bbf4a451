"""A server of the tests, on a real socket, and a small client that reads events one by one."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import uvicorn

from penstock.http import Limits, application
from penstock.http.server import SEND_BUFFER, listener_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HURRY = 60
"""Seconds until an answer counts as missing; no test needs a tenth of it."""


class Event(NamedTuple):
    """One Server-Sent Event."""

    id: int | None
    type: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks a server at a port of this machine."""

    def __init__(self, port: int, token: str | None = None, prefix: str = "") -> None:
        self.port = port
        self._token = token
        self._prefix = prefix

    async def open(self, method: str, path: str, data: Any = None, **headers: str) -> Stream:
        """Send a request, and return the answer as a stream; ``last_event_id=`` is the header Last-Event-ID."""
        body = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()
        sent = {"host": f"127.0.0.1:{self.port}", "connection": "close"}
        if data is not None or method == "POST":
            sent |= {"content-type": "application/json", "content-length": str(len(body))}
        if self._token is not None:
            sent["authorization"] = f"Bearer {self._token}"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        connection = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio does not set TCP_NODELAY
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BUFFER)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=connection)
        writer.write(f"{method} {self._prefix}{path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        stream = Stream(reader, writer)
        async with asyncio.timeout(HURRY):
            await stream.begin()
        return stream

    async def __call__(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """Send a request, and return the whole answer."""
        stream = await self.open(method, path, data, **headers)
        async with stream, asyncio.timeout(HURRY):
            body = b"" if method == "HEAD" else b"".join([chunk async for chunk in stream.chunks()])
            return Answer(stream.status, stream.headers, body)

    async def start(self, pipeline: str = "p", **headers: str) -> str:
        """Start a run, and return its id."""
        answer = await self("POST", "/v1/runs", {"pipeline": pipeline}, **headers)
        assert answer.status == 201, answer.body
        return answer.json["id"]

    async def ended(self, run: str) -> dict[str, Any]:
        """Wait for the end of a run, and return it."""
        while True:
            stream = await self.open("GET", f"/v1/runs/{run}/events?tail=0")
            async with stream:
                async for _ in stream.events():
                    pass
            found = (await self("GET", f"/v1/runs/{run}")).json
            if found["state"] not in {"running", "stopping"}:
                return found


class Stream:
    """An answer that is read piece by piece."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}

    async def begin(self) -> None:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}

    async def chunks(self) -> AsyncIterator[bytes]:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            yield await self._reader.readexactly(int(self.headers.get("content-length", 0)))
            return
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]

    async def events(self) -> AsyncIterator[Event]:
        """Yield events until the stream ends; comments are left out. A broken connection ends it too."""
        rest = b""
        with suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            async for chunk in self.chunks():
                *blocks, rest = (rest + chunk).split(b"\n\n")
                for block in blocks:
                    fields = dict(
                        line.split(": ", 1) for line in block.decode().split("\n") if line[0] != ":"
                    )
                    if "data" in fields:
                        number = int(fields["id"]) if "id" in fields else None
                        yield Event(number, fields["event"], fields["data"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def listening(app: Any, lifespan: Any = "on") -> AsyncIterator[int]:
    """Serve an application with uvicorn at a free port of this machine; the port."""
    with listener_at("127.0.0.1", 0, Limits()) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan=lifespan, log_level="error"))
        task = asyncio.ensure_future(server.serve([listener]))
        while not server.started and not task.done():
            await asyncio.sleep(0.01)
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            await task


@asynccontextmanager
async def serving(*files: Any, token: str | None = None, **options: Any) -> AsyncIterator[Client]:
    """Serve pipeline files; a client for them."""
    app = application(files, token=token, **options)
    async with app.state.penstock, listening(app, "off") as port:
        yield Client(port, token)
