"""What happens in a real Jupyter kernel: interrupts, names of cells, the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from penstock.adapters.pubmed.sample import write_sample

from ..run_notebooks import executed  # noqa: TID252  tests are no installed package

if TYPE_CHECKING:
    from pathlib import Path

SETUP = """
import asyncio, os, signal, threading
import penstock as ps
from penstock import IngestionPipeline
from penstock.adapters import pubmed

async def interrupted(item):  # at the 20th item the user interrupts; what is in work then never ends
    global seen
    seen += 1
    if seen == 20:
        os.kill(os.getpid(), signal.SIGINT)
    if seen >= 20:
        await asyncio.Event().wait()
    return item

def pipeline(*steps):
    return IngestionPipeline(pubmed("s.xml.gz", processes=1), ledger="run.db", process=steps)

flow = ps.from_iterable(range(100)).map_async(interrupted, 2)
seen = 0
"""

CELLS = {
    "await a pipeline": "seen = 0\nawait pipeline(interrupted).run('o.jsonl')",
    "a pipeline's sync": "seen = 0\npipeline(interrupted).sync.run('o.jsonl')",
    "await a flow": "seen = 0\nawait flow.to_list()",
    "a flow's sync": "seen = 0\nflow.sync.to_list()",
    "sync in a cell that awaits": "await asyncio.sleep(0); seen = 0\nflow.sync.to_list()",
    "async for": "seen = 0\nasync for _ in flow: pass",
    "for": "seen = 0\nfor _ in flow.sync: pass",
    "a subscription": "seen = 0\nasync with flow.subscribe() as s:\n    while await s.request(1): pass",
}
"""Cells that are interrupted while they run."""

AFTER = """
await asyncio.sleep(0)
tasks = [task for task in asyncio.all_tasks() if "penstock" in f"{task.get_name()} {task.get_coro()!r}"]
threads = [one.name for one in threading.enumerate() if "penstock" in one.name]
tasks, threads
"""
LAST = """summary = await pipeline().run('o.jsonl')
summary.resumed, summary.counts['completed'], len(open('o.jsonl').readlines())"""
MISTAKE = "await ps.just(1).map(lambda x: x.missing).to_list()"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Return the outputs of all cells by their names, run in one kernel."""
    folder: Path = tmp_path_factory.mktemp("kernel")
    write_sample(folder / "s.xml.gz", 100)
    names = {"setup": SETUP, "flow": "flow", **CELLS, "after": AFTER, "mistake": MISTAKE, "last": LAST}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code.strip()) for code in names.values()]
    )
    for cell in notebook.cells:
        cell.metadata["tags"] = ["raises-exception"]
    ran = executed(notebook, folder)
    return dict(zip(names, (cell.outputs for cell in ran.cells), strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_an_interrupt_says_where_the_run_stands(cells: dict[str, list[Any]], name: str) -> None:
    """An interrupted cell ends with one line that says how far the run came, and no traceback."""
    error = cells[name][-1]
    assert error.ename in {"CancelledError", "KeyboardInterrupt"}
    [line] = error.traceback
    of_pipeline = "The run 'pubmed' was interrupted and closed: "
    of_flow = (
        "Interrupted and closed: <Subscription from_iterable | map_async: closed, ",
        "Interrupted: <Subscription",
    )
    assert line.startswith(of_pipeline if "pipeline" in name else of_flow)
    assert "documents completed" in line or ("closed, " in line and line.endswith(" delivered>"))


def test_an_interrupt_closes_everything(cells: dict[str, list[Any]]) -> None:
    """After interrupts no task or thread of a run is left, and the same call resumes behind what was committed."""
    assert cells["after"][-1].data["text/plain"] == "([], [])"
    assert cells["last"][-1].data["text/plain"] == "(True, 100, 100)"


def test_the_panel_is_one_output(cells: dict[str, list[Any]]) -> None:
    """A run has one output besides the value of its cell; it ends with how the run ended."""
    panel = cells["await a pipeline"][0]
    assert [one.output_type for one in cells["await a pipeline"]] == ["display_data", "error"]
    assert panel.data["text/plain"].startswith("pubmed: interrupted: ")
    assert "</div>" in panel.data["text/html"]
    assert [one.output_type for one in cells["last"]] == ["display_data", "execute_result"]
    assert cells["last"][0].data["text/plain"].startswith("pubmed: completed: ")


def test_a_flow_shows_its_picture(cells: dict[str, list[Any]]) -> None:
    """A flow at the end of a cell shows SVG and a short text; its places are lines of cells."""
    [shown] = cells["flow"]
    assert shown.data["image/svg+xml"].startswith("<svg")
    assert "In[1]:18 · holds" in shown.data["image/svg+xml"]
    assert shown.data["text/plain"] == "<Flow from_iterable | map_async>"


def test_an_error_names_the_cell(cells: dict[str, list[Any]]) -> None:
    """The note of an error names the cell and the line that assembled the operator."""
    error = cells["mistake"][-1]
    assert error.ename == "AttributeError"
    assert "penstock: in map at In[12]:1" in "\n".join(error.traceback)
