"""Workers that one process forks for us, so that each starts at once. Elsewhere than on Linux: new processes.

The process that forks has one thread and runs nothing but ``system/forking.py``: this process, which may have
many threads, is never forked.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from penstock.errors import WorkerDied
from penstock.system import close_all
from penstock.system.forking import FATE, FORKED, REFUSED
from penstock.system.frames import LENGTH, framed
from penstock.system.processes import BUFFER, Process, cause, last_words
from penstock.system.threads import to_the_end

if TYPE_CHECKING:
    from typing import BinaryIO


class Forked:
    """One worker and the pipes to it, as `Process`."""

    def __init__(self) -> None:
        self._log: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115  closed with the pipes
        self._questions: asyncio.WriteTransport | None = None
        self._answers = asyncio.StreamReader(limit=BUFFER)
        self._connected = False

    async def connect(self) -> list[int]:
        """Make the pipes. Return the ends for the worker: questions, answers and log."""
        loop = asyncio.get_running_loop()
        theirs, ours = os.pipe()
        back, answers = os.pipe()
        try:
            self._questions, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(ours, "wb", 0))
            protocol = asyncio.StreamReaderProtocol(self._answers)
            await loop.connect_read_pipe(lambda: protocol, os.fdopen(back, "rb", 0))
        except BaseException:
            os.close(theirs)
            os.close(answers)
            raise
        self._connected = True
        return [theirs, answers, self._log.fileno()]

    def send(self, *bodies: bytes) -> None:
        """Ask; the pipe buffers what the worker has not read yet."""
        if self._questions is not None:
            self._questions.write(b"".join(map(framed, bodies)))

    async def receive(self) -> bytes:
        """Wait for the next answer.

        Raises:
            WorkerDied: there will be none; the message says how it ended and the last line it printed.
        """
        try:
            size = int.from_bytes(await self._answers.readexactly(LENGTH), "big")
            return await self._answers.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerDied(f"died ({self._cause()}){last_words(self._log, FATE)}") from None

    def _cause(self) -> str:
        self._log.seek(0)
        _, _, status = self._log.read().rpartition(FATE)
        if not status.isdigit():
            return "with the process that had forked it"
        return cause(os.waitstatus_to_exitcode(int(status)))

    async def gone(self) -> None:
        """Wait for its end, and close the pipes. The process that forked it has been told to end it."""
        if self._questions is not None:
            self._questions.close()
        while self._connected and await self._answers.read(BUFFER):
            pass
        self._log.close()


class Workers:
    """Starts workers, and ends all that it has started.

    Args:
        forker: The program that forks, see ``system/forking.py``.
        program: The program of a worker that is started afresh, where none can be forked.
        modules: Names of modules that workers import; they are the arguments of ``forker``.
    """

    def __init__(self, forker: str, program: str, modules: list[str]) -> None:
        self._forker = forker
        self._program = program
        self._modules = modules
        self._forks = sys.platform == "linux"
        self._mother: Process | None = None
        self._control: socket.socket | None = None
        self._one_at_a_time = asyncio.Lock()
        self._all: list[Process | Forked] = []

    async def start(self) -> Process | Forked:
        """Start a worker.

        Raises:
            WorkerDied: it cannot be started.
        """
        try:
            async with self._one_at_a_time:
                if self._forks and (worker := await self._fork()) is not None:
                    return worker
            fresh = Process(self._program)
            self._all.append(fresh)  # before it starts, so that it is ended in any case
            await fresh.start()
        except OSError as error:
            raise WorkerDied(f"cannot be started: {error}") from error
        return fresh

    async def _fork(self) -> Forked | None:
        """Return a worker; ``None`` if none can be forked, for an import has started a thread."""
        if self._control is not None:
            with suppress(WorkerDied):  # it has died since the last fork: start another one
                return await self._child()
            self._forget()
        try:
            return await self._child() if await self._bear() else None
        except WorkerDied:
            self._forget()
            raise

    async def _bear(self) -> bool:
        """Start the process that forks. Return whether it can."""
        ours, theirs = socket.socketpair()
        self._mother = mother = Process(self._forker, *self._modules, stdin=theirs.fileno())
        self._all.append(mother)
        with theirs:
            try:
                await mother.start()
                self._forks = await mother.receive() != REFUSED
            except BaseException:
                ours.close()
                raise
        if not self._forks:
            ours.close()
            return False
        self._control = ours
        return True

    async def _child(self) -> Forked:
        assert self._mother is not None  # noqa: S101
        assert self._control is not None  # noqa: S101
        worker = Forked()
        self._all.append(worker)
        pipes = await to_the_end(asyncio.ensure_future(worker.connect()))
        try:
            socket.send_fds(self._control, [b"f"], pipes)
        except ConnectionError:
            pass  # it has died, as ``receive`` says
        finally:
            for pipe in pipes[:2]:
                os.close(pipe)
        if await self._mother.receive() != FORKED:
            raise OSError("the system has no room for another process")
        return worker

    def _forget(self) -> None:
        """Let the process that forks end, with all that it has forked."""
        self._mother = None
        if self._control is not None:
            self._control.close()
            self._control = None

    def kill(self) -> None:
        """End all workers at once. Idempotent."""
        mother = self._mother if self._control is not None else None  # ends its children, then itself
        self._forget()
        for worker in self._all:
            if isinstance(worker, Process) and worker is not mother:
                worker.kill()

    async def gone(self) -> None:
        """Wait for the end of all workers, and close the pipes. Idempotent."""
        everyone, self._all = self._all, []
        await close_all([worker.gone for worker in everyone])
