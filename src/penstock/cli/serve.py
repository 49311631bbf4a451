"""``penstock serve``: serves pipelines over HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from penstock.cli.exits import ALL_COMPLETED
from penstock.cli.job import UsageProblem
from penstock.cli.options import AtLeastOne, Debug
from penstock.cli.text import clean, put

TOKEN = "PENSTOCK_HTTP_TOKEN"  # noqa: S105  the name of a variable
_SHORTEST = 16


def serve(
    *files: Path,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: Path | None = None,
    state: Path | None = None,
    runs: AtLeastOne = 4,
    resume: Annotated[bool, Parameter(show_default=False)] = True,
    debug: Debug = False,  # noqa: ARG001  main reads it
) -> int:
    """Serve pipelines over HTTP, until Ctrl-C.

    Clients can start, watch and stop these pipelines, and nothing else. Ctrl-C ends all runs cleanly; the
    next server continues them.

    Args:
        files: Pipeline files (TOML). The name of a pipeline is that of its file, without .toml.
        host: The address to listen at. Another address than this machine needs a token.
        port: The port to listen at. 0 chooses a free one.
        token_file: A file with the token that clients must send. The default is PENSTOCK_HTTP_TOKEN.
        state: The folder for runs and their events. The default is .penstock beside the first file.
        runs: The most runs at a time.
        resume: Continue the runs that an earlier server left unfinished.

    Raises:
        UsageProblem: no file was named, or the token cannot be used.
        PipelineFileError: a file has mistakes.
    """
    from penstock.http import Limits, serve

    if not files:
        raise UsageProblem("name the pipeline files to serve, as in: penstock serve pipeline.toml")
    token = _token(token_file)

    def say(url: str) -> None:
        names = ", ".join(file.stem for file in files)
        put(sys.stderr, f"penstock: serving {clean(names)} at {url} (Ctrl-C stops)")

    serve(
        files, host=host, port=port, state=state, token=token, limits=Limits(runs=runs), resume=resume,
        on_start=say,
    )  # fmt: skip
    return ALL_COMPLETED


def _token(file: Path | None) -> str | None:
    """Return the token of the file, or of the environment."""
    token = os.environ.get(TOKEN) if file is None else file.read_text("utf-8").strip()
    if token is None:
        return None
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        place = TOKEN if file is None else str(file)
        raise UsageProblem(
            f"the token of {place} must have {_SHORTEST} or more visible ASCII characters, as in: "
            "openssl rand -hex 32"
        )
    return token
