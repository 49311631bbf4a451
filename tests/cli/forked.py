"""Run the command, or a script, again and again: import the library once, and fork for each call.

Starting Python and importing the command takes most of a second, a fork a few milliseconds. A call is a process of
its own all the same, with its own arguments, folder, environment, limits and standard streams. It commits every 100
documents instead of every 1,000, so that a short input has several commits.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import sys
import threading
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen, TimeoutExpired
from typing import IO, Any, Self

_LARGEST = 1 << 16
"""Bytes of a request or of an answer."""

_PIPE = 1 << 12
"""Bytes that a call may write before somebody reads them: the smallest pipe of Linux, about ten events."""

_EVERY = 100
"""Documents from one commit to the next."""

LIBRARIES = ["cyclopts.help", "rich.console", "rich.progress", "duckdb", "psycopg"]
"""Libraries that the command imports when it needs them. PyArrow starts a thread when it is imported: it is not here."""


class Running:
    """A call that may still be going on: the part of ``subprocess.Popen`` that the tests use."""

    def __init__(self, answers: socket.socket, stdout: IO[Any], stderr: IO[Any]) -> None:
        self._answers = answers
        self.stdout = stdout
        self.stderr = stderr
        self.stdin: IO[Any] | None = None
        self.returncode: int | None = None
        self.pid: int = json.loads(answers.recv(_LARGEST))

    def poll(self) -> int | None:
        """Return the exit code, or ``None`` if the process goes on."""
        try:
            return self.wait(0)
        except TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code."""
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                self.returncode = json.loads(self._answers.recv(_LARGEST))
            except (TimeoutError, BlockingIOError):
                raise TimeoutExpired("penstock", timeout or 0) from None
            self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def in_text(self) -> Any:
        """Read and write text instead of bytes from now on."""
        self.stdout, self.stderr = TextIOWrapper(self.stdout), TextIOWrapper(self.stderr)
        self.stdin = self.stdin and TextIOWrapper(self.stdin)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()

    def communicate(self, timeout: float | None = None) -> tuple[Any, Any]:
        """Close standard input, read both streams to their ends, wait for the end, and return what was read."""
        if self.stdin is not None:
            with suppress(BrokenPipeError):
                self.stdin.close()
        readers = [_Reader(stream) for stream in (self.stdout, self.stderr)]
        self.wait(timeout)
        stdout, stderr = (reader.all() for reader in readers)
        return stdout, stderr


class _Reader(threading.Thread):
    """Reads a stream to its end."""

    def __init__(self, stream: IO[Any]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._read: Any = b""
        self.start()

    def run(self) -> None:
        if not self._stream.closed:
            with self._stream as stream:
                self._read = stream.read()

    def all(self) -> bytes:
        self.join()
        return self._read


class Forks:
    """The process that has imported the command, seen from the tests."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=environment,
                stdin=DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(
        self,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        limits: dict[str, int] | None = None,
        *,
        stdin: bool = False,
    ) -> Running:
        """Start ``command`` in a session of its own; ``limits`` are names of ``resource`` and their values.

        The first word is ``-c`` before code, the path of a script, or that of the command. With ``stdin`` the process
        gets a pipe as its standard input.
        """
        request = {
            "command": command,
            "folder": str(folder),
            "environment": environment,
            "limits": limits or {},
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        streams, ends = zip(*(os.pipe() for _ in range(2)), strict=True)
        fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, _PIPE)
        read, write = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
        socket.send_fds(self._ours, [json.dumps(request).encode()], [read, *ends, theirs.fileno()])
        theirs.close()
        for end in (read, *ends):
            os.close(end)
        running = Running(ours, os.fdopen(streams[0], "rb"), os.fdopen(streams[1], "rb"))
        running.stdin = None if write is None else os.fdopen(write, "wb")
        return running

    def run(
        self, command: list[str], folder: Path, environment: dict[str, str], patience: float, **limits: int
    ) -> CompletedProcess[str]:
        """Run ``command`` to its end, as ``subprocess.run`` does."""
        running = self.start(command, folder, environment, limits)
        stdout, stderr = running.communicate(patience)
        return CompletedProcess(command, running.wait(), stdout.decode(), stderr.decode())

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.kill()
        self._process.wait()


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, and answer with the process id and the exit code; in a fork, return the request."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _LARGEST, 4)
        if not message:
            return None
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            return None if _waits(*descriptors) else json.loads(message)
        for descriptor in descriptors:
            os.close(descriptor)


def _waits(stdin: int, stdout: int, stderr: int, answers: int) -> bool:
    """Fork again. Return False in the new process, and True when it has ended."""
    child = os.fork()
    if not child:
        os.setsid()
        os.close(answers)
        for number, stream in enumerate((stdin, stdout, stderr)):
            os.dup2(stream, number)
            os.close(stream)
        return False
    for stream in (stdin, stdout, stderr):
        os.close(stream)
    with socket.socket(fileno=answers) as told:
        told.send(json.dumps(child).encode())
        _, status = os.waitpid(child, 0)
        told.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
    return True


def import_everything() -> None:
    """Import what a call may import, except for PyArrow."""
    import penstock

    names = [found.name for found in pkgutil.walk_packages(penstock.__path__, "penstock.")]
    ours = [name for name in names if not name.startswith(("penstock.__main__", "penstock.testing"))]
    for name in [*ours, *LIBRARIES]:
        importlib.import_module(name)


def hurry() -> None:
    """Let pipelines commit more often than usual, and wait less for a ledger that is locked."""
    from penstock import IngestionPipeline
    from penstock.ledger.sqlite import connection

    connection._BUSY_SECONDS = 0.5
    IngestionPipeline.__init__.__kwdefaults__["checkpoint_every"] = _EVERY


def become(called: dict[str, Any]) -> None:
    """Take over what a new process gets from its parent."""
    os.environ.clear()
    os.environ.update(called["environment"])
    os.chdir(called["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes background processes ignore it
    sys.path[:0] = [
        place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place not in sys.path
    ]
    for name, most in called["limits"].items():
        limit = getattr(resource, name)
        resource.setrlimit(limit, (most, resource.getrlimit(limit)[1]))
    sys.argv = called["command"]


def run_python(command: list[str]) -> int:
    """Run a script, or the code behind ``-c``, as its own process would, and return the exit code."""
    if command[0] == "-c":
        code = command.pop(1)
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  the tests' own code
    else:
        runpy.run_path(command[0], run_name="__main__")
    return 0


def leave(code: int) -> None:
    """End as the interpreter does, but do not tear down its modules: that costs more than most calls."""
    threading._shutdown()
    atexit._run_exitfuncs()
    gc.collect()  # a file that nobody closed speaks only when it is collected
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    from penstock.cli.main import main

    if sys.argv[1].isdigit():
        import_everything()
        hurry()
        gc.freeze()
        with socket.socket(fileno=int(sys.argv[1])) as listening:
            request = serve(listening)
        if request is not None:
            become(request)
            leave(run_python(sys.argv) if sys.argv[0].endswith(("-c", ".py")) else main())
    else:  # called like the command, in a process that starts from nothing
        hurry()
        sys.exit(main())
