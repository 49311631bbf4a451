"""Who may ask: the token, the name of the server, the origin of a page, and how often."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Collection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from penstock.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from penstock.http.limits import Limits

OPEN: Final = frozenset({"/", "/docs", "/openapi.json", "/healthz", "/readyz"})
"""Paths that need no token. They tell nothing about pipelines and runs."""
_SAFE: Final = frozenset({"GET", "HEAD"})
_CLIENTS: Final = 10_000


class Buckets:
    """How many requests each client address may make: a token bucket for each.

    Args:
        rate: Requests a second. Twice as many may come at once.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Count a request; return the seconds after which it would be allowed, 0 if it is."""
        now = time.monotonic()
        most = max(1.0, 2 * self._rate)
        left, at = self._buckets.get(client, (most, now))
        left = min(most, left + (now - at) * self._rate)
        allowed = left >= 1
        self._buckets[client] = (left - 1 if allowed else left, now)
        self._buckets.move_to_end(client)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate


class Guard:
    """Refuses requests before anything else sees them.

    Args:
        app: What answers the others.
        limits: What clients may use.
        token: The bearer token; ``None`` asks for none.
        hosts: The names by which the server may be called; ``None`` allows any.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits, token: str | None, hosts: Collection[str] | None
    ) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._buckets = Buckets(limits.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem, or pass the request on."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Problem as problem:
                await problem.response(scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_rate(scope)
        self._check_host(headers)
        self._check_origin(headers, scope["method"])
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if path not in OPEN:
            self._check_token(headers)

    def _check_rate(self, scope: Scope) -> None:
        client = scope.get("client")
        seconds = self._buckets.take(client[0] if client else "")
        if seconds:
            detail = "too many requests from this address: make fewer of them"
            raise Problem(429, "too-many-requests", detail, headers={"Retry-After": str(int(seconds) + 1)})

    def _check_host(self, headers: Headers) -> None:
        """Refuse other names: a web page may let its own name lead to this machine (DNS rebinding)."""
        if self._hosts is not None and _name(headers.get("host", "")) not in self._hosts:
            detail = f"this server answers only to: {', '.join(sorted(self._hosts))}"
            raise Problem(421, "wrong-host", detail)

    def _check_origin(self, headers: Headers, method: str) -> None:
        """Refuse what pages of other origins send."""
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
        if method not in _SAFE and headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            foreign = True
        if foreign:
            raise Problem(403, "foreign-origin", "pages of other origins may not use this server")

    def _check_token(self, headers: Headers) -> None:
        if self._token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = given.strip().encode("utf-8", "surrogateescape")
        right = hmac.compare_digest(sent, self._token)
        if scheme.lower() != "bearer" or not right:
            detail = "send the token of the server: Authorization: Bearer TOKEN"
            raise Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _name(host: str) -> str:
    """Return a host without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
