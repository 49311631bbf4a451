"""Starts a server with a token, and lets schemathesis ask it everything that its OpenAPI document allows, and more.

``nox -s api`` runs it; words after ``--`` go to schemathesis.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.adapters.pubmed.sample import write_sample
from penstock.http import Limits, serve

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

TOKEN = "a-token-for-the-tests"  # noqa: S105
PIPELINE = 'to = "{name}.jsonl"\n[source]\nadapter = "pubmed"\ninputs = "sample.xml"\n'


def run_server(folder: Path, started: Connection) -> None:
    """Serve two pipelines in a folder until the process ends."""
    write_sample(folder / "sample.xml", 20, malformed=1)
    files = [folder / f"{name}.toml" for name in ("articles", "more")]
    for file in files:
        file.write_text(PIPELINE.format(name=file.stem))
    serve(files, port=0, token=TOKEN, limits=Limits(requests=1e6, runs=100), on_start=started.send)


def main() -> int:
    """Return the exit code of schemathesis."""
    ours, theirs = get_context("spawn").Pipe()
    with tempfile.TemporaryDirectory() as folder:
        server = get_context("spawn").Process(target=run_server, args=(Path(folder), theirs))
        server.start()
        try:
            url = ours.recv()
            program = Path(sys.executable).with_name("schemathesis")
            words = [program, "--config-file", Path(__file__).with_name("schemathesis.toml"), "run"]
            words += [f"{url}/openapi.json", "-H", f"Authorization: Bearer {TOKEN}", *sys.argv[1:]]
            return subprocess.run(words, check=False).returncode
        finally:
            server.terminate()
            server.join()


if __name__ == "__main__":
    sys.exit(main())
