"""Things that must agree with each other: exports, packaging, README, docs, noxfile, changelog."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import penstock
import penstock.operators as op

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(penstock.__path__, "penstock.") if "__main__" not in m.name
)

FAMILY = {name: getattr(op, name).__module__.split(".")[2] for name in op.__all__}
FAMILIES = sorted({*FAMILY.values()})

IMPORT_AND_LIST = "import json, sys, penstock; print(json.dumps(sorted(sys.modules)))"


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def pages() -> dict[str, str]:
    """Return README and every page of the docs, by their path."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in found}


def sessions() -> set[str]:
    """Return the names of the noxfile's sessions, read without running it."""
    functions = [node for node in ast.parse(text("noxfile.py")).body if isinstance(node, ast.FunctionDef)]
    found = set()
    for function in functions:
        for decorator in map(ast.unparse, function.decorator_list):
            if decorator.startswith("nox.session"):
                named = re.search(r"name='(\w+)'", decorator)
                found.add(named[1] if named else function.name)
    return found


def tracked() -> list[Path]:
    """Return the files under version control."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no list of what belongs to the project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def optional_modules() -> set[str]:
    """Return the import names of everything that only an extra installs."""
    extras = [need for needs in PROJECT["optional-dependencies"].values() for need in needs]
    wanted = {re.match(r"[\w.-]+", need)[0].lower().replace("_", "-") for need in extras}
    owners = importlib.metadata.packages_distributions()
    return {name for name, dists in owners.items() if wanted & {d.lower().replace("_", "-") for d in dists}}


def test_everything_a_module_exports_exists():
    """Each name in an ``__all__`` is there, and stands there once."""
    wrong = {}
    for name in ["penstock", *MODULES]:
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", [])
        twice = {n for n in exported if exported.count(n) > 1}
        wrong[name] = twice | {n for n in exported if not hasattr(module, n)}
    assert {name: names for name, names in wrong.items() if names} == {}


def test_importing_penstock_loads_no_optional_library():
    """``import penstock`` loads nothing that only an extra, the CLI or the tests bring, and no module of its own."""
    ran = subprocess.run([sys.executable, "-c", IMPORT_AND_LIST], capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(ran.stdout)}
    unwanted = optional_modules() | {"cyclopts", "rich", "isal", "hypothesis", "pytest", "IPython", "marimo"}
    assert loaded & unwanted == set()
    assert [name for name in json.loads(ran.stdout) if name.startswith("penstock.")] == []


def test_version_is_the_same_everywhere():
    """The installed package, the project file and ``penstock.__version__``, if there, tell one version."""
    installed = importlib.metadata.version("penstock")
    assert installed == PROJECT["version"]
    assert getattr(penstock, "__version__", installed) == installed


def test_the_package_says_that_it_is_typed():
    """``py.typed`` lies beside the code, so type checkers use its annotations."""
    assert (Path(penstock.__file__).parent / "py.typed").exists()


def test_changelog_has_an_unreleased_section():
    """There is one place where the next change is written down."""
    assert text("CHANGELOG.md").count("\n## Unreleased\n") == 1


def test_noxfile_has_a_session_for_every_habit():
    """The habits that STYLE names each have their command."""
    assert sessions() >= {"lint", "types", "layers", "tests", "all", "laws", "docs", "bench", "demo"}


@pytest.mark.parametrize("page", pages())
def test_sessions_named_in_the_docs_exist(page):
    """A page names no nox session that the noxfile does not have."""
    named = re.findall(r"nox -s ([a-z_]+)", pages()[page])
    assert [name for name in named if name not in sessions()] == []


@pytest.mark.parametrize("page", pages())
def test_links_between_pages_lead_somewhere(page):
    """A relative link of README or docs names a file that is there."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", pages()[page])
    here = (ROOT / page).parent
    assert [target for target in targets if not (here / target).exists()] == []


@functools.cache
def anchors(page: str) -> set[str]:
    """Return the anchors of the headings of a page."""
    prose = re.sub(r"^```.*?^```$", "", pages()[page], flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


@pytest.mark.parametrize("page", pages())
def test_links_to_headings_lead_somewhere(page):
    """A link with an anchor names a heading of its page."""
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", pages()[page])
    here = (ROOT / page).parent
    places = [
        (str((here / target).resolve().relative_to(ROOT)) if target else page, to) for target, to in links
    ]
    written = [
        (target, to) for target, to in places if not to.startswith("penstock.")
    ]  # mkdocstrings makes those
    assert [(target, to) for target, to in written if to not in anchors(target)] == []


def test_ci_runs_exactly_the_test_command_of_the_readme():
    """What CI proves is what README tells a reader to type."""
    last = text(".ci/run").strip().splitlines()[-1]
    assert f"\n{last}\n" in text("README.md")
    assert "nox" in last


def test_every_operator_of_a_family_is_exported():
    """A function that is named like its file in ``operators/<family>/`` stands in the catalogue."""
    files = [name.split(".") for name in MODULES if name.startswith("penstock.operators.")]
    named = {
        last
        for *package, last in files
        if package[2:] and hasattr(importlib.import_module(".".join([*package, last])), last)
    }
    helpers = {"event_stage", "flattening", "pooled"}
    assert sorted(named - helpers - {*op.__all__}) == [], "add these to operators/__init__.pyi"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_operator_has_its_types_checked(family):
    """``tests/typing/operators_<family>.py`` says what is inferred, as a function and as a method."""
    said = text(f"tests/typing/operators_{family}.py")
    names = sorted(name for name in op.__all__ if FAMILY[name] == family)
    functions = [name for name in names if not re.search(rf"\bop\.{name}\(", said)]
    methods = [name for name in names if not re.search(rf"(?<!\bop)\.{name}\(", said)]
    assert (functions, methods) == ([], []), f"add a line for each to tests/typing/operators_{family}.py"


def test_tree_names_no_machine_path():
    """No tracked file holds a path of somebody's machine."""
    machine_path = re.compile(rb"(?<![\w.])/(?:root|home|work|Users)" + rb"/\w")
    assert [str(p.relative_to(ROOT)) for p in tracked() if machine_path.search(p.read_bytes())] == []


def test_only_the_clock_reads_the_machines_time():
    """What a run does may depend on ``run.clock`` only, which a test can set: its size of requests, say."""
    reads = re.compile(r"\b(?:perf_counter|time\.(?:time|monotonic)|from time import)\b")
    rooms = ("runtime", "fusion", "sources", "documents", "ingest", "operators", "interop", "flow")
    files = [path for room in rooms for path in (ROOT / "src" / "penstock" / room).rglob("*.py")]
    assert [path.name for path in files if reads.search(path.read_text("utf-8"))] == ["clock.py"]


def test_files_can_be_read_in_one_sitting():
    """No module of the package has grown past 400 lines, apart from the generated methods of ``Flow``."""
    lengths = {p: len(p.read_text("utf-8").splitlines()) for p in (ROOT / "src").rglob("*.py")}
    assert {p.name: n for p, n in lengths.items() if n > 400 and p.name != "methods.py"} == {}
