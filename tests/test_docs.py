"""The Python code in README and in the pages runs, and what the pages list is what there is."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import penstock as ps
import penstock.operators as op
from penstock import testing
from penstock.adapters.pubmed.sample import write_sample
from penstock.flow.terminals import Terminals
from penstock.testing import laws, run

from .generate_operator_pages import entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.runtime.node import Node

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
VIRTUAL = {"operators.md", "how_do_i.md"}
"""The pages whose code runs in virtual time: their examples wait for seconds."""
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[str]:
    """Yield the code blocks of a page, each behind as many empty lines as make its line numbers right."""
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        yield "\n" * text.count("\n", 0, found.start(1)) + found[1]


def execute(code: str, name: str, namespace: dict[str, Any]) -> None:
    """Run a block as a notebook would: ``await`` may stand outside of functions."""
    compiled = compile(code, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    outcome = eval(compiled, namespace)  # noqa: S307  the code is our own
    if inspect.iscoroutine(outcome):
        (run if Path(name).name in VIRTUAL else asyncio.run)(outcome)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small file of the kind that the pages speak of."""
    path = tmp_path_factory.mktemp("sample") / "pubmed24n0001.xml.gz"
    write_sample(path, 60, malformed=1)
    return path


@pytest.mark.parametrize(
    "page", [p for p in PAGES if FENCE.search(p.read_text("utf-8"))], ids=lambda page: page.name
)
def test_code_runs(page: Path, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other in an empty folder with one PubMed file in it."""
    shutil.copy(sample, tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for code in blocks(page):
        execute(code, str(page), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_goes_unrun(page: Path) -> None:
    """Every fenced block of Python is one that the test above finds."""
    fences = re.findall(r"^\s*```\s*(?:py|python|pycon)\b", page.read_text("utf-8"), re.MULTILINE)
    assert len(fences) == len(list(blocks(page)))


def test_operators_are_those_that_there_are() -> None:
    """The catalogue has an entry for each name in ``penstock.operators.__all__`` and for nothing else."""
    told = {*entries("operators")}
    assert sorted({*op.__all__} - told) == [], "add an entry for each to tests/catalogue/operators.toml"
    assert sorted(told - {*op.__all__}) == [], "penstock.operators does not export these"


def test_sources_and_terminals_are_those_that_there_are() -> None:
    """The catalogue has an entry for each function in ``penstock`` that makes a flow, and for each terminal."""
    made = {name for name in ps.__all__ if inspect.isfunction(getattr(ps, name))} - {*op.__all__}
    assert {*entries("sources")} == made | {"DeadLetters"}, "see tests/catalogue/sources.toml"
    terminals = {name for name, one in vars(Terminals).items() if inspect.iscoroutinefunction(one)}
    assert {*entries("terminals")} == terminals, "see tests/catalogue/terminals.toml"


def built(name: str) -> Node:
    """Return the node of an operator, behind a source that holds what it is asked for.

    ``arguments`` holds sample arguments of each operator that takes anything else than one function.
    """
    from penstock.adapters import pubmed
    from penstock.ledger import MemoryLedger

    arguments: dict[str, tuple[Any, ...]] = {
        "scan": (max, 0), "stateful": (0, divmod), "intersperse": (0,), "element_at": (2,), "decode": (), "lines": (),
        "skip_until": (ps.just(1),), "take": (3,), "skip": (3,), "batch": (4,), "buffer": (5,), "retry": (),
        "prefetch": (5,), "limit_demand": (5,), "broadcast": (2,), "partition_by": (str, 2), "replay": (3,),
        "share": (), "cache": (60,), "publish": (), "window": (3,),
        "enumerate": (), "distinct_until_changed": (), "concat": (ps.just(1),), "merge": (ps.just(1),),
        "batch_progress": (), "repeat": (), "circuit_breaker": (),
        **dict.fromkeys(
            ("combine_latest", "interleave", "merge_sorted", "pause_when", "race", "sequence_equal", "with_latest_from", "zip",
             "zip_latest", "zip_longest"), (ps.just(1),)
        ),
        "cast": (int,), "unwrap": (), "pairwise": (), "start_with": (1,),
        "default_if_empty": (1,), "switch_if_empty": (ps.just(1),), "collect": (), "on_error_replace": (0,), "materialize": (),
        "dematerialize": (), "unbatch": (), "sliding": (3, 2), "skip_last": (3,), "take_last": (3,),
        "take_until": (ps.just(1),),
        **dict.fromkeys(("concat_map", "exhaust_map", "flat_map_merge", "switch_map"), (ps.just,)),
        "throttle": (5,), "throttle_first": (1,), "delay": (1,), "debounce": (1,), "sample": (1,), "timestamp": (), "elapsed": (),
        "keep_alive": (1, 0), "log": (),
    }  # fmt: skip
    source: Any = pubmed("x.xml") if name in {"where", "batch_progress"} else ps.from_iterable([1])
    if name in {"on_error_skip", "on_error_replace"}:
        source = source.map(str)  # something that can be skipped
    if name == "distinct":
        return op.distinct(capacity=9)(source).node
    if name == "dead_letters":
        return op.dead_letters(MemoryLedger())(source).node
    if name == "checkpoint":
        return op.checkpoint(MemoryLedger(), key="k")(source).node
    if name == "timeout":
        return op.timeout(1)(source).node
    given = arguments.get(name, (asyncio.sleep,) if name.endswith("_async") else (str,))
    given = (aiter,) if name == "through" else given
    flow = getattr(op, name)(*given)(source)
    return (flow[0] if isinstance(flow, tuple) else flow).node


@pytest.mark.parametrize("name", op.__all__)
def test_what_the_page_says_of_an_operator_is_so(name: str) -> None:
    """Order, and whether a position has a state of it, stand in the catalogue as the nodes have them."""
    entry = entries("operators")[name]
    node = built(name)
    assert entry["order"].split()[0] == node.order.value
    assert (not entry["state"].startswith("\N{EN DASH}")) == (
        node.stateful and name not in {"where", "batch_progress"}
    )


def test_laws_are_those_that_there_are() -> None:
    """The page has one section per check, in the order and with the numbers of the checks."""
    headings = re.findall(
        r"^## (\d+)\. .*?`(\w+)`", (ROOT / "docs" / "laws.md").read_text("utf-8"), re.MULTILINE
    )
    assert headings == [(str(number), name) for number, name in enumerate(laws.LAWS, 1)]


def test_every_page_is_in_the_navigation() -> None:
    """A page that is written can be found, and no entry leads nowhere."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    named = set(re.findall(r"[\w/-]+\.md", text))
    assert named == {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}


def test_examples_named_in_the_pages_exist() -> None:
    """A page names no example that is not there, and README names them all."""
    pattern = re.compile(r"examples/(\w+\.(?:py|ipynb))\b")
    named = {page: set(pattern.findall(page.read_text("utf-8"))) for page in PAGES}
    there = {path.name for path in (ROOT / "examples").iterdir() if path.suffix in {".py", ".ipynb"}}
    assert set().union(*named.values()) <= there
    assert named[ROOT / "README.md"] == there


def test_our_names_for_those_of_others_exist() -> None:
    """Each name in a column "Penstock" of the tables is an operator, or is where its prefix says."""
    homes = {"ps": ps, "flow": ps.Flow, "testing": testing, "": op}
    tables = (ROOT / "docs" / "coming_from.md").read_text("utf-8").split("| Penstock |")[1:]
    cells = [line.split(" | ")[1] for text in tables for line in text.split("\n\n")[0].splitlines()[2:]]
    named = [
        re.match(r"(?:(\w+)\.)?(\w+)", code) for cell in cells for code in re.findall(r"`([^`]+)`", cell)
    ]
    assert len(named) > 200
    assert [n[0] for n in named if n and not hasattr(homes[n[1] or ""], n[2])] == []


def test_every_question_is_answered_with_code() -> None:
    """There are at least 40 questions "How do I …?", and each answer has code, which the test above runs."""
    answers = (ROOT / "docs" / "how_do_i.md").read_text("utf-8").split("\n### … ")[1:]
    assert len(answers) >= 40
    assert [answer.splitlines()[0] for answer in answers if "```python\n" not in answer] == []


def test_the_list_of_questions_is_complete() -> None:
    """The list at the top links to every question of the page, in their order."""
    text = (ROOT / "docs" / "how_do_i.md").read_text("utf-8")
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", text.split("\n### ")[0], re.MULTILINE)
    asked = re.findall(r"^### … (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", question).strip().lower() for question in asked]
    anchors = [re.sub(r"[-\s]+", "-", words) for words in plain]
    assert listed == list(zip(asked, anchors, strict=True))
