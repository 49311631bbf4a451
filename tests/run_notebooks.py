"""Runs the notebooks in ``examples`` and writes them with their output: ``nox -s notebooks``.

Times, rates and random ids differ from run to run. A notebook whose output differs in nothing else stays as it
is, so that a diff shows only what has changed.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))

MEASURED = (
    (r"<table><tr><th>stage</th>.*?</table>", "STAGES"),
    (r'<div class="note">bottleneck: .*?</div>', "BOTTLENECK"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"duration=[\d.e-]+", "duration=T"),
    (r"\b[\d,.]+ docs/s", "R docs/s"),
    (r"\b\d[\d.]* (min|ms|s)\b( \d+ s)?", "T"),
)
"""What differs from run to run, and what stands for it when outputs are compared."""

VARIES = "varies"
"""The tag of a cell whose output is not compared: all of it was measured."""


def executed(notebook: Any, folder: Path) -> Any:
    """Run a notebook in ``folder`` and return it with its output; an error of a cell is raised."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    here = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_name="python3", timeout=60, record_timing=False, resources=here).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.language_info = {"name": "python"}  # without the version
    return notebook


def outputs(notebook: Any) -> list[list[dict[str, str]]]:
    """Return what each cell shows, without what differs from run to run: by MIME type, or by stream."""
    found = []
    for cell in notebook.cells:
        if VARIES in cell.metadata.get("tags", ()):
            continue
        shown = [one.get("data") or {one.name: one.text} for one in cell.get("outputs", [])]
        found.append([{kind: masked(str(text)) for kind, text in data.items()} for data in joined(shown)])
    return found


def joined(shown: list[dict[str, str]]) -> list[dict[str, str]]:
    """Join the pieces of a stream that follow each other: how many there are is chance."""
    whole: list[dict[str, str]] = []
    for one in shown:
        if whole and [*one] == [*whole[-1]] and one.keys() <= {"stdout", "stderr"}:
            whole[-1] = {kind: whole[-1][kind] + text for kind, text in one.items()}
        else:
            whole.append(dict(one))
    return whole


def masked(text: str) -> str:
    """Return ``text`` without figures that were measured, and without the folder that it ran in."""
    for pattern, instead in MEASURED:
        text = re.sub(pattern, instead, text, flags=re.DOTALL)
    return text


def without_folders(notebook: Any) -> None:
    """Remove the temporary folder of the run from all outputs."""
    folder = re.escape(tempfile.gettempdir()) + r"/tmp\w+/"  # noqa: S108  where mkdtemp makes it
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data") or output
            for kind, text in data.items():
                if isinstance(text, str):
                    data[kind] = re.sub(folder, "", text)


def main() -> None:
    """Run every notebook, and write those whose output has changed."""
    for path in NOTEBOOKS:
        before = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            now = executed(nbformat.from_dict(before), Path(folder))
        without_folders(now)
        is_same = outputs(before) == outputs(now) and before.metadata == now.metadata
        if not is_same:
            nbformat.write(now, path)
        sys.stdout.write(f"{'kept' if is_same else 'wrote'} {path.name}\n")


if __name__ == "__main__":
    main()
