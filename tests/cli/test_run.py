"""``penstock run``, ``init``, ``schema``, and the file that equals the options of ``ingest``."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock import redact
from penstock.adapters import find_adapter
from penstock.adapters.pubmed.sample import write_sample
from penstock.cli import job as job_module
from penstock.cli.as_file import as_file
from penstock.cli.file_job import FileJob
from penstock.cli.job import Job
from penstock.cli.main import main
from penstock.cli.options import RunOptions
from penstock.cli.run import FileOptions
from penstock.pipeline_file import json_schema, load
from penstock.pipeline_file.places import ledger_beside, output_of

PUBMED = find_adapter("pubmed")
NAMES = st.text(st.sampled_from("ab é'\"\\$${}\x7f#=[]\t"), min_size=1, max_size=6)
OUTPUTS = NAMES.map(lambda name: f"./{name}.jsonl") | st.sampled_from(
    ["x.db", "sqlite:///a b.db?table=t", "d/"]
)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    """Work in an empty folder, as the program ``penstock``, and forget afterwards what is to be hidden."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job_module, "program", lambda: ["penstock"])
    monkeypatch.setattr("penstock.cli.file_job.program", lambda: ["penstock"])
    monkeypatch.setattr(redact, "_concealed", {})


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(NAMES.map(lambda name: f"./{name}") | st.just("-"), min_size=1, max_size=3, unique=True),
    outputs=st.lists(OUTPUTS.filter(lambda name: name != "x.db"), min_size=1, max_size=2, unique=True),
    ledger=st.none() | st.just("l.db"),
    options=st.fixed_dictionaries(
        {},
        optional={
            "where": st.sampled_from(["year > 3", '"${" in title']),
            "columns": st.just("doc_id,year"),
            "raw": st.just(True),
            "key": NAMES.filter(str.strip),
            "limit": st.integers(1, 9),
            "grace": st.sampled_from([0.0, 1e-05, 20.5]),
            "fail_fast": st.just(True),
        },
    ),
    more=st.fixed_dictionaries({}, optional={"processes": st.just(2), "on_bad_file": st.just("skip")}),
)
def test_the_printed_file_describes_the_same_job(files, outputs, ledger, options, more):
    """The file that ``ingest --print-pipeline`` prints is read back as the same job, whatever its names are."""
    to, *also = map(output_of, outputs)
    place = Path(ledger) if ledger else ledger_beside([to, *also])
    job = Job(PUBMED, tuple(files), PUBMED.settings(**more), RunOptions(**options), to, place, tuple(also))
    Path("printed.toml").write_text(as_file(job), "utf-8")
    file = load("printed.toml", environment={})
    read = FileJob.of(file, (), FileOptions())
    assert (read.files, read.settings, read.outputs, read.ledger) == (
        job.files,
        job.settings,
        job.outputs,
        place,
    )
    assert read.adapter == job.adapter
    columns = file.model.columns and ",".join(file.model.columns)
    assert replace(read.options, where=file.model.where, columns=columns) == job.options


def test_init_writes_what_runs_and_fits_the_schema(capsys):
    """The file of ``init`` runs as it stands, once; the second run has nothing to do. Nothing is overwritten."""
    assert main(["init", "p.toml", "--records", "30"]) == 0
    assert main(["run", "p.toml", "--dry-run", "--explain"]) == 0
    assert not Path("articles.jsonl").exists()
    assert main(["run", "p.toml", "--no-progress"]) == 0
    told = capsys.readouterr().out
    assert "start over:    penstock run p.toml --no-progress --restart" in told
    assert Path("articles.jsonl").read_text()
    assert main(["run", "p.toml", "--no-progress"]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert main(["status", "p.toml"]) == 0
    written = Path("p.toml").read_bytes()
    assert main(["init", "p.toml"]) == 2
    assert Path("p.toml").read_bytes() == written


def test_the_schema_knows_the_settings_of_adapters(capsys):
    """The schema is valid, accepts what ``load`` accepts, and refuses wrong settings of an adapter."""
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == json_schema()
    check = jsonschema.Draft202012Validator(schema)
    check.check_schema(schema)
    good = {
        "to": "a.jsonl",
        "process": ["a:b"],
        "limit": False,
        "source": {"adapter": "pubmed", "inputs": "a.xml"},
    }
    assert check.is_valid(good)
    assert not check.is_valid(good | {"limit": 0})
    assert not check.is_valid(good | {"source": {"adapter": "pubmed", "settings": {"processes": 0}}})


def test_mistakes_are_lines_of_their_own(capsys):
    """Each mistake is a line on stderr that begins with the file and the line; the exit code is 2."""
    Path("p.toml").write_text(
        'to = "a.jsonl"\nlimit = 0\n[source]\nadapter = "pubmed"\ninputs = "a.xml"\nx = 1\n'
    )
    assert main(["run", "p.toml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["p.toml:2", "p.toml:6", "penstock"]


def test_the_commands_of_messages():
    """Messages advise commands with the file, its overrides, and what changes."""
    Path("p.toml").write_text(
        'to = "a.jsonl"\nlimit = 3\nfail_fast = true\n[source]\nadapter = "pubmed"\ninputs = "a.xml"\n'
    )
    job = FileJob.of(load("p.toml"), ("grace=1",), FileOptions(refresh=True))
    assert job.command() == "penstock run p.toml --set grace=1 --refresh"
    assert job.command(limited=False, refresh=False) == "penstock run p.toml --set grace=1 --set limit=false"
    assert job.command(restart=True, fail_fast=False).endswith("--set fail_fast=false --restart")
    skipping = replace(job, settings=job.settings.model_copy(update={"on_bad_file": "skip"}))
    assert shlex.split(skipping.command())[5:7] == ["--set", 'source.settings.on_bad_file="skip"']
    assert job.replay_command() == "penstock dead replay p.toml --set grace=1"


def test_letters_are_replayed_with_the_steps_of_the_file(monkeypatch, capsys):
    """A document that a step refused goes through the steps again, and into the outputs of the file."""
    write_sample(Path("a.xml"), 5)
    Path("p.toml").write_text(
        'to = "a.jsonl"\nprocess = ["replay_steps:step"]\n[source]\nadapter = "pubmed"\ninputs = "a.xml"\n'
        "settings.processes = 1\n"
    )
    Path("replay_steps.py").write_text(
        "import os\ndef step(document):\n"
        "    if os.environ.get('REFUSE'): raise ValueError('no')\n"
        "    return document.model_copy(update={'title': 'mended'})\n"
    )
    monkeypatch.syspath_prepend(".")
    monkeypatch.setenv("REFUSE", "1")
    assert main(["run", "p.toml", "--no-progress"]) == 1
    monkeypatch.delenv("REFUSE")
    assert main(["dead", "replay", "p.toml"]) == 0
    assert Path("a.jsonl").read_text().count('"title":"mended"') == 5
    capsys.readouterr()


def test_a_value_of_the_environment_is_not_in_the_receipt(monkeypatch, capsys):
    """Receipt, explain and progress show the name of a variable in place of its value."""
    write_sample(Path("a.xml"), 3)
    monkeypatch.setenv("PLACE", "swordfish")
    Path("p.toml").write_text(
        'to = "${PLACE}.jsonl"\n[source]\nadapter = "pubmed"\ninputs = "a.xml"\nsettings.processes = 1\n'
    )
    assert main(["run", "p.toml"]) == 0
    assert main(["run", "p.toml", "--dry-run", "--explain"]) == 0
    told = capsys.readouterr()
    assert "swordfish" not in told.out + told.err
    assert "${PLACE}.jsonl" in told.out
    assert Path("swordfish.jsonl").exists()
