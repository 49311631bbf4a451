"""The server as an ASGI application, to run or to mount."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import GraphError, MissingExtra
from penstock.http.limits import Limits
from penstock.pipeline_file import load

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from penstock.pipeline import Hook
    from penstock.pipeline_file import PipelineFile

HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""The names of this machine for itself."""


def application(
    pipelines: Iterable[str | os.PathLike[str]] | Mapping[str, PipelineFile],
    *,
    state: str | os.PathLike[str] | None = None,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    limits: Limits = Limits(),  # noqa: B008  frozen
    hooks: Sequence[Hook] = (),
    resume: bool = True,
) -> Starlette:
    """Return an ASGI application that serves pipelines.

    It works while its lifespan does, or while somebody has entered ``application.state.penstock``: a server
    does not run the lifespan of an application that is mounted in another one.

    Args:
        pipelines: Pipeline files, or loaded ones by name. The name of a file is its name without ``.toml``.
        state: The folder for runs and their events; by default ``.penstock`` beside the first file.
        token: The bearer token that clients must send; ``None`` asks for none.
        hosts: The names by which the server may be called; ``None`` allows any. ``HOSTS`` keeps web pages
            away from a server without a token on this machine.
        limits: What clients may use.
        hooks: Called with the events of every run, as the ``hooks`` of an ``IngestionPipeline``. They run in
            the context of the request that has started the run.
        resume: Whether runs that an earlier server left unfinished go on.

    Raises:
        MissingExtra: Starlette is not installed.
        PipelineFileError: a file has mistakes.
        GraphError: two pipelines have one name, or there is none.
    """
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.middleware import Middleware
    except ImportError as error:
        raise MissingExtra("penstock.http", "http") from error
    from penstock.http import problems
    from penstock.http.guard import Guard
    from penstock.http.routes import Routes
    from penstock.http.service import Service

    if isinstance(pipelines, Mapping):
        files = {str(name): file for name, file in pipelines.items()}
    else:
        files = _loaded(pipelines)
    if not files:
        raise GraphError("there is no pipeline to serve: name a pipeline file")
    folder = Path(state) if state is not None else next(iter(files.values())).path.parent / ".penstock"
    service = Service(files, folder, limits, hooks=hooks, resume=resume)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service:
            yield

    app = Starlette(
        routes=Routes(service, with_token=token is not None).routes(),
        middleware=[Middleware(Guard, limits=limits, token=token, hosts=hosts)],
        exception_handlers={
            problems.Problem: problems.on_problem,
            HTTPException: problems.on_http_exception,
            Exception: problems.on_error,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.penstock = service
    return app


def _loaded(paths: Iterable[str | os.PathLike[str]]) -> dict[str, PipelineFile]:
    files: dict[str, PipelineFile] = {}
    for path in map(Path, paths):
        if path.stem in files:
            here, there = files[path.stem].path, path
            raise GraphError(f"{here} and {there} have one name, {path.stem!r}: rename one of them")
        files[path.stem] = load(path)
    return files
