"""``penstock demo`` with a small sample."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from .conftest import PATIENCE

if TYPE_CHECKING:
    from .conftest import Penstock


def test_the_demo_runs_and_offers_commands_that_work(penstock: Penstock) -> None:
    """It ends with 0, writes the documents, and every suggested command works."""
    done = penstock("demo", "--records", "300", "--folder", "my demo")
    assert done.returncode == 0, done.stderr
    output = penstock.folder / "my demo" / "sample-300.jsonl"
    first = output.read_bytes()
    assert first.count(b"\n") >= 290  # some records may be tombstones
    tries = done.stdout.split("Try next:")[1]
    commands = re.findall(r"^  \S.*?  +((?:penstock|head|sha256sum) .*)$", tries, re.MULTILINE)
    assert len(commands) == 6
    for command in commands[:-1]:  # the last one needs files of the reader
        again = penstock.shell(command)
        assert again.returncode == 0, (command, again.stderr)
    assert "nothing to do" in penstock.shell(commands[0]).stdout
    assert output.read_bytes() == first


def test_the_demo_interrupted_before_it_has_a_sample(penstock: Penstock) -> None:
    """Ctrl-C while the sample is generated: exit code 130, a sentence with the command, no partial sample."""
    process = penstock.start("demo", "--records", "1000000", "--folder", "mine")
    assert process.stderr is not None
    assert b"generating" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "interrupted while generating the sample, which was removed; to start again: " in err.decode()
    assert err.decode().rstrip().endswith("demo --records 1000000 --folder mine")
    assert list(penstock.folder.glob("mine/*")) == []


def test_the_demo_interrupted_says_how_to_go_on(penstock: Penstock) -> None:
    """A demo that is interrupted ends with 130, and the same command completes it."""
    process = penstock.start("demo", "--records", "1500")
    assert process.stderr is not None
    assert b"generating" in process.stderr.readline()
    process.send_signal(signal.SIGINT)  # at any moment
    process.communicate(timeout=PATIENCE)
    assert process.returncode in {0, 130}
    done = penstock("demo", "--records", "1500")
    assert done.returncode == 0, done.stderr
    assert not list((penstock.folder / "demo-output").glob(".*.gz"))
