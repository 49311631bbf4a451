"""No module unpickles foreign data, unpacks archives, or puts values into SQL."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import penstock

ROOT = Path(penstock.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

UNPICKLERS = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
BETWEEN_OUR_PROCESSES = {
    "core/child.py": "the worker of map_process: reads what its parent wrote into a pipe that only they hold",
    "core/parallel.py": "the parent of those workers: reads what they wrote into that pipe",
}
ARCHIVES = {"zipfile", "tarfile", "zipimport"}


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(text(name))


@cache
def imported(name: str) -> set[str]:
    """Return the top-level names of all imports of a module, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("name", MODULES)
def test_only_our_own_processes_exchange_pickles(name: str) -> None:
    """Only the modules of the list import a library that can run code from data."""
    if imported(name) & UNPICKLERS:
        assert name in BETWEEN_OUR_PROCESSES


def test_the_exceptions_are_still_needed() -> None:
    """Each module of the list still imports such a library."""
    assert all(imported(name) & UNPICKLERS for name in BETWEEN_OUR_PROCESSES)


@pytest.mark.parametrize("name", MODULES)
def test_no_archive_is_unpacked(name: str) -> None:
    """Without archives, no member's path can leave its folder. Code that reads archives must check the names."""
    assert not imported(name) & ARCHIVES
    assert "unpack_archive" not in (ROOT / name).read_text("utf-8")


def _may_be_variable(statement: ast.expr) -> bool:
    """Return whether an SQL statement is built from other values."""
    return isinstance(statement, ast.JoinedStr | ast.BinOp) or (
        isinstance(statement, ast.Call)
        and isinstance(statement.func, ast.Attribute)
        and statement.func.attr in ("format", "join", "replace")
    )


@pytest.mark.parametrize("name", MODULES)
def test_sql_is_built_from_constants(name: str) -> None:
    """A statement that is not one literal contains only constants, or its module explains an exception (S608).

    A ``PRAGMA`` is left out, because it cannot have bound parameters.
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


@pytest.mark.parametrize("name", MODULES)
def test_an_exception_from_the_injection_rule_has_a_reason(name: str) -> None:
    """Each comment that turns off ruff's rule against SQL injection (S608) gives a reason."""
    for line in (ROOT / name).read_text("utf-8").splitlines():
        if "noqa" in line and re.search(r"noqa[^#]*S608", line):
            assert re.search(r"S608\S*\s+(-\s*)?\w.{8,}", line), line
