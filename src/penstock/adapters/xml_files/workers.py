"""Files parsed by processes of their own, several at a time.

The processes are started afresh (``spawn``, not ``fork``), read only what they are asked for, a page or two
ahead, and end with the pipe to their parent: if that is killed, they are not left behind.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from penstock.adapters.xml_files.frames import More, Open, Parsed, decode_answer, encode, thaw
from penstock.adapters.xml_files.reading import Reading
from penstock.errors import SourceError, WorkerDied
from penstock.system.processes import Process
from penstock.system.threads import to_the_end

if TYPE_CHECKING:
    from penstock.adapters.xml_files.frames import Answer
    from penstock.adapters.xml_files.inventory import InputFile
    from penstock.document import RawRecord

__all__ = ["RemoteReading", "Workers"]

AHEAD = 2
"""Pages that a process may parse before they are asked for."""

_PROGRAM = "from penstock.adapters.xml_files.worker import main; main()"


class Workers:
    """The processes of one run: started when needed, used again, ended together.

    Args:
        kind: The class of the source, importable by name.
        options: The keyword arguments that make an equal one, as JSON.
    """

    def __init__(self, kind: type, options: dict[str, Any]) -> None:
        self._description = json.dumps([kind.__module__, kind.__qualname__, options])
        self._idle: list[Worker] = []
        self._all: list[Worker] = []

    async def get(self) -> Worker:
        """Return a process that has nothing to do."""
        if self._idle:
            return self._idle.pop()
        worker = Worker(self._description)
        self._all.append(worker)  # known before it runs: whatever happens, it is ended
        await worker.start()
        return worker

    def put(self, worker: Worker) -> None:
        """Give a process back that is done with its file."""
        self._idle.append(worker)

    async def aclose(self) -> None:
        """End all processes, whatever they are doing, and wait until they are gone. Idempotent."""
        await to_the_end(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        workers, self._all = self._all, []
        for worker in workers:
            worker.kill()
        for worker in workers:
            await worker.gone()


class Worker:
    """One process that parses, and what is asked of it."""

    def __init__(self, description: str) -> None:
        self._process = Process(_PROGRAM, description)

    async def start(self) -> None:
        """Start the process."""
        await self._process.start()

    def send(self, *questions: Open | More) -> None:
        """Ask."""
        self._process.send(*map(encode, questions))

    async def receive(self) -> Answer:
        """Wait for the next answer.

        Raises:
            SourceError: the process died.
        """
        try:
            return decode_answer(await self._process.receive())
        except WorkerDied as error:
            raise SourceError(f"the process that parses it {error}") from error

    def kill(self) -> None:
        """End the process at once. Idempotent."""
        self._process.kill()

    async def gone(self) -> None:
        """Wait for its end. Idempotent."""
        await self._process.gone()


class RemoteReading(Reading):
    """A file read and parsed by another process; a page of it is always asked for before it is wanted.

    Args:
        file: The file.
        workers: Where to get a process.
        start: The record to begin at.
        first: The size of the first page.
        count: The size of the others.
    """

    def __init__(self, file: InputFile, workers: Workers, start: int, first: int, count: int) -> None:
        self.file = file
        self.start = self.index = start
        self.seen = self.consumed = 0
        self.finished = False
        self._question = Open(file.name, file.path, start, first, count)
        self._workers = workers
        self._worker: Worker | None = None
        self._page: Parsed | None = None
        self._error: Exception | None = None

    async def begin(self) -> None:
        """Get a process and tell it what to do."""
        self._worker = await self._workers.get()
        self._worker.send(self._question, *[More()] * AHEAD)

    async def ready(self) -> None:
        """Wait for the next page."""
        if self._error is None and self._page is None and self._worker is not None:
            try:
                answer = await self._worker.receive()
            except SourceError as error:
                self._error = SourceError(f"{self.file.path} cannot be read on: {error}")
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
                f"parsing {self.file.path} in another process failed: {answer.message}"
            )
            self._error.add_note(answer.crash)
        else:
            self._error = SourceError(answer.message)

    def take(self) -> list[RawRecord]:
        """Take the page, and ask for one more."""
        page, self._page = self._page, None
        if page is None:
            return []
        self.index += len(page.rows)
        self.finished = page.finished
        if not self.finished and self._worker is not None:
            self._worker.send(More())
        return [thaw(row) for row in page.rows]

    async def aclose(self) -> None:
        """Give the process back if it is done; `Workers.aclose` ends it otherwise. Idempotent."""
        worker, self._worker = self._worker, None
        if worker is not None and self.finished:
            self._workers.put(worker)
