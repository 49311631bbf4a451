"""The OpenAPI document of the server, from the models of its answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from penstock.events import EVENTS, type_adapter
from penstock.http import queries, views
from penstock.http.frames import NDJSON, SSE
from penstock.http.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

_ID: Final = {
    "name": "run_id", "in": "path", "required": True,
    "schema": {"type": "string"}, "description": "The id of a run.",
}  # fmt: skip
_KEY: Final = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "A second request with the same key returns the run that the first has started.",
}  # fmt: skip
_LAST: Final = {
    "name": "Last-Event-ID", "in": "header", "required": False,
    "schema": {"type": "string", "pattern": "^[0-9]{0,15}$"},
    "description": "Continue behind the event of this id; empty: from the first one on.",
}  # fmt: skip
PROBLEMS: Final = {
    401: "No token, or a wrong one.", 403: "A page of another origin.",
    404: "There is no such run or pipeline.",
    406: "Neither media type is accepted.", 408: "The request did not arrive in time.",
    409: "Not possible with this pipeline, or not now.", 410: "These events are not kept.",
    413: "The request is too large.", 415: "The request is no application/json.",
    421: "The server has another name.", 422: "The request is not as the schema says.",
    429: "Too many requests, or too many runs.", 400: "The request is no JSON.",
    501: "A library is not installed.", 503: "The server stops, is full, or cannot read a ledger.",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the server."""

    method: str
    path: str
    name: str
    summary: str
    answers: Mapping[int, type[BaseModel] | str | None]
    """Per status a model, a media type, or nothing."""
    problems: tuple[int, ...] = ()
    query: type[BaseModel] | None = None
    headers: tuple[Mapping[str, Any], ...] = ()
    body: type[BaseModel] | None = None
    needs_token: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)


EVERYWHERE: Final = (403, 421, 429)
STARTING: Final = (400, 404, 408, 409, 413, 415, 422, 503)
OPERATIONS: Final = (
    Operation(
        method="get", path="/v1/pipelines", name="listPipelines", summary="List the pipelines.",
        answers={200: views.PipelineList},
    ),
    Operation(
        method="get", path="/v1/runs", name="listRuns", summary="List runs, the newest first.",
        answers={200: views.RunList}, problems=(422,), query=queries.RunsQuery,
    ),
    Operation(
        method="post", path="/v1/runs", name="startRun", summary="Start a run.",
        answers={201: views.RunDetail, 200: views.RunDetail}, problems=STARTING,
        headers=(_KEY,), body=views.Start,
    ),
    Operation(
        method="get", path="/v1/runs/{run_id}", name="showRun", summary="Show a run with its graph.",
        answers={200: views.RunDetail}, problems=(404,),
    ),
    Operation(
        method="get", path="/v1/runs/{run_id}/events", name="readEvents",
        summary="Stream the events of a run until it is over.",
        answers={200: SSE, 204: None}, problems=(404, 406, 410, 422, 503),
        query=queries.EventsQuery, headers=(_LAST,),
    ),
    Operation(
        method="get", path="/v1/runs/{run_id}/dead", name="listDeadLetters",
        summary="List the dead letters of the pipeline of a run, the newest first.",
        answers={200: views.LetterPage}, problems=(404, 409, 422, 503), query=queries.LettersQuery,
    ),
    Operation(
        method="post", path="/v1/runs/{run_id}/cancel", name="cancelRun",
        summary="Stop a run; documents in flight are finished and committed.",
        answers={202: views.RunDetail, 200: views.RunDetail}, problems=(404,),
    ),
    Operation(
        method="post", path="/v1/stream", name="streamPipeline",
        summary="Run a pipeline at the pace of this client, and stream its events.",
        answers={200: SSE}, problems=(*STARTING, 406), query=queries.StreamQuery, body=views.Start,
    ),
    Operation(
        method="get", path="/metrics", name="readMetrics", summary="Metrics for Prometheus.",
        answers={200: "text/plain"}, problems=(501,),
    ),
    Operation(
        method="get", path="/healthz", name="checkHealth", summary="Whether the server works.",
        answers={200: views.Health}, needs_token=False,
    ),
    Operation(
        method="get", path="/readyz", name="checkReadiness", summary="Whether the server takes runs.",
        answers={200: views.Health}, problems=(503,), needs_token=False,
    ),
)  # fmt: skip


def document(prefix: str = "", *, with_token: bool = True) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document.

    Args:
        prefix: The path where the application is mounted.
        with_token: Whether clients must send a token.
    """
    paths: dict[str, Any] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = described(one, with_token=with_token)
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Penstock", "version": "1", "description": "Start, watch and stop pipelines."},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {"schemas": _schemas()},
    }
    if with_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def described(one: Operation, *, with_token: bool) -> dict[str, Any]:
    """Return an operation as OpenAPI describes it."""
    problems = {*one.problems, *EVERYWHERE, *((401,) if one.needs_token and with_token else ())}
    answers = {str(status): _answer(status, what) for status, what in one.answers.items()}
    answers |= {str(status): _problem(status) for status in sorted(problems)}
    found: dict[str, Any] = {"operationId": one.name, "summary": one.summary, "responses": answers}
    parameters = [*([_ID] if "{run_id}" in one.path else []), *one.headers, *_parameters(one.query)]
    if parameters:
        found["parameters"] = parameters
    if one.body is not None:
        content = {"application/json": {"schema": _ref(one.body.__name__)}}
        found["requestBody"] = {"required": True, "content": content}
    if with_token:
        found["security"] = [{"token": []}] if one.needs_token else []
    return found


def _answer(status: int, what: type[BaseModel] | str | None) -> dict[str, Any]:
    texts = {200: "The answer.", 201: "The run was started.", 202: "The run stops.", 204: "No events follow."}
    found: dict[str, Any] = {"description": texts[status]}
    if what == SSE:
        text = "Each event has an id, its type, and as data what the schema Event says."
        found["content"] = {
            SSE: {"schema": {"type": "string", "description": text}},
            NDJSON: {"schema": {"type": "string", "description": "One Event a line."}},
        }
    elif isinstance(what, str):
        found["content"] = {what: {"schema": {"type": "string"}}}
    elif what is not None:
        found["content"] = {"application/json": {"schema": _ref(what.__name__)}}
    return found


def _problem(status: int) -> dict[str, Any]:
    return {"description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": _ref("Problem")}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameters(query: type[BaseModel] | None) -> list[dict[str, Any]]:
    """Return the parameters of a URL. One that may be left out cannot be null."""
    if query is None:
        return []
    found = []
    for name, given in query.model_json_schema()["properties"].items():
        schema = dict(given)
        description = schema.pop("description", "")
        schema.pop("title", None)
        if "anyOf" in schema:
            (kind,) = [one for one in schema.pop("anyOf") if one.get("type") != "null"]
            schema.pop("default", None)
            schema |= kind
        if name == "types":
            names = "|".join(cls.__name__ for cls in EVENTS)
            schema["pattern"] = f"^({names})(,({names}))*$"
        found.append(
            {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
        )
    return found


def _schemas() -> dict[str, Any]:
    models: list[type[BaseModel]] = [views.Start, views.Problem]
    models += [what for one in OPERATIONS for what in one.answers.values() if isinstance(what, type)]
    _, schema = models_json_schema(
        [(model, "serialization") for model in dict.fromkeys(models)],
        ref_template="#/components/schemas/{model}",
    )
    found: dict[str, Any] = schema["$defs"]
    return found | _event()


def _event() -> dict[str, Any]:
    """Return the schema of events, with its definitions beside the others."""
    text = type_adapter().json_schema(ref_template="#/components/schemas/Event.{model}")
    definitions = text.pop("$defs", {})
    return {"Event": text, **{f"Event.{name}": one for name, one in definitions.items()}}
