"""Adapters of other distributions, through the command line in processes of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from penstock.adapters.registry import BUILT_IN

from .conftest import Penstock, article, articles, environment, pmid

LINES = '''
"""An adapter of JSON lines, and one that counts. A line is bad until the file ``mended`` exists."""
import json
from pathlib import Path

from expression import Error, Ok
from penstock import Document, Page, RawRecord
from penstock.abc import Source
from penstock.adapters import Adapter, AdapterEntry
from penstock.errors import DocumentError
from pydantic import BaseModel, Field, SecretStr


class Lines(Source):
    name = "lines"

    def __init__(self, *paths, prefix=""):
        self.paths, self.prefix = paths, prefix

    async def fetch(self, position):
        for index, path in enumerate(self.paths):
            if index >= (position or 0):
                records = [RawRecord(f"{path}#{n}", line) for n, line in enumerate(Path(path).read_bytes().splitlines())]
                yield Page(records, position=index + 1)

    def identify(self, raw):
        return raw.key

    def parse(self, raw):
        if raw.data.startswith(b"bad") and not Path("mended").exists():
            return Error(DocumentError("it is bad"))
        return Ok(Document(doc_id=raw.key, source="lines", title=self.prefix + raw.data.decode()))


class Count(Lines):
    name = "count"

    def __init__(self, number):
        self.number = number

    async def fetch(self, position):
        if not position:
            yield Page([RawRecord(str(n), b"a number") for n in range(self.number)], position=1)

    prefix = ""


class LinesSettings(BaseModel):
    """How lines are read."""

    prefix: str = Field(default="", description="Put this before every title.")
    tags: list[str] = Field(default_factory=list, description="Words that are ignored.")
    loud: bool = Field(default=False, description="A switch that is ignored.")


class CountSettings(BaseModel):
    number: int = Field(ge=1, le=9, description="Count up to this number.")
    token: SecretStr | None = Field(default=None, description="A password.")


class Clash(BaseModel):
    limit: int = 1


lines = AdapterEntry(
    name="lines",
    description="Lines of text.",
    inputs="Text files.",
    settings=LinesSettings,
    build=lambda inputs, settings: Adapter(Lines(*inputs, prefix=settings.prefix), page_size=100),
    replay=lambda: Adapter(Lines()),
)
count = AdapterEntry(
    name="count",
    description="Counts.",
    inputs=None,
    settings=CountSettings,
    build=lambda inputs, settings: Adapter(Count(settings.number), page_size=10),
    replay=lambda: Adapter(Count(0)),
)
clash = AdapterEntry(
    name="clash", description="-", inputs=None, settings=Clash, build=count.build, replay=count.replay
)
'''


def distribution(folder: Path, name: str, points: str, **modules: str) -> None:
    """Lay an installed distribution into ``folder``: its modules and its ``.dist-info``."""
    metadata = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[penstock.adapters]\n{points}\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)


class WithPlugins:
    """The command in a process that finds the distributions in the folder ``plugins``."""

    def __init__(self, penstock: Penstock) -> None:
        self.penstock = penstock
        self.folder = penstock.folder

    def __call__(self, line: str) -> subprocess.CompletedProcess[str]:
        return self.penstock.shell(line, PYTHONPATH=f"plugins:{environment()['PYTHONPATH']}")


@pytest.fixture
def shell(penstock: Penstock) -> WithPlugins:
    """Return a shell with one good distribution and one broken one."""
    plugins = penstock.folder / "plugins"
    points = "lines = pen_lines:lines\ncount = pen_lines:count\nclash = pen_lines:clash"
    distribution(plugins, "pen-lines", points, pen_lines=LINES)
    distribution(
        plugins, "pen-broken", "rusty = pen_broken:entry", pen_broken="import no_such_module_anywhere"
    )
    (penstock.folder / "in.txt").write_text("one\nbad two\nthree\n")
    return WithPlugins(penstock)


BROKEN = (
    "the entry point rusty = pen_broken:entry of pen-broken 1.2 cannot be loaded: "
    "ModuleNotFoundError: No module named 'no_such_module_anywhere'"
)


@pytest.mark.slow
def test_the_list_has_every_adapter_and_reports_the_broken_one(shell: WithPlugins) -> None:
    """Name, description, inputs and origin on stdout; a warning on stderr; exit code 0."""
    done = shell("penstock adapters")
    assert (done.returncode, done.stderr) == (0, f"penstock: warning: {BROKEN}\n")
    assert "lines: Lines of text.\n  inputs   Text files.\n  from     pen-lines 1.2\n" in done.stdout
    assert "count: Counts.\n  inputs   none: it asks a source\n" in done.stdout
    assert "pubmed: Citations from PubMed XML files or MEDLINE text.\n" in done.stdout
    assert "  proof    its parser was run over real records\n  licence  NLM's terms" in done.stdout


def test_the_list_for_programs(shell: WithPlugins) -> None:
    """One JSON object a line, with the JSON Schema of the settings."""
    done = shell("penstock adapters --json")
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"clash", "count", "lines", *BUILT_IN}
    upstream = [rows[name] for name in BUILT_IN if rows[name]["proof"]]
    assert {"clinicaltrials", "pubmed"} <= {row["name"] for row in upstream}
    assert all(row[fact] for row in upstream for fact in ("licence", "homepage"))
    assert (rows["lines"]["origin"], rows["lines"]["inputs"]) == ("pen-lines 1.2", "Text files.")
    assert rows["count"]["settings"]["properties"]["number"]["maximum"] == 9


def test_help_comes_from_the_registry(shell: WithPlugins) -> None:
    """``ingest --help`` lists the adapters that can be used; ``ingest NAME --help`` has its settings."""
    done = shell("penstock ingest --help")
    assert (done.returncode, "lines" in done.stdout, "pubmed" in done.stdout) == (0, True, True)
    broken, clash = done.stderr.splitlines()
    assert broken == f"penstock: warning: {BROKEN}"
    assert "'clash' of pen-lines 1.2 cannot become options" in clash
    assert "options of the same name: limit" in clash
    done = shell("penstock ingest lines --help")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        "Lines of text.",
        "FILES  Text files.",
        "--prefix",
        "Put this before every title.",
        "--limit",
    ):
        assert words in done.stdout
    assert "FILES" not in shell("penstock ingest count --help").stdout


def test_an_adapter_of_another_distribution_ingests(shell: WithPlugins) -> None:
    """Its settings arrive, and the command of the receipt repeats them."""
    done = shell("penstock ingest lines in.txt --to out.jsonl --prefix='- ' --tags a --tags b --loud")
    assert (done.returncode, "failed: in.txt#1: it is bad" in done.stderr) == (1, True), done.stderr
    titles = [json.loads(line)["title"] for line in (shell.folder / "out.jsonl").read_text().splitlines()]
    assert titles == ["- one", "- three"]
    again = done.stdout.split("start over:")[1].strip()
    assert "ingest lines --to out.jsonl '--prefix=- ' --tags a --tags b --loud --restart in.txt" in again
    assert shell(again).returncode == 1


def test_dead_letters_are_replayed_by_the_name_of_their_adapter(shell: WithPlugins) -> None:
    """The registry builds the adapter; the input is not needed."""
    shell("penstock ingest lines in.txt --to out.jsonl")
    (shell.folder / "in.txt").unlink()
    (shell.folder / "mended").touch()
    done = shell("penstock dead replay out.jsonl")
    assert (done.returncode, "replayed 1: 1 completed" in done.stdout) == (0, True), done.stderr
    assert json.loads((shell.folder / "out.jsonl").read_text().splitlines()[-1])["title"] == "bad two"


def test_dead_letters_of_an_adapter_that_is_not_installed(shell: WithPlugins, penstock: Penstock) -> None:
    """Exit code 2, with the known names and the way from Python."""
    shell("penstock ingest lines in.txt --to out.jsonl")
    done = penstock("dead", "replay", "out.jsonl")
    assert done.returncode == 2
    sentence, hint = done.stderr.splitlines()
    known = ", ".join(sorted(BUILT_IN))
    assert sentence == f"penstock: there is no adapter 'lines'; the known adapters are: {known}"
    assert "IngestionPipeline(adapter" in hint


def test_an_adapter_without_inputs(shell: WithPlugins) -> None:
    """It takes no files; a required setting must be given; a secret is not in the printed command."""
    refused = shell("penstock ingest count in.txt --to out.jsonl --number 3")
    assert (refused.returncode, "count reads no files: leave out in.txt" in refused.stderr) == (2, True)
    missing = shell("penstock ingest count --to out.jsonl")
    assert (missing.returncode, "--number" in missing.stderr) == (2, True)
    wrong = shell("penstock ingest count --to out.jsonl --number 10 --token hunter2")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("penstock: --number must be at most 9")
    assert wrong.stderr.count("\n") == 1
    done = shell("penstock ingest count --to out.jsonl --number 3 --token hunter2")
    assert done.returncode == 0, done.stderr
    assert "penstock ingest count --to out.jsonl --number 3 --refresh\n" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_a_broken_distribution_does_not_disturb_the_others(shell: WithPlugins) -> None:
    """Another adapter runs without a warning; the broken one is refused with the reason."""
    (shell.folder / "a.xml").write_bytes(articles(article(pmid(1))))
    done = shell("penstock ingest pubmed a.xml --to out.jsonl --no-progress")
    assert (done.returncode, done.stderr) == (0, "")
    done = shell("penstock ingest rusty a.xml --to out.jsonl")
    assert (done.returncode, done.stderr) == (2, f"penstock: {BROKEN}\n")


def test_a_name_that_two_distributions_have(shell: WithPlugins) -> None:
    """Both are refused, and the message names them."""
    distribution(shell.folder / "plugins", "pen-other", "lines = pen_lines:lines")
    done = shell("penstock ingest lines in.txt --to out.jsonl")
    assert done.returncode == 2
    assert "each have an adapter 'lines': uninstall all of them but one" in done.stderr
    assert "pen-lines 1.2" in done.stderr
    assert "pen-other 1.2" in done.stderr


def test_an_unknown_name(shell: WithPlugins) -> None:
    """The message lists the known names."""
    done = shell("penstock ingest pubmet a.xml --to out.jsonl")
    assert done.returncode == 2
    known = ", ".join(sorted([*BUILT_IN, "clash", "count", "lines", "rusty"]))
    assert done.stderr == f"penstock: there is no adapter 'pubmet'; the known adapters are: {known}\n"
