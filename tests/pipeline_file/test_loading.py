"""Reading pipeline files: what they mean, and every mistake with its line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from penstock import redact
from penstock.adapters.pubmed.sample import write_sample
from penstock.pipeline_file import PipelineFileError, load
from penstock.sinks import MemorySink

SOURCE = '[source]\nadapter = "pubmed"\ninputs = "a.xml"\n'
GOOD = f'to = "out.jsonl"\n{SOURCE}'


@pytest.fixture(autouse=True)
def nothing_concealed(monkeypatch):
    """Forget afterwards what a test has told to hide."""
    monkeypatch.setattr(redact, "_concealed", {})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder that has a module of steps."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("file_steps.py").write_text("number = 1\ndef keep(document, **more):\n    return document\n")
    Path("file_broken.py").write_text("1 / 0\n")
    Path("file_needy.py").write_text("import no_such_thing\n")
    return tmp_path


def mistakes(text, *, overrides=(), environment=None):
    """Return the mistakes of a text as they are printed."""
    Path("p.toml").write_text(text, "utf-8")
    with pytest.raises(PipelineFileError) as caught:
        load("p.toml", overrides=overrides, environment=environment or {})
    return str(caught.value).splitlines()


TABLE = {
    f"{GOOD}[retry]\nattempts = 0\n": ["p.toml:6: retry.attempts must be at least 1, not 0"],
    f"{GOOD}[retry]\nattempts = true\n": ["p.toml:6: retry.attempts must be a whole number, not true"],
    f"{GOOD}[retry]\ncap = 'x'\n": ['p.toml:6: retry.cap must be a number, not "x"'],
    f"{GOOD}[retry]\nretry_on = 'OSError'\n": ["p.toml:6: retry.retry_on must be an import path"],
    f"{GOOD}[retry]\nretry_on = []\n": ["p.toml:6: retry.retry_on must not be empty"],
    f"{GOOD}[retry]\nretry_on = 'builtins:OSEror'\n": ["p.toml:6: builtins has no OSEror: did you mean OSError?"],
    f"{GOOD}[retry]\nretry_on = ['builtins:OSError', 'builtins:dict']\n": [
        "p.toml:6: builtins:dict is the class dict: name classes of exceptions, or one function and nothing else"
    ],
    f"{GOOD}[retry]\nretry_on = 'file_steps:number'\n": ["p.toml:6: file_steps:number is of the type int: name classes of exceptions"],
    f"limit = true\n{GOOD}": ["p.toml:1: limit must be a whole number of at least 1, or false, not true"],
    f"limt = 3\n{GOOD}": ["p.toml:1: limt is unknown: did you mean limit?"],
    f"qqq = 3\n{GOOD}": ["p.toml:1: qqq is unknown; the keys are: source, to, columns"],
    f"attempts = 3\n{GOOD}": ["p.toml:1: attempts is unknown: it belongs to [retry]"],
    f"{GOOD}limit = 3\n": ["p.toml:5: source.limit is unknown: it belongs above the first [table] of the file"],
    f"{GOOD}processes = 3\n": [
        "p.toml:5: source.processes is unknown: the settings of an adapter belong to [source.settings]"
    ],
    f"{GOOD}[source.settings]\n\nproceses = 3\n": [
        "p.toml:7: source.settings.proceses is unknown: did you mean processes?"
    ],
    f"{GOOD}[source.settings]\nprocesses = 0\n": ["p.toml:6: source.settings.processes must be at least 1, not 0"],
    f"{GOOD}[source.settings]\non_bad_file = 'no'\n": [
        "p.toml:6: source.settings.on_bad_file must be 'stop' or 'skip', not \"no\""
    ],
    SOURCE: ["p.toml: to is missing"],
    "to = 'a.jsonl'\n[source]\ninputs = 'a.xml'\n": ["p.toml:2: source.adapter is missing"],
    "to = 'a.jsonl'\n[source]\nadapter = 'pubmd'\n": [
        "p.toml:3: there is no adapter 'pubmd'; the known adapters are: "
    ],
    "to = 'a.jsonl'\n[source]\nadapter = 'pubmed'\n": ["p.toml:2: source.inputs is missing or empty"],
    f"to = [\n 'a.jsonl',\n 'b.odd',\n]\n{SOURCE}": ["p.toml:3: no sink is known for 'b.odd'"],
    f"columns = ['yeer']\n{GOOD}": ["p.toml:1: "],
    f"where = 'yeer > 3'\n{GOOD}": ["p.toml:1: where='yeer > 3': character 1: there is no column 'yeer': did you mean year?"],
    f"where = 3\n{GOOD}": ["p.toml:1: where must be an expression in quotes, or a table with the key function, not 3"],
    f"where = {{ function = 'x' }}\n{GOOD}": ["p.toml:1: where.function must be an import path"],
    f"process = ['file_steps:keep', 'x']\n{GOOD}": ["p.toml:1: process[1] must be an import path"],
    f"process = [\n'file_steps:keep',\n'file_steps:kep']\n{GOOD}": [
        "p.toml:3: file_steps has no kep: did you mean keep?"
    ],
    f"process = ['file_steps:number']\n{GOOD}": ["p.toml:1: file_steps:number is no function but int"],
    f"process = ['file_nothing:x']\n{GOOD}": ["p.toml:1: there is no module file_nothing"],
    f"process = ['file_broken:x']\n{GOOD}": ["p.toml:1: file_broken cannot be imported: ZeroDivisionError"],
    f"process = ['file_needy:x']\n{GOOD}": ["p.toml:1: file_needy cannot be imported: it needs no_such_thing"],
    f"key = '${{NO_SUCH}}'\n{GOOD}": ["p.toml:1: the variable NO_SUCH is not set"],
    f"key = '${{1}}'\n{GOOD}": ["p.toml:1: '${1}' is no variable"],
    f"{GOOD}a = \n": ["p.toml:5: this is not TOML: invalid value"],
    "to = 'a": ["p.toml:1: this is not TOML"],
    f"limit = 0\nprogress_every = 0\nwhere = 'yeer > 3'\nprocess = ['x']\n{GOOD}[retry]\nattempts = 0\nx = 1\n": [
        "p.toml:1: limit must be", "p.toml:2: progress_every must be", "p.toml:3: where=", "p.toml:4: process[0] must",
        "p.toml:10: retry.attempts must be", "p.toml:11: retry.x is unknown",
    ],
}  # fmt: skip


def test_each_mistake_has_its_line(folder):
    """Every kind of mistake is reported with its line and key; several mistakes are reported together."""
    for text, wanted in TABLE.items():
        found = mistakes(text)
        assert len(found) == len(wanted), (text, found)
        for line, start in zip(found, wanted, strict=True):
            assert line.startswith(start), (text, found)


def test_mistakes_of_overrides(folder):
    """A mistake in an override is reported as one of --set."""
    found = mistakes(GOOD, overrides=["retry.attempts=0"])
    assert found == ["--set: retry.attempts must be at least 1, not 0"]
    assert "--set: 'x' must be a key and a value" in mistakes(GOOD, overrides=["x"])[0]
    assert "to is no table" in mistakes(GOOD, overrides=["to.x=1"])[0]


def test_overrides_are_toml_or_texts(folder):
    """An override has a TOML value; what is no TOML is a text."""
    Path("p.toml").write_text(GOOD)
    model = load(
        "p.toml", overrides=["retry.attempts=7", "to=b.csv", "limit=false", "columns=['year']"]
    ).model
    assert (model.retry.attempts, model.to, model.limit, model.columns) == (7, ["b.csv"], False, ["year"])


def test_a_value_of_the_environment_is_never_shown(folder):
    """A mistake in a value of a variable shows the name of the variable; so do explain and the repr of outputs."""
    hidden = "hunter2-swordfish"
    for text in (
        f"to = '${{S}}.odd'\n{SOURCE}",
        f"where = '${{S}} >'\n{GOOD}",
        f"limit = '${{S}}'\n{GOOD}",
        f"process = ['${{S}}']\n{GOOD}",
        f"{GOOD}[source.settings]\non_bad_file = '${{S}}'\n",
    ):
        found = mistakes(text, environment={"S": hidden})
        assert found, text
        assert hidden not in "".join(found)
    Path("p.toml").write_text(f"process=[{{function='file_steps:keep', arguments={{k='${{S}}'}}}}]\n{GOOD}")
    pipeline, sink = load("p.toml", environment={"S": hidden}).build()
    assert hidden not in pipeline.explain(sink)
    assert "process     keep" in pipeline.explain(sink)


def test_variables(folder):
    """Values, defaults and escapes, in texts only; a number may come from a variable."""
    Path("p.toml").write_text(f"key='${{A}}-${{B:-b c}}-$${{A}}'\nlimit='${{N:-5}}'\n{GOOD}")
    model = load("p.toml", environment={"A": "x"}).model
    assert (model.key, model.limit) == ("x-b c-${A}", 5)


def test_paths_begin_at_the_file(folder):
    """Relative paths begin at the folder of the file; absolute ones, URLs of servers and stdin stay."""
    sub = folder / "s[u]b"
    sub.mkdir()
    to = '["a.jsonl", "d/", "sqlite:///x.db?table=t", "sqlite:////y.db", "-"]'
    (sub / "p.toml").write_text(f'to={to}\n[source]\nadapter="pubmed"\ninputs=["i.xml", "/j.xml", "-"]\n')
    file = load("s[u]b/p.toml")
    assert file.inputs == ("s[[]u]b/i.xml", "/j.xml", "-")
    assert [str(output) for output in file.outputs] == [
        "s[u]b/a.jsonl", "s[u]b/d/", "sqlite:///s%5Bu%5Db/x.db?table=t", "sqlite:////y.db", "-",
    ]  # fmt: skip
    assert file.ledger == Path("s[u]b/a.jsonl.ledger.db")


def test_the_errors_that_are_tried_again_have_import_paths(folder):
    """``retry_on`` names kinds of errors, or a function, and a step that raises one of them is tried again."""
    Path("file_flaky.py").write_text(
        "class Busy(Exception): pass\n"
        "def passes(error): return isinstance(error, Busy)\n"
        "seen = set()\n"
        "def step(document):\n"
        "    if document.doc_id not in seen:\n"
        "        seen.add(document.doc_id)\n"
        "        raise Busy\n"
        "    return document\n"
    )
    write_sample(Path("i.xml"), 3)
    head = 'to = "-"\nledger = false\nprocess = ["file_flaky:step"]\n[source]\nadapter = "pubmed"\ninputs = "i.xml"\n'
    for retry_on in (
        "'file_flaky:Busy'",
        "['builtins:OSError', 'file_flaky:Busy']",
        "'file_flaky:passes'",
        None,
    ):
        line = "" if retry_on is None else f"retry_on = {retry_on}\n"
        Path("p.toml").write_text(f"{head}[retry]\ninitial = 0\n{line}")
        sys.modules.pop("file_flaky", None)
        pipeline, _ = load("p.toml").build()
        counts = pipeline.sync.run(MemorySink()).counts
        assert (counts["completed"], counts["failed"]) == ((3, 0) if retry_on else (0, 3))


def test_the_file_of_the_docs_runs(folder):
    """The file and the steps on the page about pipelines run, and do what they say."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "pipelines.md").read_text("utf-8")
    Path("docs.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    Path("steps.py").write_text(page.split("```{.python notest}\n")[1].split("```")[0])
    write_sample(Path("sample.xml.gz"), 12)
    pipeline, sink = load("docs.toml", environment={}).build()
    summary = pipeline.sync.run(sink)
    assert summary.counts["completed"] == len(Path("articles.jsonl").read_text().splitlines()) > 0
    assert Path("articles.db").exists()
    titles = [json.loads(line)["title"] for line in Path("articles.jsonl").read_text().splitlines()]
    assert max(map(len, titles)) <= 40
