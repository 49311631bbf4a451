"""The notebooks in ``examples`` run from top to bottom, and show what they are committed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

from .run_notebooks import NOTEBOOKS, executed, outputs, without_folders

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, tmp_path: Path) -> None:
    """Every cell runs, and the output is the committed one, but for figures that were measured."""
    committed = nbformat.read(path, as_version=4)
    now = executed(nbformat.read(path, as_version=4), tmp_path)
    without_folders(now)
    assert outputs(now) == outputs(committed), "run nox -s notebooks"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_shows_no_machine(path: Path) -> None:
    """A committed notebook has the output of every cell in order, and no path or version of a machine."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    assert notebook.metadata.language_info == {"name": "python"}
    text = path.read_text("utf-8")
    assert not [word for word in ("/tmp", "/home", "/root", "/Users", "0x") if word in text]  # noqa: S108
