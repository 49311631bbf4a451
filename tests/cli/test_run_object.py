"""``penstock run module:object``: pipelines in Python, and a run on a real terminal that Ctrl-C ends."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.adapters.pubmed.sample import write_sample
from penstock.cli.main import main

from .conftest import COMMAND, environment

MODULE = """
from pathlib import Path

from penstock import IngestionPipeline
from penstock.adapters import pubmed
from penstock.sinks import CallbackSink, MemorySink

kept = MemorySink()
number = 3

def upper(document):
    if "7" in document.doc_id and Path("broken").exists():
        raise ValueError("seven")
    return document.model_copy(update={"title": document.title.upper()})

def make(**options):
    return IngestionPipeline(pubmed("i.xml"), process=[upper], **options)

alone = make()
to_file = make(), "o.jsonl"
to_both = lambda: (make(), ["p.jsonl", "p.csv"])
to_memory = make(ledger="m.db"), kept
wrong_pair = make(), 3

def needs(one): return alone
def breaks(): raise KeyError("x")
def nothing(): pass
async def later(): return alone
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Work in a folder with a module and an input; Python does not know the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.delitem(sys.modules, "object_pipelines", raising=False)
    monkeypatch.setattr("penstock.cli.object_job.program", lambda: ["penstock"])
    Path("object_pipelines.py").write_text(MODULE)
    write_sample(Path("i.xml"), 30)


def run(*words: str) -> int:
    return main(["run", *words, "--no-progress"])


def test_each_kind_of_object_runs_and_continues(capsys):
    """A pair, and a function that returns one, write where they say; alone, a pipeline needs ``--to``."""
    assert run("object_pipelines:alone", "--to", "a.jsonl") == 0
    told = capsys.readouterr().out
    assert "new files:     penstock run object_pipelines:alone --to a.jsonl --no-progress" in told
    assert Path("a.jsonl.ledger.db").exists()
    assert run("object_pipelines:to_file", "--limit", "10") == 0
    assert run("object_pipelines:to_file") == 0
    assert run("object_pipelines:to_both") == 0
    assert Path("a.jsonl").read_bytes() == Path("o.jsonl").read_bytes() == Path("p.jsonl").read_bytes()
    assert Path("p.csv").exists()
    capsys.readouterr()
    assert run("object_pipelines:to_both") == 0
    assert "nothing to do: p.jsonl, p.csv already has all documents" in capsys.readouterr().out


def test_a_sink_of_the_user_gets_the_documents(capsys):
    """Without a path, the receipt names the sink, and status and dead letters are found by the ledger."""
    assert run("object_pipelines:to_memory") == 0
    told = capsys.readouterr().out
    assert "output    memory" in told
    assert "ledger    m.db" in told
    assert len(sys.modules["object_pipelines"].kept.documents) == 30
    assert main(["run", "object_pipelines:to_memory", "--dry-run", "--explain"]) == 0
    told = capsys.readouterr().out
    assert "process     upper (concurrency 1)" in told
    assert "can run; nothing was opened" in told


def test_dead_letters_are_replayed_with_the_steps_of_the_object(capsys):
    """``dead replay module:object`` runs the step that failed, as it is today."""
    Path("broken").touch()
    assert run("object_pipelines:to_file") == 1
    told = capsys.readouterr().out
    assert "try again:     penstock dead replay object_pipelines:to_file" in told
    (command,) = re.findall(r"what failed: +penstock (.*)", told)
    assert main(command.split()) == 0
    Path("broken").unlink()
    capsys.readouterr()
    assert main(["dead", "replay", "object_pipelines:to_file"]) == 0
    assert "0 failed again" in capsys.readouterr().out


def test_quiet_prints_only_what_somebody_must_read(capsys):
    """Nothing after a run without failures; otherwise one line with the command that lists what failed."""
    assert main(["run", "object_pipelines:to_file", "--quiet", "--limit", "3"]) == 0
    assert capsys.readouterr() == ("", "")
    Path("broken").touch()
    assert main(["run", "object_pipelines:to_file", "--quiet"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    said = "penstock: 2 documents failed; to list them: penstock dead list o.jsonl.ledger.db --key pubmed\n"
    assert re.sub(r"\d+ doc", "2 doc", err) == said
    assert main(["run", "object_pipelines:to_file", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["no_such_module:x"],
            "there is no module no_such_module: install it, or start the command in its folder",
        ),
        (["object_pipelines:alon"], "object_pipelines has no alon: did you mean alone?"),
        (
            ["object_pipelines:number"],
            "object_pipelines:number is of the type int; it must be an IngestionPipeline",
        ),
        (["object_pipelines:kept"], "object_pipelines:kept is of the type MemorySink; it must be"),
        (["object_pipelines:nothing"], "object_pipelines:nothing returns None; it must be"),
        (["object_pipelines:wrong_pair"], "is (IngestionPipeline, int); it must be"),
        (["object_pipelines:needs"], "needs() raised TypeError: needs() missing 1 required"),
        (["object_pipelines:breaks"], "breaks() raised KeyError: 'x'"),
        (["object_pipelines:later"], "object_pipelines:later is an async function: write a plain one"),
        (["object_pipelines:alone"], "object_pipelines:alone says not where documents go: add --to"),
        (["object_pipelines:to_file", "--set", "limit=3"], "--set changes a pipeline file, and"),
        (["p.toml", "--to", "x.jsonl"], "--to belongs to MODULE:OBJECT"),
        (["p.tml"], "p.tml: no such file or directory"),
    ],
)
def test_mistakes_are_named(words, said, capsys):
    """Whatever is not a pipeline is refused in one sentence, with exit code 2, and nothing is written."""
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1
    assert not list(Path().glob("*.db*"))


PIPELINE = """
to = "{to}"
checkpoint_every = 50
process = ["slow_steps:slow"]
[source]
adapter = "pubmed"
inputs = "i.xml"
"""


def on_a_terminal(*words: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start the command with a terminal of its own, so that Ctrl-C reaches it as a key; return its other end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLING, os.fspath(COMMAND), *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(SLOW="1"),
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


CONTROLLING = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def read_until(terminal: int, words: str | None) -> str:
    """Read what the screen gets until a pattern comes; ``None`` reads to the end."""
    seen, text = b"", ""
    while words is None or not re.search(words, text):
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # Linux: the other end is closed
            piece = b""
        if not piece:
            assert words is None, text
            break
        seen += piece
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode("utf-8", "replace"))
    return text


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_ends_a_run_that_the_same_command_continues():
    """The key ends with exit code 130 and the command that resumes, which makes the output of a whole run."""
    Path("slow_steps.py").write_text(
        "import os, time\ndef slow(d):\n    time.sleep(0.01 * ('SLOW' in os.environ))\n    return d\n"
    )
    write_sample(Path("i.xml"), 300)
    for name in ("whole", "stopped"):
        Path(f"{name}.toml").write_text(PIPELINE.format(to=f"{name}.jsonl"))
    process, terminal = on_a_terminal("run", "stopped.toml")
    try:
        read_until(terminal, r"\d\d done")
        os.write(terminal, b"\x03")
        told = read_until(terminal, None)
    finally:
        process.kill()
        code = process.wait()
    os.close(terminal)
    assert code == 130, told
    assert "penstock: interrupted, " in told
    (command,) = re.findall(r"to resume: +\S*penstock (.*?)\r", told)
    assert 0 < len(Path("stopped.jsonl").read_bytes().splitlines()) < 300
    assert main([*command.split(), "--no-progress"]) == 0
    assert run("whole.toml") == 0
    assert Path("stopped.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
