"""Streams the events of a run to one client, at the pace of the client."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from starlette.responses import Response

from penstock.http.frames import SSE, Form
from penstock.http.journal import Gone
from penstock.http.problems import Problem
from penstock.http.runs import CLIENT_LEFT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

    from penstock.http.runs import Run
    from penstock.http.service import Service

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}


def gone(run: Run, number: int) -> Problem:
    """Return the problem of a client that wants to continue where nothing is any more."""
    journal = run.journal
    detail = (
        f"event {number} of this run is not kept: there are {journal.first} to {journal.last}. Begin again "
        f"without Last-Event-ID, or with after={journal.first - 1}"
    )
    return Problem(410, "events-gone", detail, first=journal.first, last=journal.last)


class EventStream(Response):
    """The events of a run from one number on, until it is over or the client leaves.

    Args:
        service: The server.
        run: The run; its journal is open.
        form: How the client wants the events.
        start: The number of the first event.
        bound: Whether the run belongs to this connection: it takes turns with the client, and ends with it.
    """

    def __init__(self, service: Service, run: Run, form: Form, start: int, *, bound: bool = False) -> None:
        super().__init__(
            headers={
                **HEADERS,
                "Penstock-Run": run.record.id,
                "Penstock-First-Event": str(start),
            },
            media_type=form.media_type,
        )
        del self.headers["content-length"]
        self._service = service
        self._run = run
        self._form = form
        self._start = start
        self._bound = bound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client leaves."""
        del scope
        self._service.streams += 1
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            self._service.streams -= 1
            for task in (sending, leaving):
                task.cancel()
            if self._bound:
                self._run.abandon(CLIENT_LEFT)
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        idle = self._service.limits.idle_seconds
        chunks = self._chunks()
        try:
            async for chunk in chunks:
                async with asyncio.timeout(idle):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            pass  # the client takes nothing: the server closes the connection of an unfinished answer
        finally:
            await chunks.aclose()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        service, run, form, number = self._service, self._run, self._form, self._start
        journal, beat = run.journal, service.limits.heartbeat_seconds
        yield form.opening
        while not service.stopping.is_set():
            try:
                while (number := journal.place(number)) <= journal.visible:
                    chunk, number = service.frames.chunk(journal, number, form)
                    if chunk:
                        yield chunk
                    if run.turns is not None and self._bound:
                        run.turns.sent(number - 1)
            except Gone:
                yield self._problem(gone(run, number))
                return
            if journal.over:
                return
            if not await journal.wait(number - 1, beat):
                yield form.heartbeat(number - 1)

    def _problem(self, problem: Problem) -> bytes:
        text = json.dumps(problem.document())
        return f"event: problem\ndata: {text}\n\n".encode() if self._form.media_type == SSE else b""


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
