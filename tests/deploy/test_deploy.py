"""The files of ``examples/deploy``: linted, parsed, and compared with our own commands and metrics."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.cli.commands import parse
from penstock.pipeline_file import load
from penstock.telemetry.instruments import DURATION, INSTRUMENTS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples" / "deploy"
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
UNITS = sorted((DEPLOY / "systemd").iterdir())
INSTALLED = "/opt/penstock/bin/penstock"


def read_yaml(name: str) -> Any:
    """Return the content of a YAML file."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def unit(path: Path) -> configparser.RawConfigParser:
    """Return a systemd unit."""
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text("utf-8"))
    return parser


def accepted(words: list[str]) -> None:
    """Check that our own parser takes these words. It raises what the command line would say."""
    parse(words)


def test_the_dockerfile_has_no_faults() -> None:
    """Hadolint has nothing to say about it."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_what_it_copies_and_installs() -> None:
    """The files that are copied exist and are not ignored, the extras are ours, and the command is on the path."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists()
            assert f"!{name}" in ignored
    (extras,) = re.findall(r"'\.\[(.*)\]'", text)
    named = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE))
    assert set(extras.split(",")) <= named
    assert 'ENTRYPOINT ["penstock"]' in text


def test_the_services_fit_together() -> None:
    """Commands are ours; secrets, volumes and files that are named exist; the metrics are read from the server."""
    compose = read_yaml("compose.yaml")
    services = compose["services"]
    for service in services.values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if not source.startswith("."):
                assert source in compose["volumes"]
            elif source != "./inputs":  # the user's own
                assert (DEPLOY / source).exists()
        assert set(service.get("secrets", ())) <= compose["secrets"].keys()
        assert set(service.get("depends_on", ())) <= services.keys()
    (scrape,) = read_yaml("prometheus.yml")["scrape_configs"]
    words = services["server"]["command"]
    (port,) = [word.removeprefix("--port=") for word in words if word.startswith("--port=")]
    assert scrape["static_configs"] == [{"targets": [f"server:{port}"]}]
    assert f"--token-file={scrape['authorization']['credentials_file']}" in words
    assert (DEPLOY / words[1].removeprefix("/")).exists()
    accepted(words)


def test_the_pipeline_of_the_server_is_right() -> None:
    """The file loads with the variable that the service sets, and writes and keeps its state in one database."""
    database = read_yaml("compose.yaml")["services"]["server"]["environment"]["DATABASE"]
    url = re.sub(r"\$\{[^}]*\}", "secret", database)
    file = load(DEPLOY / "pipelines" / "articles.toml", environment={"DATABASE": url})
    assert str(file.ledger) == url
    assert [str(output) for output in file.outputs] == [f"{url}?table=articles"]


def test_alerts_name_metrics_that_are_there() -> None:
    """Each metric in a rule is one of ours, and the page describes each alert."""
    ours = {one.name + "_total" * (one.kind == "counter") for one in INSTRUMENTS} | {DURATION}
    for group in read_yaml("alerts.yml")["groups"]:
        for rule in group["rules"]:
            named = set(re.findall(r"penstock_\w+", rule["expr"]))
            assert named
            assert named <= ours
            assert f"| `{rule['alert']}` |" in PAGE


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_start_our_commands(path: Path) -> None:
    """What a service starts is a command of ours, and the page names the unit."""
    found = unit(path)
    assert path.name in PAGE
    if path.suffix == ".service":
        program, *words = shlex.split(found["Service"]["ExecStart"])
        assert program == INSTALLED
        assert found["Service"]["SuccessExitStatus"] == "130"
        accepted(words)


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has nothing to say about the units."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for path in UNITS:
        (tmp_path / path.name).write_text(path.read_text("utf-8").replace(INSTALLED, sys.executable))
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_cron_line_is_ours_and_on_the_page() -> None:
    """It has five fields of time, and starts a command of ours."""
    line = (DEPLOY / "crontab").read_text("utf-8").splitlines()[-1]
    assert line in PAGE
    assert re.match(r"(\S+ ){5} ", line)
    accepted(shlex.split(line.partition(f"{INSTALLED} ")[2]))


def test_the_page_has_our_exit_codes() -> None:
    """The table of exit codes has those of the page of the command line, except for that of a pipe."""
    codes = re.compile(r"^\| (\d+) \|", re.MULTILINE)
    section = (ROOT / "docs" / "cli.md").read_text("utf-8").partition("## Exit codes")[2]
    assert {*codes.findall(PAGE)} == {*codes.findall(section)} - {"141"} | {"137"}
