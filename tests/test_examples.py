"""Each example runs, as a reader would run it, and prints what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def output_of(name: str, folder: Path) -> str:
    """Run an example in a process of its own, warnings as errors, and return what it printed."""
    # aioreactive calls asyncio.iscoroutinefunction, which Python 3.14 deprecates
    known = "ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning"
    command = [sys.executable, "-W", "error", "-W", known, str(EXAMPLES / f"{name}.py")]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8"}
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, encoding="utf-8", timeout=120
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    assert list(folder.iterdir()) == []  # an example cleans up behind itself
    return ran.stdout


def test_operators(tmp_path: Path) -> None:
    """Chains over an endless input give what plain Python gives; requests never exceed what was asked for."""
    shown = output_of("operators", tmp_path)
    primes = [n for n in range(2, 100) if all(n % k for k in range(2, n))]
    assert f"first ten: {primes[:10]}\n" in shown
    assert f"in pairs:  {[primes[0:2], primes[2:4], primes[4:6]]}\n" in shown
    assert f"sums:      {[sum(primes[: n + 1]) for n in range(5)]}\n" in shown
    assert f"last square: {primes[19] ** 2} " in shown
    asked = [eval(got) for got in re.findall(r"asked for 2, got (.*)", shown)]  # noqa: S307  our own output
    assert [n for got in asked for n in got] == primes[:5]
    assert all(1 <= len(got) <= 2 for got in asked)


def test_own_adapter(tmp_path: Path) -> None:
    """Every record of the table is told of, the two bad ones as failures."""
    assert output_of("own_adapter", tmp_path).splitlines() == [
        'completed n1 "Buffer"',
        "failed    notes.csv#1 - it has no identifier",
        'completed n2 "Gel"',
        "failed    broken - it is not of the form id|title|text",
    ]


def test_pubmed_pipeline(tmp_path: Path) -> None:
    """The sums add up, each outage is tried again, the bad record fails, a second run does nothing."""
    shown = output_of("pubmed_pipeline", tmp_path)
    counts = eval(re.search(r"completed: (\{.*?\})", shown)[1])  # noqa: S307  our own output
    assert counts["completed"] + counts["failed"] + counts["skipped"] == 300 + 1
    assert counts["failed"] == 1
    assert shown.count("(will be tried again)") == 3
    assert shown.count("(given up)") == 1
    assert f"3 retried, {counts['completed']} lines\n" in shown
    assert shown.endswith("once more: nothing to do\n")
    progress = re.findall(r"^(\d+) completed, (\d+) failed, (\d+) skipped$", shown, re.MULTILINE)
    assert [sum(map(int, sums)) for sums in progress[:3]] == [100, 200, 300]


def test_resume_by_hand(tmp_path: Path) -> None:
    """What came before and what came after are the whole; another graph is refused."""
    shown = output_of("resume_by_hand", tmp_path)
    before, after = (eval(got) for got in re.findall(r"^(?:before|after): *(.*)$", shown, re.MULTILINE))  # noqa: S307
    assert "none lost, none twice: True\n" in shown
    assert [number for number, _ in before + after] == list(range(1, 16))
    assert "refused:  this position belongs to another graph: the flow has skip" in shown


def test_with_aioreactive(tmp_path: Path) -> None:
    """A flow drives an observer; an observable and a subject become flows."""
    assert output_of("with_aioreactive", tmp_path).splitlines() == [
        "observed 10",
        "observed 20",
        "observed 30",
        "closed",
        "['MORE', 'AND', 'MORE']",
        "from a subject [0, 1, 2, 3, 4]",
    ]


def test_checkpoint_without_sink(tmp_path: Path) -> None:
    """After a crash the list that was not acknowledged comes again; after the end nothing does."""
    shown = output_of("checkpoint_without_sink", tmp_path)
    runs = re.findall(r"^(?:first|second|third): *(.*)$", shown, re.MULTILINE)
    first, second, third = (eval(got) for got in runs)  # noqa: S307  our own output
    assert set(first) | set(second) == set(range(100, 110))
    assert second == list(range(second[0], 110))
    assert set(first) & set(second) <= {103}  # no more than the part of the last list that was handled
    assert third == []
    assert "refused: batch behind a checkpoint" in shown


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_has_a_test(path: Path) -> None:
    """No example goes unrun, and each says in its first lines how to run it."""
    assert f"test_{path.stem}" in globals()
    assert f"python examples/{path.name}" in path.read_text("utf-8")
