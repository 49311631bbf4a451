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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.errors import WorkerDied
from penstock.system import close_all
from penstock.system.forking import FATE, FORKED, REFUSED
from penstock.system.frames import LENGTH, framed
from penstock.system.processes import BUFFER, Process, cause, last_words
from penstock.system.threads import to_the_end

if TYPE_CHECKING:
    import subprocess
    from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Early:
    """A process that forks, started before this process could use it: it imports meanwhile.

    Args:
        process: The process; its answers come from its standard output.
        control: The socket whose other end is its standard input.
        log: Where its standard error goes.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    log: BinaryIO


offered: dict[str, Early] = {}
"""By the program: what the next run may take instead of starting a process."""


class Taken:
    """An `Early` that a run has taken, as `Process`."""

    def __init__(self, early: Early) -> None:
        self._early = early
        self._answers = asyncio.StreamReader(limit=BUFFER)
        self._connected = False

    async def start(self) -> None:
        """Listen to its answers."""
        await _listen(self._answers, self._early.process.stdout)
        self._connected = True

    async def receive(self) -> bytes:
        """See ``Process.receive``."""
        try:
            return await _next_frame(self._answers)
        except (asyncio.IncompleteReadError, ConnectionError):
            code = self._early.process.wait()
        raise WorkerDied(f"died ({cause(code)}){last_words(self._early.log)}")

    def kill(self) -> None:
        """End it at once. Idempotent."""
        self._early.process.kill()

    async def gone(self) -> None:
        """Wait for its end, and close the pipes."""
        while self._connected and await self._answers.read(BUFFER):
            pass
        self._early.process.wait()
        self._early.log.close()


async def _listen(answers: asyncio.StreamReader, pipe: object) -> None:
    protocol = asyncio.StreamReaderProtocol(answers)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)


async def _next_frame(answers: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await answers.readexactly(LENGTH), "big")
    return await answers.readexactly(size)


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
            await _listen(self._answers, os.fdopen(back, "rb", 0))
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
            return await _next_frame(self._answers)
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
        modules: Names of modules that workers import, and that the process that forks them imports before.
    """

    def __init__(self, forker: str, program: str, modules: list[str]) -> None:
        self._forker = forker
        self._program = program
        self._modules = modules
        self._forks = sys.platform == "linux"
        self._mother: Process | Taken | None = None
        self._control: socket.socket | None = None
        self._one_at_a_time = asyncio.Lock()
        self._all: list[Process | Taken | Forked] = []

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
        try:
            if self._control is None and not await self._bear():
                return None
            return await self._child()
        except WorkerDied:
            self._forget()
            raise

    async def _bear(self) -> bool:
        """Start the process that forks, or take the one that has started. Return whether it can."""
        early = offered.pop(self._forker, None)
        if early is not None:
            control, theirs = early.control, None
            mother: Process | Taken = Taken(early)
        else:
            control, theirs = socket.socketpair()
            mother = Process(self._forker, stdin=theirs.fileno())
        self._mother = mother
        self._all.append(mother)
        try:
            try:
                await mother.start()
            finally:
                if theirs is not None:
                    theirs.close()
            with suppress(ConnectionError):  # it has died, as ``receive`` says
                control.sendall(framed(" ".join(self._modules).encode()))
            self._forks = await mother.receive() != REFUSED
        except BaseException:
            control.close()
            raise
        if not self._forks:
            control.close()
            return False
        self._control = control
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
            if not isinstance(worker, Forked) and worker is not mother:
                worker.kill()

    async def gone(self) -> None:
        """Wait for the end of all workers, and close the pipes. Idempotent."""
        everyone, self._all = self._all, []
        await close_all([worker.gone for worker in everyone])
