"""``penstock serve``: what it refuses, and how it ends."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from ..cli.conftest import Penstock  # noqa: TID252  tests are no installed package
from .test_kills import Server


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name the pipeline files"),
        (["p.toml", "--host", "0.0.0.0", "--port", "0"], "give a token"),  # noqa: S104
        (["p.toml", "--token-file", "short"], "must have 16 or more visible ASCII characters"),
        (["none.toml"], "none.toml"),
        (["p.toml", "p.toml"], "have one name, 'p'"),
    ],
)
def test_what_cannot_be_served_is_refused(folder, words, message):
    """A mistake is reported with exit code 2 before anything listens."""
    Path("short").write_text("too-short\n")
    found = Penstock(folder)("serve", *words)
    assert (found.returncode, found.stdout) == (2, "")
    assert message in found.stderr


def test_one_server_uses_a_folder_and_a_port(folder):
    """A second server is refused, and says who serves; Ctrl-C ends the first one with exit code 0."""
    server = Server(folder)
    server.start()
    second = Penstock(folder)("serve", "p.toml", "--port", "0")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        third = Penstock(folder)("serve", "p.toml", "--state", "other", "--port", str(other.getsockname()[1]))
    assert second.returncode == third.returncode == 2
    assert "choose another one (--state)" in second.stderr
    assert "in use" in third.stderr
    assert server.end(signal.SIGINT) == 0
