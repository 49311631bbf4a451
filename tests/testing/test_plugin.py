"""The pytest plugin: its fixtures, its cost at the start, and coverage."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


# -- fixtures ---------------------------------------------------------------------------------------


def test_virtual_time_returns_what_the_coroutine_returns(virtual_time: Any) -> None:
    """Hours pass at once."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert virtual_time(main()) == 3600


def test_explore_tries_seeds(explore: Any, no_leaks: None) -> None:
    """``explore`` tries the given number of seeds."""

    async def main() -> None:
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))

    assert explore(main, seeds=20).seeds == 20


async def test_a_coroutine_function_is_checked_for_leaks(no_leaks: None) -> None:
    """A test that leaves nothing behind passes, on any loop."""
    await asyncio.create_task(asyncio.sleep(0))


# -- in another project -----------------------------------------------------------------------------


SETTINGS = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def pytest_run(folder: Path, test: str, *arguments: str, conftest: str = "") -> tuple[dict[str, int], str]:
    """Run pytest on ``test`` in its own folder; return how many passed and failed, and the output."""
    (folder / "test_it.py").write_text("import asyncio, pytest, random\n\n" + test)
    (folder / "conftest.py").write_text(conftest)
    (folder / "pytest.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "pytest", "-p", "penstock_pytest", "-p", "no:cacheprovider", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COV")}  # our own
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    last = ran.stdout.strip().splitlines()[-1].replace(",", "").split()
    counts = {word: int(number) for number, word in pairwise(last) if number.isdigit()}
    return counts, ran.stdout + ran.stderr


RACE = """
async def main():
    done = []
    async def work(name, turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        done.append(name)
    await asyncio.gather(work("first", 1), work("second", 6))
    assert done == ["first", "second"]

def test_race(explore):
    explore(main)
"""


@pytest.mark.slow
def test_a_race_is_reported_with_the_option_that_shows_it_again(tmp_path: Path) -> None:
    """The report names the option; with it, the test fails with its own assertion."""
    counts, text = pytest_run(tmp_path, RACE, "--penstock-seeds=1000")
    assert counts["failed"] == 1
    note = next(line for line in text.splitlines() if "runs this schedule alone" in line)
    option = next(word for word in note.split() if word.startswith("--penstock-seed="))
    counts, text = pytest_run(tmp_path, RACE, option)
    assert counts["failed"] == 1
    assert "RaceFound" not in text
    assert "assert done ==" in text


LEAKS = """
pytestmark = pytest.mark.usefixtures("no_leaks")
kept = []

async def leave():
    kept.append(asyncio.create_task(asyncio.sleep(1000)))

async def test_async():
    await leave()

def test_virtual(virtual_time):
    virtual_time(leave())

def test_seeded(explore):
    explore(leave, seeds=3)

async def test_clean():
    await asyncio.sleep(0)
"""


@pytest.mark.slow
def test_leaks_fail_a_test_of_each_kind(tmp_path: Path) -> None:
    """A leak fails a coroutine function, a run in virtual time and a seeded run; a clean test passes."""
    counts, text = pytest_run(tmp_path, LEAKS)
    assert (counts["failed"], counts["passed"]) == (3, 1)
    assert text.count("Leak: left behind") >= 2


CONFTEST = """
import sys
def pytest_collection_finish(session):
    loaded = [name for name in sys.modules if name == "penstock" or name.startswith("penstock.")]
    assert not loaded, loaded
"""


def test_nothing_of_penstock_is_imported_at_the_start(tmp_path: Path) -> None:
    """A test run that uses none of the fixtures never imports the package."""
    counts, text = pytest_run(tmp_path, "def test_it(): pass", conftest=CONFTEST)
    assert counts == {"passed": 1}, text


def test_coverage_sees_the_lines_that_are_run_once(tmp_path: Path) -> None:
    """Top-level lines of a module are measured, because the plugin did not import it before."""
    test = "def test_it():\n    import penstock.errors\n"
    _, text = pytest_run(tmp_path, test, "--cov=penstock.errors", "--cov-report=term")
    line = next(line for line in text.splitlines() if "errors.py" in line)
    assert int(line.split()[-1].rstrip("%")) > 40


def test_it_is_registered_with_pytest() -> None:
    """The entry point of the project names the module of the plugin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"penstock_pytest": "penstock_pytest"}
