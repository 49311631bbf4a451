"""The installed command, in processes of its own, with generated data."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, ClassVar

import pytest

import penstock as package

from .forked import Forks

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = Path(sys.executable).with_name("penstock")
PATIENCE = 120
"""Seconds until a process counts as hung; no test needs a tenth of it."""

RECORDS = 2_100
"""More than two checkpoints of the command line (every 1,000 documents)."""

FEW = 200


def article(pmid: str, title: str = "A title") -> str:
    """Return the shortest valid record."""
    return (
        f'<PubmedArticle><MedlineCitation Status="MEDLINE">{pmid}'
        f"<Article><ArticleTitle>{title}</ArticleTitle></Article></MedlineCitation></PubmedArticle>"
    )


def pmid(number: int) -> str:
    """Return the element that identifies a record."""
    return f'<PMID Version="1">{number}</PMID>'


def articles(*records: str) -> bytes:
    """Return a complete file of ``records``."""
    return f'<?xml version="1.0"?>\n<PubmedArticleSet>{"".join(records)}</PubmedArticleSet>\n'.encode()


class Penstock:
    """The command, called in one folder."""

    forks: ClassVar[Forks | None] = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def __call__(self, *words: str | Path, limits: str = "") -> subprocess.CompletedProcess[str]:
        """Run it and wait; ``limits`` are shell commands such as ``ulimit -f 8``."""
        command = [os.fspath(word) for word in (COMMAND, *words)]
        if not limits:
            if Penstock.forks is None:
                Penstock.forks = Forks(environment())
                atexit.register(Penstock.forks.close)
            return Penstock.forks.run(command, self.folder, environment(), PATIENCE)
        command = ["bash", "-c", f'{limits}; exec "$@"', "bash", *command]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command line with bash; ``penstock`` is on the path."""
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(
        self, *words: str | Path, stderr: int | IO[bytes] = subprocess.PIPE, before: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start it with a pipe. The process waits while the test does not read the pipe.

        ``before`` is a command that runs it, such as ``setpriv``.
        """
        process = subprocess.Popen(
            [os.fspath(word) for word in (*before, COMMAND, *words)],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509  the tests have no threads
        )
        self.started.append(process)
        return process


def hear_ctrl_c() -> None:
    """Restore SIGINT: a shell makes background processes ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment() -> dict[str, str]:
    """Return an environment with the ``penstock`` under test, and the same output on every machine."""
    path = os.pathsep.join([str(COMMAND.parent), os.environ.get("PATH", "")])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PENSTOCK_", "PYTHON"))}
    return {
        **kept,
        "PATH": path,
        "PYTHONPATH": str(Path(package.__file__).parents[1]),
        "PYTHONUTF8": "1",
        "PYTHONWARNINGS": "error",
        "TERM": "xterm",
        "COLUMNS": "100",
    }


@pytest.fixture
def penstock(tmp_path: Path):
    """Return the command; its remaining processes are killed after the test."""
    command = Penstock(tmp_path)
    yield command
    for process in command.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of generated records, long enough for two checkpoints."""
    return _sample(tmp_path_factory, RECORDS)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of a few generated records."""
    return _sample(tmp_path_factory, FEW)


@pytest.fixture(scope="session")
def undisturbed(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the output of ingesting ``sample`` without interruption."""
    return _output(sample, tmp_path_factory)


@pytest.fixture(scope="session")
def small_undisturbed(small: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the output of ingesting ``small`` without interruption."""
    return _output(small, tmp_path_factory)


def _sample(tmp_path_factory: pytest.TempPathFactory, records: int) -> Path:
    from penstock.adapters.pubmed.sample import write_sample

    path = tmp_path_factory.mktemp("sample") / "sample.xml.gz"
    write_sample(path, records)
    return path


def _output(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = Penstock(folder)("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    return (folder / "out.jsonl").read_bytes()
