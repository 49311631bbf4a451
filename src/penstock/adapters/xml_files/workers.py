"""Files parsed by other processes, several at a time.

The processes are new interpreters (``spawn``, not ``fork``). They parse a page or two ahead of the demand.
They end when the pipe to their parent closes, so none of them survives a parent that was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from penstock.adapters.xml_files.frames import More, Open, Parsed, decode_answer, encode
from penstock.adapters.xml_files.reading import Reading
from penstock.errors import SourceError, WorkerDied
from penstock.system.processes import Process
from penstock.system.threads import to_the_end

if TYPE_CHECKING:
    from penstock.adapters.xml_files.frames import Answer
    from penstock.adapters.xml_files.inventory import InputFile
    from penstock.document import RawRecord

AHEAD = 2
"""Pages that a process may parse before they are requested."""

_PROGRAM = "from penstock.adapters.xml_files.worker import main; main()"


class Workers:
    """The processes of one run: started when needed, reused, and ended together.

    Args:
        kind: The class of the source, importable by name.
        options: The keyword arguments for an equal source, as JSON.
    """

    def __init__(self, kind: type, options: dict[str, Any]) -> None:
        self._description = json.dumps([kind.__module__, kind.__qualname__, options])
        self._idle: list[Process] = []
        self._all: list[Process] = []

    async def get(self) -> Process:
        """Return an idle process; start one if there is none."""
        if self._idle:
            return self._idle.pop()
        worker = Process(_PROGRAM, self._description)
        self._all.append(worker)  # before it starts, so that `aclose` always ends it
        await worker.start()
        return worker

    def put(self, worker: Process) -> None:
        """Return a process that has finished its file."""
        self._idle.append(worker)

    async def aclose(self) -> None:
        """Kill all processes and wait until they have ended. Idempotent."""
        await to_the_end(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        workers, self._all = self._all, []
        for worker in workers:
            worker.kill()
        for worker in workers:
            await worker.gone()


class RemoteReading(Reading):
    """A file read and parsed by another process, which is always a page ahead.

    Args:
        file: The file.
        workers: Where to get a process.
        start: The index of the first record to read.
        first: Records in the first page, at most.
        count: Records in each later page, at most.
    """

    def __init__(self, file: InputFile, workers: Workers, start: int, first: int, count: int) -> None:
        self.file = file
        self.start = self.index = start
        self.seen = self.consumed = 0
        self.finished = False
        member = None if file.member is None else astuple(file.member)
        self._question = Open(file.name, file.path, member, start, first, count)
        self._workers = workers
        self._worker: Process | None = None
        self._page: Parsed | None = None
        self._error: Exception | None = None

    async def begin(self) -> None:
        """Get a process and request the first pages."""
        self._worker = await self._workers.get()
        self._worker.send(encode(self._question), *[encode(More())] * AHEAD)

    async def ready(self) -> None:
        """Wait for the next page."""
        if self._error is None and self._page is None and self._worker is not None:
            try:
                answer = decode_answer(await self._worker.receive())
            except WorkerDied as error:
                message = f"{self.file.place} cannot be read further: the process that parses it {error}"
                self._error = SourceError(message)
                self._error.__cause__ = error
            else:
                self._accept(answer)
        if self._error is not None:
            raise self._error

    def _accept(self, answer: Answer) -> None:
        if isinstance(answer, Parsed):
            self._page = answer
            self.seen, self.consumed = answer.seen, answer.consumed
            self.finished = answer.finished and not answer.rows
        elif answer.crash:
            self._error = RuntimeError(
                f"parsing {self.file.place} in another process failed: {answer.message}"
            )
            self._error.add_note(answer.crash)
        else:
            self._error = SourceError(answer.message)
            if answer.number:
                self._error.__cause__ = OSError(answer.number, os.strerror(answer.number))

    def take(self) -> list[RawRecord]:
        """Return the page and request one more."""
        page, self._page = self._page, None
        if page is None:
            return []
        self.index += len(page.rows)
        self.finished = page.finished
        if not self.finished and self._worker is not None:
            self._worker.send(encode(More()))
        return [*page.rows]

    async def aclose(self) -> None:
        """Return the process if the file is finished; otherwise `Workers.aclose` ends it. Idempotent."""
        worker, self._worker = self._worker, None
        if worker is not None and self.finished:
            self._workers.put(worker)
