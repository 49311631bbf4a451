"""Pipelines for the server: generated records, and steps that a test holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock.adapters.pubmed.sample import write_sample

STEPS = """
import asyncio
passed = []
gate = asyncio.Event()
after = 0

async def held(document):
    if len(passed) >= after:
        await gate.wait()
    passed.append(document.doc_id)
    return document
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder with a sample of 60 records, of which one is malformed, and the pipeline ``p``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_sample(tmp_path / "sample.xml", 60, malformed=1)
    write_pipeline("p")
    return tmp_path


@pytest.fixture
def steps(folder):
    """Return a module of a step that passes ``after`` documents, and then waits for ``gate``."""
    Path("http_steps.py").write_text(STEPS)
    sys.modules.pop("http_steps", None)
    import http_steps

    yield http_steps
    sys.modules.pop("http_steps", None)


def write_pipeline(name, *lines, to=None, source="sample.xml"):
    """Write a pipeline file."""
    to = f"{name}.jsonl" if to is None else to
    text = [f'to = "{to}"', *lines, "[source]", 'adapter = "pubmed"', f'inputs = "{source}"']
    Path(f"{name}.toml").write_text("\n".join([*text, "[source.settings]", "processes = 1", ""]))
