"""``penstock graph``: text, Mermaid and SVG of files, pipelines and flows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lxml import etree

from penstock.adapters.pubmed.sample import write_sample
from penstock.cli.main import main

MODULE = """
import penstock as ps
from penstock import IngestionPipeline
from penstock.adapters import pubmed
def shorten(document): return document
pipeline = IngestionPipeline(pubmed("i.xml"), process=[shorten], concurrency=3, where="year > 3"), "o.jsonl"
flow = ps.from_iterable([1]).map(str)
"""
FILE = 'to = ["o.jsonl", "p.csv"]\nprocess = ["graph_objects:shorten"]\n[source]\nadapter = "pubmed"\ninputs = "i.xml"\n'


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Work in a folder with a pipeline file and a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "graph_objects", raising=False)
    Path("graph_objects.py").write_text(MODULE)
    Path("p.toml").write_text(FILE)
    write_sample(Path("i.xml"), 3)


@pytest.mark.parametrize(
    ("name", "text", "mermaid"),
    [
        ("p.toml", "process     shorten (concurrency 1)", "n1 --> n2"),
        ("graph_objects:pipeline", "where       year > 3", "shorten(concurrency=3)"),
        ("graph_objects:flow", "map(function=str)", "n0 --> n1"),
    ],
)
def test_each_has_three_forms(name: str, text: str, mermaid: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The text is that of ``explain()``, the pictures show the same steps, and nothing is written."""
    before = set(Path().iterdir())
    assert main(["graph", name]) == 0
    assert text in capsys.readouterr().out
    assert main(["graph", name, "--format", "mermaid"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("flowchart TD\n")
    assert mermaid in shown
    assert main(["graph", name, "--format", "svg"]) == 0
    assert etree.fromstring(capsys.readouterr().out).tag.endswith("svg")
    assert set(Path().iterdir()) - before <= {Path("__pycache__")}


def test_what_has_no_graph_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Another object, and ``--set`` for a module, end with 2 and one sentence."""
    assert main(["graph", "graph_objects:MODULE"]) == 2
    assert "graph_objects has no MODULE" in capsys.readouterr().err
    assert main(["graph", "graph_objects:flow", "--set", "limit=3"]) == 2
    assert "--set changes a pipeline file" in capsys.readouterr().err
