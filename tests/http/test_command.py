"""``penstock serve``: what it refuses, and how it ends."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from ..cli.conftest import Penstock  # noqa: TID252  tests are no installed package
from .serving import Client
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


@pytest.mark.parametrize("by_file", [True, False])
async def test_at_another_address_only_the_token_opens(folder, by_file):
    """A server that others can reach answers to any name, and to nobody without the token."""
    token = "0123456789abcdef-of-the-tests"  # noqa: S105
    Path("token").write_text(f"{token}\n")
    server = Server(folder)
    server.start(
        "--host", "0.0.0.0",  # noqa: S104
        *(("--token-file", "token") if by_file else ()), **({} if by_file else {"PENSTOCK_HTTP_TOKEN": token}),
    )  # fmt: skip
    port = server.client.port
    for sent, status in ((None, 401), ("wrong", 401), (token, 200)):
        for method, path in (("GET", "/v1/runs"), ("GET", "/metrics")):
            answer = await Client(port, sent)(method, path, host="example.org")
            assert (answer.status, token.encode() in answer.body) == (status, False)
    assert server.end(signal.SIGTERM) == 0


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
