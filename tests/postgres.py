"""A real PostgreSQL server for tests, in a temporary folder; tests may stop, crash and restart it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from itertools import count
from pathlib import Path

__all__ = ["PostgresServer", "find_postgres"]

_serial = count(1)


def find_postgres() -> Path | None:
    """Return the folder with the programs of the newest PostgreSQL, or ``None`` if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parent.parent.name))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """One cluster on a free port of the loopback interface.

    It does not wait for the disk: tests crash the server, never the machine.
    PostgreSQL refuses to run as root, so root runs it as the user ``postgres``, or else as ``nobody``.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        self._data = self._folder / "data"
        self._user = _unprivileged() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self.port = _free_port()
        self._run("initdb", "-D", str(self._data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c fsync=off -c max_connections=50"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` ends all connections, ``immediate`` is a crash that needs recovery."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def restart(self, mode: str = "immediate") -> None:
        """Stop the server, by default as in a crash, and start it again on the same port."""
        self.stop(mode)
        self.start()

    def database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"test_{next(_serial)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tester", name)
        return f"postgresql://tester@127.0.0.1:{self.port}/{name}"

    def remove(self) -> None:
        """Stop the server and delete its folder."""
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        # A file, not a pipe: the server inherits it from pg_ctl, so a pipe would stay open.
        with (self._folder / f"{program}.out").open("w+", encoding="utf-8") as output:
            outcome = subprocess.run(
                [str(self._programs / program), *arguments],
                check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                user=self._user, cwd=self._folder, timeout=120,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            )  # fmt: skip
            if outcome.returncode:
                output.seek(0)
                raise RuntimeError(f"{program} failed with {outcome.returncode}: {output.read()}")


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
