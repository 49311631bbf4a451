"""``penstock`` itself: usage, version, help, and the message without its extra."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from penstock.cli.main import main
from penstock.errors import install_command

from .conftest import article, articles, pmid

BARE = """
import sys
for name in ("cyclopts", "rich"):
    sys.modules[name] = None  # as if it were not installed
from penstock.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

EAGER = """
import sys
from penstock.cli.main import main
main(["--version"])
main(["--help"])
heavy = {"pydantic", "lxml", "lxml.etree", "sqlite3", "penstock.pipeline", "penstock.adapters", "rich.live"}
sys.exit(str(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)


def test_version(penstock) -> None:
    """--version prints the version and ends with 0."""
    done = penstock("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"penstock {version('penstock')}\n", "")


def test_python_dash_m_is_the_same_command() -> None:
    """``python -m penstock`` works without scripts on the path."""
    done = run("-m", "penstock", "--version")
    assert (done.returncode, done.stdout) == (0, f"penstock {version('penstock')}\n")


def test_version_and_help_load_nothing_heavy() -> None:
    """--version and --help import neither adapters, nor the ledger, nor the pipeline."""
    done = run("-c", EAGER)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [[], ["ingest"], ["status"], ["ingest", "pubmed"], ["demo"]])
def test_help_lists_what_there_is(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--help of every command prints to stdout and ends with 0."""
    assert main([*words, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Usage: penstock" in out
    assert err == ""


@pytest.mark.parametrize("words", [[], ["ingest"]])
def test_half_a_command_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An incomplete command shows its help on stderr and ends with 2."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Usage: penstock" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frob"], 'Unknown command "frob"'),
        (["ingest", "pubmed", "a.xml"], "--to"),
        (["ingest", "pubmed", "--to", "o.jsonl"], "no files to read"),
        (["ingest", "pubmed", "a.xml", "--to", "o.jsonl", "--limit", "0"], "--limit"),
        (["ingest", "pubmed", "a.xml", "--to", "o.jsonl", "--limit", "many"], "--limit"),
        (["ingest", "pubmed", "a.xml", "--to", "o.jsonl", "--processes", "-1"], "--processes"),
        (["ingest", "pubmed", "a.xml", "--to", "o.jsonl", "--too", "x"], "--too"),
        (["ingest", "pubmed", "a.xml", "--to", "a.xml"], "both the output and an input"),
        (["ingest", "pubmed", "a.xml", "--to", "o.jsonl", "--ledger", "o.jsonl"], "output and the ledger"),
        (["ingest", "\x1b[31mx"], "x1b"),
        (["demo", "--records", "0"], "--records"),
        (["status"], "LEDGER_OR_OUTPUT"),
    ],
)
def test_wrong_usage_is_one_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and one clean line on stderr that names the mistake."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("penstock: ")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert said in err


def test_a_missing_extra_gives_the_command_that_installs_it() -> None:
    """Without cyclopts and rich: one sentence, and exit code 2."""
    done = run("-c", BARE, "ingest", "pubmed", "a.xml", "--to", "o.jsonl")
    assert done.returncode == 2
    assert done.stderr == f"penstock: The command line needs an extra: {install_command('cli')}\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_obstacle(penstock, closed: str) -> None:
    """With stdout or stderr closed the run completes, and no message ends up in a file."""
    (penstock.folder / "a.xml").write_bytes(articles(*(article(pmid(n)) for n in range(1, 21))))
    done = penstock.shell(f"penstock ingest pubmed a.xml --to out.jsonl {closed}")
    assert penstock("ingest", "pubmed", "a.xml", "--to", "open.jsonl").returncode == 0
    wanted = (penstock.folder / "open.jsonl").read_bytes()
    assert (done.returncode, (penstock.folder / "out.jsonl").read_bytes()) == (0, wanted)


def test_an_output_cannot_be_taken_back(penstock) -> None:
    """No option clears the list of outputs."""
    for command in (("ingest", "pubmed"), ("dead", "replay")):
        assert "empty-to" not in penstock(*command, "--help").stdout
    done = penstock("ingest", "pubmed", "a.xml", "--empty-to")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("dead show a.jsonl", "RECORD is missing behind 'penstock dead show' (--help shows the options)"),
        ("status", "LEDGER_OR_OUTPUT is missing behind 'penstock status'"),
        ("ingest pubmed a.xml --to a.jsonl --processes 0", "--processes must be at least 1"),
        ("ingest pubmed a.xml --to a.jsonl --max-ratio x", "--max-ratio must be a whole number"),
        ("ingest pubmed a.xml --to a.jsonl --on-bad-file x", "--on-bad-file must be 'stop' or 'skip'"),
        ("ingest pubmed a.xml --to=", "no output: name one, as in --to OUT.jsonl"),
        (
            "ingest pubmed a.xml --to made",
            "made is a folder; name a file in it, such as made/articles.jsonl, or made/",
        ),
        ("ingest pubmed a.xml --to made.jsonl --columns a,a", "--columns 'a,a': name columns, each once"),
        ("ingest pubmed a.xml --to made.jsonl --where a", "--where 'a': "),
        ("demo --folder a.xml", "a.xml: file exists; choose another name and repeat the command"),
    ],
)
def test_what_is_wrong_with_a_command(
    words: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The message names the option or the argument, in the words of the command line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xml").write_bytes(articles(article(pmid(1))))
    (tmp_path / "made").mkdir()
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert (out, sorted(tmp_path.rglob("*"))) == ("", [tmp_path / "a.xml", tmp_path / "made"])
