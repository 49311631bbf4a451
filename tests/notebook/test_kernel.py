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


def outputs_of_cells(folder: Path) -> dict[str, list[Any]]:
    """Return the outputs of all cells by their names, run in one kernel."""
    write_sample(folder / "s.xml.gz", 100)
    names = {"setup": SETUP, "flow": "flow", **CELLS, "after": AFTER, "mistake": MISTAKE, "last": LAST}
    cells = [nbformat.v4.new_code_cell(code.strip()) for code in names.values()]
    for cell in cells:
        cell.metadata["tags"] = ["raises-exception"]
    ran = executed(nbformat.v4.new_notebook(cells=cells), folder)
    return dict(zip(names, (cell.outputs for cell in ran.cells), strict=True))


@pytest.mark.slow
def test_in_a_kernel(tmp_path: Path) -> None:
    """One kernel, because to start one takes seconds, keeps everything that the functions below check."""
    cells = outputs_of_cells(tmp_path)
    for name in CELLS:
        check_interrupt(name, cells[name])
    check_closed(cells)
    check_panel(cells)
    check_picture(cells["flow"])
    check_error(cells["mistake"])


def check_interrupt(name: str, outputs: list[Any]) -> None:
    """Check that an interrupted cell ends with one line, which says how far the run came, and no traceback."""
    error = outputs[-1]
    assert error.ename in {"CancelledError", "KeyboardInterrupt"}, name
    assert len(error.traceback) == 1, name
    [line] = error.traceback
    of_pipeline = "The run 'pubmed' was interrupted and closed: "
    of_flow = (
        "Interrupted and closed: <Subscription",
        "Interrupted: <Subscription",
        "Interrupted: what this cell ran is closed.",
    )
    assert line.startswith(of_pipeline if "pipeline" in name else of_flow), name
    assert "running" not in line, name


def check_closed(cells: dict[str, list[Any]]) -> None:
    """Check that no task or thread of a run is left, and that the same call resumes behind what was committed."""
    assert cells["after"][-1].data["text/plain"] == "([], [])"
    assert cells["last"][-1].data["text/plain"] == "(True, 100, 100)"


def check_panel(cells: dict[str, list[Any]]) -> None:
    """Check that a run has one output besides the value of its cell, which ends with how the run ended."""
    panel = cells["await a pipeline"][0]
    assert [one.output_type for one in cells["await a pipeline"]] == ["display_data", "error"]
    assert panel.data["text/plain"].startswith("pubmed: interrupted: ")
    assert "</div>" in panel.data["text/html"]
    assert [one.output_type for one in cells["last"]] == ["display_data", "execute_result"]
    assert cells["last"][0].data["text/plain"].startswith("pubmed: completed: ")


def check_picture(outputs: list[Any]) -> None:
    """Check that a flow at the end of a cell shows SVG and a short text; its places are lines of cells."""
    [shown] = outputs
    assert shown.data["image/svg+xml"].startswith("<svg")
    assert "In[1]:18 · holds" in shown.data["image/svg+xml"]
    assert shown.data["text/plain"] == "<Flow from_iterable | map_async>"


def check_error(outputs: list[Any]) -> None:
    """Check that the note of an error names the cell and the line that assembled the operator."""
    assert outputs[-1].ename == "AttributeError"
    assert "penstock: in map at In[12]:1" in "\n".join(outputs[-1].traceback)
