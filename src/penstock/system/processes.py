"""Worker processes: started afresh, asked and answered by frames through pipes, ended for certain.

Each is a new interpreter, never a ``fork``: a fork of a process with threads takes locks along that nobody
will open. A worker ends with the pipe to its parent, so if that is
killed, none is left behind; a session of its own keeps a Ctrl-C for the parent from it. What it prints
goes to a file of which only the last line is read, when it died.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import WorkerDied
from penstock.system.frames import LENGTH, framed
from penstock.system.threads import starting_a_thread, to_the_end

if TYPE_CHECKING:
    from typing import BinaryIO

BUFFER = 4 * 1024 * 1024

_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "


def usable_cores() -> int:
    """Return how many processors this process may use, by its affinity and the quota of its control group."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """Return the processors that a container may use, rounded up (cgroup v2: ``cpu.max``)."""
    try:
        allowed, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return -(-int(allowed) // int(period))
    except (OSError, ValueError):  # no control group, or no limit: "max"
        return sys.maxsize


class Process:
    """One worker process and the pipes to it.

    Args:
        program: Python code, run with this process's ``sys.path``.
        arguments: Its ``sys.argv[2:]``.
        stdin: Its standard input, a file descriptor; by default a pipe for ``send``.
    """

    def __init__(self, program: str, *arguments: str, stdin: int = asyncio.subprocess.PIPE) -> None:
        self._program = program
        self._arguments = arguments
        self._stdin = stdin
        self._process: asyncio.subprocess.Process | None = None
        self._log: BinaryIO | None = None

    async def start(self) -> None:
        """Start it; if cancelled meanwhile, it is still known, so that ``gone`` ends it."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the pipes
        await to_the_end(asyncio.ensure_future(self._spawn(self._log)))

    async def _spawn(self, log: BinaryIO) -> None:
        with starting_a_thread():  # some event loops wait for a process in a thread
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _BOOT + self._program, json.dumps(sys.path), *self._arguments),
                stdin=self._stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=BUFFER,
                start_new_session=True,
            )

    def send(self, *bodies: bytes) -> None:
        """Ask; the pipe buffers what the worker has not read yet."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(b"".join(map(framed, bodies)))

    async def receive(self) -> bytes:
        """Wait for the next answer.

        Raises:
            WorkerDied: there will be none; the message says how it ended and the last line it printed.
        """
        process = self._process
        if process is None or process.stdout is None:
            raise WorkerDied("has been ended")
        try:
            size = int.from_bytes(await process.stdout.readexactly(LENGTH), "big")
            return await process.stdout.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await process.wait()
        raise WorkerDied(f"died ({cause(code)}){last_words(self._log)}")

    def kill(self) -> None:
        """End it at once. Idempotent."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def gone(self) -> None:
        """Wait for its end, and close the pipes. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            while process.stdout is not None and await process.stdout.read(BUFFER):
                pass
            await process.wait()
        if self._log is not None:
            self._log.close()


def last_words(log: BinaryIO | None, end: bytes = b"\0") -> str:
    """Return the last line of a log before ``end``, behind a colon; nothing if there is none."""
    if log is None:
        return ""
    log.seek(0)
    lines = log.read().partition(end)[0].decode(errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def cause(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-code}"
