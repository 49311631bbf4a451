"""Reads what a request asks for, within the limits."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from penstock.events import EVENTS
from penstock.http.frames import NDJSON, SSE, Form
from penstock.http.problems import Problem
from penstock.http.views import Start

if TYPE_CHECKING:
    from starlette.requests import Request

    from penstock.http.limits import Limits

TYPES: Final = tuple(cls.__name__ for cls in EVENTS)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_NUMBER: Final = re.compile(r"[0-9]{1,15}")


async def body_of(request: Request, limits: Limits) -> bytes:
    """Return the body.

    Raises:
        Problem: it is too large, or too slow.
    """
    too_large = Problem(413, "too-large", f"a request may have at most {limits.body:,} bytes")
    length = request.headers.get("content-length", "0")
    if not _NUMBER.fullmatch(length) or int(length) > limits.body:
        raise too_large
    parts = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                parts += part
                if len(parts) > limits.body:
                    raise too_large
    except TimeoutError:
        detail = f"the request did not arrive within {limits.body_seconds:g} s"
        raise Problem(408, "too-slow", detail, headers={"Connection": "close"}) from None
    return bytes(parts)


async def start_of(request: Request, limits: Limits) -> Start:
    """Return which pipeline to start.

    Raises:
        Problem: the body is no JSON, or not as the schema says.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "not-json", 'send application/json, as in: {"pipeline": "NAME"}')
    try:
        return Start.model_validate_json(await body_of(request, limits))
    except ValidationError as error:
        raise invalid("the body", error) from None


def invalid(what: str, error: ValidationError) -> Problem:
    """Return the problem of values that do not fit their schema; the values are left out."""
    mistakes = [
        {"at": ".".join(map(str, one["loc"])), "message": one["msg"]}
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return Problem(400, "invalid-json", f"{what} is no JSON: {mistakes[0]['message']}")
    text = "; ".join(f"{one['at']}: {one['message']}" if one["at"] else one["message"] for one in mistakes)
    return Problem(422, "invalid", f"{what} is not as the schema says: {text}", errors=mistakes)


def query_of(request: Request, model: type[BaseModel]) -> Any:
    """Return the parameters of a URL as a model.

    Raises:
        Problem: one of them is unknown or wrong.
    """
    try:
        return model.model_validate_strings(dict(request.query_params))
    except ValidationError as error:
        raise invalid("the query", error) from None


def key_of(request: Request) -> str | None:
    """Return the ``Idempotency-Key``, if there is one; raise ``Problem`` if it cannot be one."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        detail = "an Idempotency-Key has 1 to 255 visible ASCII characters"
        raise Problem(422, "invalid", detail, errors=[{"at": "Idempotency-Key", "message": detail}])
    return key


def form_of(request: Request, types: str | None) -> Form:
    """Return in which form the client wants events.

    Raises:
        Problem: it accepts neither of the two, or asks for unknown types.
    """
    chosen = None
    if types is not None:
        names = [name.strip() for name in types.split(",")]
        if unknown := [name for name in names if name not in TYPES]:
            detail = f"unknown types {', '.join(unknown)!r}; there are {', '.join(TYPES)}"
            raise Problem(422, "invalid", detail, errors=[{"at": "types", "message": detail}])
        chosen = frozenset(name.encode() for name in names)
    return Form(_media_type(request.headers.get("accept", "*/*")), chosen)


def _media_type(accept: str) -> str:
    """Return the one of our two media types that the client likes best; SSE if it likes both."""
    found: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        found[name] = next((_quality(p[2:]) for p in parameters if p.startswith("q=")), 1.0)

    def liking(ours: str) -> float:
        kind = ours.partition("/")[0]
        return next((found[one] for one in (ours, f"{kind}/*", "*/*") if one in found), 0.0)

    sse, ndjson = liking(SSE), liking(NDJSON)
    if not (sse or ndjson):
        raise Problem(406, "not-acceptable", f"accept {SSE} or {NDJSON}")
    return SSE if sse >= ndjson else NDJSON


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def last_id_of(request: Request) -> int | None:
    """Return the ``Last-Event-ID``, if there is one; raise ``Problem`` if it is no number of an event."""
    text = request.headers.get("last-event-id")
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        detail = "Last-Event-ID is the id of an event: a whole number"
        raise Problem(422, "invalid", detail, errors=[{"at": "Last-Event-ID", "message": detail}])
    return int(text)
