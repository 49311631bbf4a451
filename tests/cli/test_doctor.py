"""``penstock doctor`` on this machine, on simulated bad ones, and with old library versions."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from pyexpat import EXPAT_VERSION
from typing import TYPE_CHECKING

import pytest

from penstock.cli import doctor
from penstock.cli.doctor import expat_implies, findings, sqlite_implies
from penstock.cli.main import main
from penstock.errors import install_command
from penstock.testing.faults import SmallDisk

if TYPE_CHECKING:
    from .conftest import Penstock


def test_a_machine_that_is_well(penstock: Penstock) -> None:
    """Exit code 0, a line for each check, and an empty folder afterwards."""
    done = penstock("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    for told in (
        sqlite3.sqlite_version,
        EXPAT_VERSION.replace("_", " "),
        "libxml2",
        "isal",
        "pyarrow",
        "fsync",
    ):
        assert told in done.stdout
    assert "ok    ledgers: write-ahead log, synchronous=FULL, one connection" in done.stdout
    assert "runs can start" in done.stdout
    assert all(line[:6] in {"ok    ", "note  ", "", "runs c"} for line in done.stdout.splitlines())
    assert list(penstock.folder.iterdir()) == []


def test_findings_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints one object for each check, and the exit code is the same."""
    assert main(["doctor", "--json", str(tmp_path)]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["level"] for one in told} <= {"ok", "note"}
    assert main(["doctor", "--json", str(tmp_path / "absent")]) == 2
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["level"] == "bad"


def test_a_folder_that_is_not_there(penstock: Penstock) -> None:
    """Exit code 2, and the message names the folder."""
    done = penstock("doctor", "missing")
    assert done.returncode == 2
    assert "BAD   missing is not a folder; create it, or name another" in done.stdout
    assert "runs would fail, see BAD above" in done.stdout


def test_a_folder_that_cannot_be_written_to(penstock: Penstock) -> None:
    """Exit code 2, with the reason."""
    (penstock.folder / "shut").mkdir(mode=0o500)
    drop = "setpriv --bounding-set=-dac_override " if os.geteuid() == 0 else ""
    if drop and shutil.which("setpriv") is None:
        pytest.skip("permissions do not bind root, and there is no setpriv here")
    done = penstock.shell(f"{drop}penstock doctor shut")
    assert (done.returncode, "shut is not writable: permission denied" in done.stdout) == (2, True)


def test_a_limit_on_the_size_of_files(penstock: Penstock) -> None:
    """A limit is a note; a limit that is too small for a ledger is BAD."""
    done = penstock("doctor", limits="ulimit -f 100000")
    assert "note  no file may grow beyond 102.4 MB" in done.stdout
    assert done.returncode == 0
    done = penstock("doctor", limits="ulimit -f 8")
    assert done.returncode == 2
    assert "BAD   ledgers" in done.stdout
    assert "ulimit -f" in done.stdout


def test_few_open_files(penstock: Penstock) -> None:
    """A low limit is a note."""
    assert "only 128 files may be open at once" in penstock("doctor", limits="ulimit -n 128").stdout


@pytest.mark.parametrize(
    ("number", "level"),
    [
        ((3, 40, 1), "note"), ((3, 44, 5), "note"), ((3, 44, 6), "ok"), ((3, 45, 0), "note"), ((3, 50, 6), "note"),
        ((3, 50, 7), "ok"), ((3, 51, 2), "note"), ((3, 51, 3), "ok"), ((3, 53, 0), "ok"),
    ],
)  # fmt: skip
def test_what_a_version_of_sqlite_implies(number: tuple[int, int, int], level: str) -> None:
    """Versions with the WAL-reset bug get a note that says how to avoid it."""
    finding = sqlite_implies(number)
    assert finding.level == level
    assert ("Let no other program write to a ledger" in finding.words) == (level == "note")


@pytest.mark.parametrize(
    ("name", "level"), [("expat_2.5.0", "note"), ("expat_2.6.0", "ok"), ("expat_2.10.1", "ok")]
)
def test_what_a_version_of_expat_implies(name: str, level: str) -> None:
    """Versions before 2.6.0 get a note."""
    assert expat_implies(name).level == level


def told(folder: Path) -> dict[str, str]:
    return {finding.words: finding.level for finding in findings(folder)}


def test_an_extra_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra is a note with the command that installs it."""
    monkeypatch.setitem(doctor._EXTRAS, "zstd", ("no-such-library", "for nothing"))
    assert told(tmp_path)[f"no no-such-library (for nothing): {install_command('zstd')}"] == "note"


def test_an_fsync_that_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that swallows fsync is BAD; an fsync that is too fast is a note."""
    monkeypatch.setenv("LD_PRELOAD", "libeatmydata.so")
    assert any(level == "BAD" and "libeatmydata" in words for words, level in told(tmp_path).items())
    monkeypatch.delenv("LD_PRELOAD")
    monkeypatch.setattr(doctor, "fsync_seconds", lambda path: 1e-6)
    assert any(level == "note" and "seems to do nothing" in words for words, level in told(tmp_path).items())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a folder is in")
def test_a_disk_in_memory() -> None:
    """A folder in memory and little free space are notes."""
    try:
        with SmallDisk(8 << 20) as disk:
            seen = told(disk)
    except OSError as error:
        pytest.skip(f"no small disk here: {error}")
    assert any("tmpfs is memory" in words for words in seen)
    assert seen["8.4 MB of disk space are free"] == "note"
