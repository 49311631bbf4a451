"""What the server answers at each path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from penstock.http import api_page, openapi
from penstock.http.journal import Gone
from penstock.http.letters import Letters
from penstock.http.page import page
from penstock.http.problems import Problem
from penstock.http.queries import EventsQuery, LettersQuery, RunsQuery, StreamQuery
from penstock.http.requests import form_of, key_of, last_id_of, query_of, start_of
from penstock.http.streaming import EventStream, gone
from penstock.http.views import Health, PipelineList, RunDetail, RunList, View

if TYPE_CHECKING:
    from starlette.requests import Request

    from penstock.http.runs import Run
    from penstock.http.service import Service


def answer(view: View, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a view as JSON."""
    return JSONResponse(
        view.model_dump(mode="json"), status, {"Cache-Control": "no-store", **(headers or {})}
    )


class Routes:
    """The endpoints of a service.

    Args:
        service: The server.
        with_token: Whether clients must send a token.
    """

    def __init__(self, service: Service, *, with_token: bool) -> None:
        self._with_token = with_token
        self._service = service
        self._letters = {name: Letters(file) for name, file in service.files.items()}

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route("/", page, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
            Route("/openapi.json", self.openapi, methods=["GET"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/readyz", self.readiness, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/v1/pipelines", self.pipelines, methods=["GET"]),
            Route("/v1/runs", self.runs_or_start, methods=["GET", "POST"]),
            Route("/v1/runs/{run_id}", self.run, methods=["GET"]),
            Route("/v1/runs/{run_id}/events", self.events, methods=["GET"]),
            Route("/v1/runs/{run_id}/dead", self.dead, methods=["GET"]),
            Route("/v1/runs/{run_id}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/stream", self.stream, methods=["POST"]),
        ]

    # -- the server

    async def docs(self, _: Request) -> Response:
        """Return a page about the API."""
        return HTMLResponse(api_page.page())

    async def openapi(self, request: Request) -> Response:
        """Return the OpenAPI document."""
        prefix = str(request.scope.get("root_path", ""))
        return JSONResponse(openapi.document(prefix, with_token=self._with_token))

    async def health(self, _: Request) -> Response:
        """Say that the server works."""
        return answer(Health(status="ok"))

    async def readiness(self, _: Request) -> Response:
        """Say whether the server takes runs."""
        if not self._service.ready:
            raise Problem(503, "stopping", "the server stops, or has not begun", headers={"Retry-After": "5"})
        return answer(Health(status="ok"))

    async def metrics(self, _: Request) -> Response:
        """Return the metrics for Prometheus."""
        metrics = self._service.metrics
        if metrics is None:
            raise Problem(501, "no-metrics", "prometheus-client is not installed: the extra is 'prometheus'")
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    # -- pipelines and runs

    async def pipelines(self, _: Request) -> Response:
        """List the pipelines that can be started."""
        return answer(PipelineList(pipelines=self._service.pipelines()))

    async def runs_or_start(self, request: Request) -> Response:
        """List runs, or start one."""
        return await (self.start(request) if request.method == "POST" else self.runs(request))

    async def runs(self, request: Request) -> Response:
        """List runs, the newest first."""
        query = query_of(request, RunsQuery)
        found = [run.view() for run in self._service.runs() if query.pipeline in {None, run.record.pipeline}]
        return answer(RunList(runs=found[: query.limit]))

    async def start(self, request: Request) -> Response:
        """Start a run."""
        service, key = self._service, key_of(request)
        wanted = await start_of(request, service.limits)
        run, is_new = await service.start(wanted.pipeline, "run", key)
        place = {"Location": str(request.url_for("run", run_id=run.record.id).path)}
        return answer(await self._detail(run), 201 if is_new else 200, place)

    async def run(self, request: Request) -> Response:
        """Show a run with its graph."""
        return answer(await self._detail(self._run(request)))

    async def cancel(self, request: Request) -> Response:
        """Stop a run; documents in flight are finished and committed."""
        run = self._run(request)
        self._service.cancel(run)
        return answer(await self._detail(run), 200 if run.ended else 202)

    async def dead(self, request: Request) -> Response:
        """List the dead letters of the pipeline of a run, the newest first."""
        query = query_of(request, LettersQuery)
        run = self._run(request)
        letters = self._letters.get(run.record.pipeline)
        if letters is None:
            raise Problem(
                409, "no-such-pipeline", "the server does not have the pipeline of this run any more"
            )
        return answer(await letters.page(query.skip, query.limit, raw=query.raw))

    # -- events

    async def events(self, request: Request) -> Response:
        """Stream the events of a run."""
        query = query_of(request, EventsQuery)
        form = form_of(request, query.types)
        last = last_id_of(request)
        run = await self._service.opened(self._run(request))
        journal = run.journal
        if last is None and query.tail is not None:
            start = journal.tail(query.tail)
        else:
            after = query.after if last is None else last
            start = journal.first if after is None else after + 1
        try:
            start = journal.place(start)
        except Gone:
            raise gone(run, start) from None
        if journal.over and start > journal.last and last is not None:
            return Response(status_code=204)  # an EventSource does not come back then
        self._check_streams()
        stream = EventStream(self._service, run, form, start)
        return Response(headers=stream.headers) if request.method == "HEAD" else stream

    async def stream(self, request: Request) -> Response:
        """Run a pipeline at the pace of the client."""
        query = query_of(request, StreamQuery)
        form = form_of(request, query.types)
        wanted = await start_of(request, self._service.limits)
        self._check_streams()
        run, _ = await self._service.start(wanted.pipeline, "stream")
        return EventStream(self._service, run, form, 1, bound=True)

    def _check_streams(self) -> None:
        if self._service.streams >= self._service.limits.streams:
            detail = "too many clients read events: come back later"
            raise Problem(503, "too-many-streams", detail, headers={"Retry-After": "10"})

    def _run(self, request: Request) -> Run:
        return self._service.run(request.path_params["run_id"])

    async def _detail(self, run: Run) -> RunDetail:
        letters = self._letters.get(run.record.pipeline)
        return run.detail(None if letters is None else await letters.count(live=not run.ended))
