"""The installed command, in processes of its own, with generated data."""

from __future__ import annotations

import atexit
import gzip
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

import penstock as package

from .forked import Forks, Running

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = Path(sys.executable).with_name("penstock")
PATIENCE = 120
"""Seconds until a process counts as hung; no test needs a tenth of it."""

OFTEN = (sys.executable, Path(__file__).with_name("forked.py"))
"""The command, committing as often as that of ``Penstock``."""

RECORDS = 400
"""Four checkpoints of the command as these tests call it (every 100 documents), and more than one slice (256)."""

LIMITS = {"-f": ("RLIMIT_FSIZE", 1024), "-n": ("RLIMIT_NOFILE", 1)}
"""Options of ``ulimit``: the limit, and its unit in bash."""

WORDS = re.compile(r"""(?:[\w./:=@%+, -]|'[^']*')+""")
"""Command lines that need nothing of a shell but its quotes."""


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
        self.started: list[subprocess.Popen[bytes] | Running] = []

    def __call__(self, *words: str | Path, limits: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        """Run it and wait; ``limits`` is like ``ulimit -f 8``, and ``more`` is added to the environment."""
        _, option, most = limits.split() if limits else ("", "", 0)
        name, unit = LIMITS.get(option, ("", 0))
        command = [os.fspath(word) for word in (COMMAND, *words)]
        limited = {name: int(most) * unit} if name else {}
        return self.server().run(command, self.folder, environment(**more), PATIENCE, **limited)

    @classmethod
    def server(cls) -> Forks:
        """Return the process that forks for each call."""
        if cls.forks is None:
            cls.forks = Forks(environment())
            atexit.register(cls.forks.close)
        return cls.forks

    def shell(self, line: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command line as bash does; it starts bash only if the line needs more of it than quotes."""
        line = line.strip()
        if WORDS.fullmatch(line) and Path((words := shlex.split(line))[0]).name == "penstock":
            return self(*words[1:], **more)
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment(**more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *words: str | Path) -> Running:
        """Start it with a small pipe. The process waits while the test does not read the pipe."""
        command = [os.fspath(word) for word in (COMMAND, *words)]
        self.started.append(running := self.server().start(command, self.folder, environment()))
        return running

    def start_behind(self, before: Sequence[str], *words: str | Path) -> subprocess.Popen[bytes]:
        """Do the same with a command that runs it, such as ``setpriv``, and a Python of its own."""
        process = subprocess.Popen(
            [os.fspath(word) for word in (*before, *OFTEN, *words)],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pipesize=4096,
        )
        self.started.append(process)
        return process


def read_until_commit(penstock: Penstock, process: Running, output: str) -> str:
    """Read events of a run to ``output`` until ``penstock status`` knows of its first commit; return the status."""
    assert process.stdout is not None
    for _ in range(60):  # a slice of 256 events may be written before its commit begins
        status = penstock("status", output)
        assert status.returncode == 0, status.stderr
        if re.search(r"^  completed +1\d\d$", status.stdout, re.MULTILINE):
            return status.stdout
        for _ in range(10):  # its commit is under way, and the run waits for its reader again
            assert process.stdout.readline()
    raise AssertionError(status.stdout)


def environment(**more: str) -> dict[str, str]:
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
        **more,
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
    """Return a file of long but simple records, enough of them for four checkpoints."""
    path = tmp_path_factory.mktemp("sample") / "sample.xml.gz"
    records = (article(pmid(1 + k), f"Title {k} {'of many words ' * 350}") for k in range(RECORDS))
    path.write_bytes(gzip.compress(articles(*records)))
    return path


@pytest.fixture(scope="session")
def undisturbed(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the output of ingesting ``sample`` without interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = Penstock(folder)("ingest", "pubmed", sample, "--to", "out.jsonl")
    assert done.returncode == 0, done.stderr
    return (folder / "out.jsonl").read_bytes()
