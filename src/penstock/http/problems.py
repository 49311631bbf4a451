"""Errors as problem details (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from penstock.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.exceptions import HTTPException
    from starlette.requests import Request

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that cannot be answered; becomes a problem document.

    Args:
        status: The HTTP status.
        kind: The last word of ``type``: ``urn:penstock:problem:KIND``.
        detail: What is wrong and what to do; secrets are hidden.
        headers: Further headers of the answer.
        more: Further members of the document.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        self.more = more

    def document(self, instance: str | None = None) -> dict[str, Any]:
        """Return the problem document."""
        found = {
            "type": f"urn:penstock:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": redact(str(self)),
        }
        return found | ({} if instance is None else {"instance": instance}) | self.more

    def response(self, instance: str | None = None) -> Response:
        """Return the answer."""
        return Response(
            json.dumps(self.document(instance)),
            self.status,
            {"Cache-Control": "no-store", **self.headers},
            MEDIA_TYPE,
        )


def on_problem(request: Request, error: Exception) -> Response:
    """Answer a request with the problem that it raised."""
    assert isinstance(error, Problem)  # noqa: S101  registered for this class
    return error.response(request.url.path)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer a request that no route takes: 404 or 405."""
    found: HTTPException = error  # type: ignore[assignment]
    kinds = {404: "not-found", 405: "method-not-allowed"}
    details = {
        404: f"there is nothing at {request.url.path}; /openapi.json lists what there is",
        405: f"{request.method} is not possible here; the header Allow says what is",
    }
    problem = Problem(
        found.status_code,
        kinds.get(found.status_code, "http"),
        details.get(found.status_code, found.detail),
        headers=found.headers,
    )
    return problem.response(request.url.path)


def on_error(request: Request, _: Exception) -> Response:
    """Answer a request that met a fault of ours. What happened is in the log only."""
    problem = Problem(500, "internal", "the server has a fault; its log says more")
    return problem.response(request.url.path)
