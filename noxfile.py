"""One command per habit: ``nox -l`` lists them, and ``nox`` runs every check, and the tests on this Python.

With ``CI`` in the environment, ``nox`` runs all tests on every supported Python, as ``nox -s all`` does.
Without it, it leaves out those that are marked ``slow``: kills, crashes of servers, memory, browsers.
``nox -s tests-3.12 -- -k demand`` runs one session, with arguments for the tool behind it.

Each session installs what it needs into an environment under ``.nox``. An interpreter that cannot be
found is skipped, and the closing summary says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nox

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.stop_on_first_error = False

SUPPORTED = ["3.11", "3.12", "3.13"]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
HEART = [f"src/penstock/{room}/**/*" for room in ("runtime", "fusion", "sources", "operators")]
PYPROJECT = nox.project.load_toml("pyproject.toml")
CHECKS = ["lint", "types", "layers"]
WORKERS = (os.cpu_count() or 1) + 1
"""How many tests run at a time. They wait a third of their time, for processes and disks."""
PYTEST = ["pytest", f"--numprocesses={WORKERS}", "--dist=worksteal"]
COUNTS = {"PENSTOCK_KILLS": "200", "PENSTOCK_STOPS": "100", "PENSTOCK_CUTS": "1000", "PENSTOCK_SEEDS": "500"}
"""How many kills, stops, power cuts and seeds the long tests make; each can be set in the environment."""


def _quick_folder() -> str:
    """Return where tests write their files: in memory, if 4 GB of it are free. They often wait for a disk."""
    memory = Path("/dev/shm")  # noqa: S108  pytest makes folders of its own in it
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    return str(memory) if roomy else tempfile.gettempdir()


nox.options.sessions = [*CHECKS, "tests" if os.environ.get("CI") else f"tests-{RUNNING}"]


def _offer_pyenv() -> None:
    """Let pyenv's shims find every installed version, as ``pyenv shell 3.11.7 3.12.1`` would."""
    pyenv = shutil.which("pyenv")
    if pyenv is None or "PYENV_VERSION" in os.environ:
        return
    listed = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, check=False)  # noqa: S603
    wanted = [v for v in listed.stdout.split() if any(v.startswith(f"{minor}.") for minor in SUPPORTED)]
    if wanted:
        os.environ["PYENV_VERSION"] = ":".join(wanted)


_offer_pyenv()
# The tests start Python hundreds of times. Without kept bytecode each start would compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _install(session: nox.Session, *groups: str, extras: str = "all") -> None:
    """Install Penstock itself, editable, with ``extras``, and these dependency groups."""
    needs = [need for group in groups for need in nox.project.dependency_groups(PYPROJECT, group)]
    session.install("-e", f".[{extras}]", *needs)


def _examples_of_the_readme(folder: Path) -> list[str]:
    """Write each example of the README into a file of its own; return the files."""
    blocks = Path("README.md").read_text("utf-8").split("```python\n")[1:]
    files = [folder.absolute() / f"readme_{number}.py" for number in range(len(blocks))]
    for file, block in zip(files, blocks, strict=True):
        file.write_text(block.split("```")[0], "utf-8")
    return [str(file) for file in files]


@nox.session
def lint(session: nox.Session) -> None:
    """Rules and format."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy --strict and pyright, those of the README's examples too; all gate."""
    _install(session, "types", "test")
    checked = ["src", "tests/typing", *_examples_of_the_readme(Path(session.create_tmp()))]
    with ThreadPoolExecutor() as both:
        runs = [both.submit(session.run, checker, *checked, silent=True) for checker in ("mypy", "pyright")]
    for run in runs:
        session.log(str(run.result()).strip())


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports go only downwards."""
    _install(session, "layers")
    session.run("lint-imports")


@nox.session(python=[*SUPPORTED, *([] if RUNNING in SUPPORTED else [RUNNING])])
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after ``--`` go to pytest. The slowest run in CI, and with any argument."""
    _install(session, "test")
    chosen = session.posargs or ([] if os.environ.get("CI") else ["-m", "not slow"])
    session.run(*PYTEST, *chosen, env={"TMPDIR": os.environ.get("TMPDIR") or _quick_folder()})


@nox.session(name="all", python=False)
def everything(session: nox.Session) -> None:
    """Run every check, and all tests on every supported Python."""
    for name in CHECKS:
        session.notify(name)
    for version in SUPPORTED:
        session.notify(f"tests-{version}", posargs=["tests"])


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests with branch coverage; 98 % of the rooms in ``HEART`` must be covered."""
    _install(session, "test")
    session.run(*PYTEST, "--cov", "--cov-report=", *session.posargs)
    session.run("coverage", "report")
    session.run("coverage", "report", f"--include={','.join(HEART)}", "--fail-under=98")


@nox.session
def laws(session: nox.Session) -> None:
    """Run the tests long: every combination of the laws, 2,000 examples, 500 seeds, hundreds of kills."""
    _install(session, "test")
    long = ["--hypothesis-profile=laws", "--timeout=3600"]
    counts = {name: os.environ.get(name, count) for name, count in COUNTS.items()}
    session.run(*PYTEST, *long, *session.posargs, env=counts)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Read 100,000 mutated PubMed records, and compare each with what lxml makes of the whole file.

    ``PENSTOCK_FIRST_MUTANT=20000 nox -s fuzz`` begins with number 20,000.
    """
    _install(session, "test")
    mutants = os.environ.get("PENSTOCK_MUTANTS", "100000")
    session.run(
        *PYTEST,
        "--timeout=3600",
        "tests/security/test_fuzz_parser.py",
        *session.posargs,
        env={"PENSTOCK_MUTANTS": mutants},
    )


@nox.session
def api(session: nox.Session) -> None:
    """Ask the HTTP server everything that its OpenAPI document allows, and more (schemathesis)."""
    _install(session, "api")
    options = session.posargs or ["--max-time", "120", "--request-timeout", "10"]
    session.run("python", "tests/http/check_api.py", *options)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into ``site``; ``-- serve`` shows it instead."""
    _install(session, "docs")
    session.run("zensical", *(session.posargs or ["build", "--clean"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Run one benchmark (``-- 'benchmarks/run.py pubmed'``), or all of them, one after another."""
    _install(session, "bench")
    alone = ("run", "growth", "ledger", "events_wire", "pubmed_parse", "endless")
    for script in session.posargs or [f"benchmarks/{name}.py" for name in alone]:
        session.run("python", *script.split())


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job offline, on data generated on the spot."""
    _install(session)
    session.run("penstock", "demo", *session.posargs)


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run the notebooks in ``examples``, and write those whose output has changed."""
    _install(session, "lint", "test")
    session.run("ruff", "format", "examples")
    session.run("python", "tests/run_notebooks.py")


@nox.session
def methods(session: nox.Session) -> None:
    """Write the methods of ``Flow``, ``Flow.sync``, and the generated pages of the docs."""
    _install(session, "lint")
    for name in ("methods", "sync"):
        session.run("python", f"tests/generate_{name}.py")
        session.run("ruff", "check", "--select=I", "--fix", f"src/penstock/flow/{name}.py")
        session.run("ruff", "format", f"src/penstock/flow/{name}.py")
    for name in ("operator_pages", "other_names", "reference"):
        session.run("python", f"tests/generate_{name}.py")
