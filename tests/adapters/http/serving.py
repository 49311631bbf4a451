"""A server on a real socket that answers with the bytes it is told to, however broken they are."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class Request:
    """One request that arrived."""

    def __init__(self, head: bytes) -> None:
        lines = head.decode().split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)
        }


def answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """Return a complete answer; header names are written with ``_`` for ``-``."""
    given = {"content_length": str(len(body)), "content_type": "application/json", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def serving(
    reply: Callable[[Request], bytes | list[bytes] | Awaitable[bytes]],
) -> AsyncIterator[tuple[str, list[Request]]]:
    """Serve ``reply``; yield the URL and the requests so far. A connection ends with its answer.

    ``reply`` returns the answer, or a list of pieces that are sent 10 ms apart.
    """
    requests: list[Request] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = Request(await reader.readuntil(b"\r\n\r\n"))
            requests.append(request)
            said = reply(request)
            for piece in (
                said if isinstance(said, list) else [said if isinstance(said, bytes) else await said]
            ):
                writer.write(piece)
                await writer.drain()
                if isinstance(said, list):
                    await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}", requests
