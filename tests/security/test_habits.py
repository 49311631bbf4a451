"""No module unpickles foreign data, unpacks archives, or puts values into SQL."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import penstock

ROOT = Path(penstock.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

UNPICKLERS = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
BETWEEN_OUR_PROCESSES = {
    "adapters/event_flow.py": "checks that a source can be pickled; it unpickles nothing",
    "adapters/parsing/stage.py": "pickles the source for its workers; it unpickles nothing",
    "adapters/parsing/work.py": "the parent of the workers that parse: reads what they wrote into a pipe that only they hold",
    "adapters/parsing/worker.py": "such a worker: reads what its parent wrote into that pipe",
    "operators/concurrency/process_worker.py": "the worker of map_process: reads what its parent wrote into a pipe that only they hold",
    "operators/concurrency/map_process.py": "the parent of those workers: reads what they wrote into that pipe",
}
ARCHIVES = {"zipfile", "tarfile", "zipimport"}


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(text(name))


@cache
def imported(name: str) -> set[str]:
    """Return the top-level names of all that a module imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.slow
def test_nothing_is_unpickled_but_between_our_own_processes() -> None:
    """The listed modules, and no others, import what runs code on reading data."""
    assert {name for name in MODULES if imported(name) & UNPICKLERS} == BETWEEN_OUR_PROCESSES.keys()


def test_no_archive_is_unpacked() -> None:
    """Nothing is written by the name of a member: one module reads archives, and it extracts nothing to disk."""
    reading = [name for name in MODULES if imported(name) & ARCHIVES or "unpack_archive" in text(name)]
    assert reading == ["adapters/xml_files/archives.py"]
    assert not re.search(r"\.extract(all)?\(|unpack_archive", text(reading[0]))


def _may_be_variable(statement: ast.expr) -> bool:
    """Whether the text of an SQL statement is put together from something else than itself."""
    return isinstance(statement, ast.JoinedStr | ast.BinOp) or (
        isinstance(statement, ast.Call)
        and isinstance(statement.func, ast.Attribute)
        and statement.func.attr in ("format", "join", "replace")
    )


def test_sql_is_put_together_from_constants() -> None:
    """A statement that is not one literal holds names of constants, or its module says why that is right (S608).

    A ``PRAGMA`` takes no parameters that could be bound.
    """
    assert {name: found for name in MODULES if (found := _variables_in_sql(name))} == {}


def _variables_in_sql(name: str) -> dict[int, list[str]]:
    """Return the variables in the SQL statements of a module, by line; none if it gives its reason."""
    found: dict[int, list[str]] = {}
    if "S608" in text(name):
        return found
    for node in ast.walk(tree(name)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        if node.func.attr not in ("execute", "executemany", "executescript", "sql") or not _may_be_variable(
            node.args[0]
        ):
            continue
        if "PRAGMA" in ast.unparse(node.args[0]):
            continue
        used = {n.id for n in ast.walk(node.args[0]) if isinstance(n, ast.Name)}
        lower = {word for word in used if not word.isupper() and not word.startswith("_")}
        if lower:
            found[node.lineno] = sorted(lower)
    return found


def test_an_exception_from_the_rule_against_injection_says_why() -> None:
    """Ruff finds SQL made of text (S608); where that is switched off, the reason stands behind it."""
    lines = [line for name in MODULES for line in text(name).splitlines()]
    switched_off = [line for line in lines if re.search(r"noqa[^#]*S608", line)]
    assert [line for line in switched_off if not re.search(r"S608\S*\s+(-\s*)?\w.{8,}", line)] == []
