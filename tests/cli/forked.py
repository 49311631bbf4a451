"""Run the command again and again: import it once, and fork for each call.

Starting Python and importing the command takes most of a second, a fork a few milliseconds. A call is a process of
its own all the same, with its own arguments, folder, environment and standard streams.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import socket
import sys
import threading
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen
from typing import IO, Any

_LARGEST = 1 << 16
"""Bytes of a request or of an answer."""


class Forks:
    """The process that has imported the command, seen from the tests."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env=environment,
                stdin=DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self, command: list[str], folder: Path, environment: dict[str, str], patience: float
    ) -> CompletedProcess[str]:
        """Run ``command`` to its end, as ``subprocess.run`` does; a call that hangs ends all calls."""
        request = json.dumps({"command": command, "folder": str(folder), "environment": environment})
        streams, theirs = zip(*(os.pipe() for _ in range(2)), strict=True)
        socket.send_fds(self._ours, [request.encode()], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        readers = [
            _Reader(os.fdopen(descriptor, encoding="utf-8", errors="strict")) for descriptor in streams
        ]
        self._ours.settimeout(patience)
        code = json.loads(self._ours.recv(_LARGEST))
        stdout, stderr = (reader.text() for reader in readers)
        return CompletedProcess(command, code, stdout, stderr)

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.kill()
        self._process.wait()


class _Reader(threading.Thread):
    """Reads a stream to its end."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._text = ""
        self.start()

    def run(self) -> None:
        with self._stream as stream:
            self._text = stream.read()

    def text(self) -> str:
        self.join()
        return self._text


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request and answer with its exit code; in a fork, return the request."""
    while True:
        message, streams, _, _ = socket.recv_fds(requests, _LARGEST, 2)
        if not message:
            return None
        child = os.fork()
        if not child:
            requests.close()
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream, number)
                os.close(stream)
            request: dict[str, Any] = json.loads(message)
            return request
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        requests.sendall(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def import_everything() -> None:
    """Import what a call may import, except for the libraries of outputs."""
    import penstock

    names = [found.name for found in pkgutil.walk_packages(penstock.__path__, "penstock.")]
    ours = [name for name in names if not name.startswith(("penstock.__main__", "penstock.testing"))]
    for name in [*ours, "cyclopts.help", "rich.console", "rich.progress"]:
        importlib.import_module(name)


def leave(code: int) -> None:
    """End as the interpreter does, but do not tear down its modules: that costs more than most calls."""
    threading._shutdown()
    atexit._run_exitfuncs()
    gc.collect()  # a file that nobody closed speaks only when it is collected
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    import_everything()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        called = serve(listening)
    if called is not None:
        from penstock.cli.main import main

        os.environ.clear()
        os.environ.update(called["environment"])
        os.chdir(called["folder"])
        sys.argv = called["command"]
        leave(main())
