"""One request and its answer: every problem becomes an ``HttpError`` that says whether to try again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx2

from penstock.adapters.http.body import BodyError, pieces_of
from penstock.adapters.http.error import HttpError
from penstock.adapters.http.hosts import shown
from penstock.redact import redact
from penstock.runtime.libraries import RETRYABLE_STATUSES
from penstock.runtime.retry_after import retry_after_in
from penstock.text import clean, shorten, size

if TYPE_CHECKING:
    from types import TracebackType

_EXPLANATION = 2000
_QUOTED = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request as it was asked for; ``options`` are those of httpx2 (``json``, ``data``, ``content``)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout: float
    longest: float
    max_bytes: int
    allow: Collection[int] = ()


class Exchange:
    """A response whose body was not read yet."""

    def __init__(self, ask: Ask, host: str, response: httpx2.Response) -> None:
        self.ask = ask
        self.host = host
        self.url = redact(str(response.request.url))
        self.response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def shown(self) -> str:
        """The URL for messages."""
        return shown(self.url)

    @property
    def redirect(self) -> str | None:
        """The URL that the answer redirects to; ``None`` if it is no redirect."""
        location = self.headers.get("location")
        if self.status not in _REDIRECTS or location is None:
            return None
        try:
            return str(self.response.url.join(location))
        except (httpx2.InvalidURL, ValueError):
            return location

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the decompressed body."""
        encoding = self.headers.get("content-encoding", "")
        if self.response.is_stream_consumed:  # a transport of a test has made it from bytes
            return pieces_of(_once(self.response.content), "", self.ask.max_bytes)
        return pieces_of(self.response.aiter_raw(), encoding, self.ask.max_bytes)

    async def body(self) -> bytes:
        """Return the body; a server that declares too large a one is not read at all."""
        declared, most = self.headers.get("content-length", ""), self.ask.max_bytes
        if declared.isdecimal() and int(declared) > most:
            raise BodyError(f"the body has {size(int(declared))}, more than allowed (max_bytes={most})")
        content = bytearray()
        async for piece in self.pieces():
            content += piece
        return bytes(content)

    async def failure(self) -> HttpError:
        """Return the error that the answer is, with what its body says about it."""
        reason = f"{self.status} {self.response.reason_phrase or _phrase(self.status)}".rstrip()
        retry_after = retry_after_in(self.headers) if self.status in RETRYABLE_STATUSES else None
        return HttpError(
            f"{self.shown} answered {reason}{await self._explanation()}",
            host=self.host,
            status=self.status,
            retry_after=retry_after,
            reason=reason,
        )

    async def _explanation(self) -> str:
        kind = self.headers.get("content-type", "")
        if not any(name in kind for name in ("json", "text/plain", "xml")) or "html" in kind:
            return ""
        text = b""
        try:
            async with aclosing(self.pieces()) as pieces:
                async for piece in pieces:
                    text += piece[:_EXPLANATION]
                    if len(text) >= _EXPLANATION:
                        break
        except (httpx2.HTTPError, BodyError):
            return ""
        said = shorten(clean(redact(" ".join(text.decode("utf-8", "replace").split()))), _QUOTED)
        return f": {said}" if said else ""


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


@asynccontextmanager
async def exchanging(
    client: httpx2.AsyncClient, ask: Ask, host: str, extensions: dict[str, Any]
) -> AsyncIterator[Exchange]:
    """Send a request, without following redirects; problems also of the body are raised as ``HttpError``."""
    with _Problems(ask, host):
        async with asyncio.timeout(ask.longest):
            request = client.build_request(
                ask.method, ask.url, headers=dict(ask.headers), timeout=ask.timeout, extensions=extensions,
                **ask.options,
            )  # fmt: skip
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                yield Exchange(ask, host, response)
            finally:
                await response.aclose()


class _Problems:
    """Turns what httpx2 raises, and what is wrong with a body, into ``HttpError``."""

    def __init__(self, ask: Ask, host: str) -> None:
        self._ask = ask
        self._host = host

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, HttpError | asyncio.CancelledError) or error is None:
            return
        told = self._told(error)
        if told is not None:
            reason, retryable = told
            message = f"{shown(self._ask.url)}: {redact(reason)}"
            raise HttpError(
                message, host=self._host, is_retryable=retryable, reason=redact(reason)
            ) from error

    def _told(self, error: BaseException) -> tuple[str, bool] | None:
        """Return what happened, and whether another attempt may succeed."""
        if isinstance(error, BodyError):
            return str(error), bool(error.is_retryable)
        if isinstance(error, TimeoutError):
            return f"the answer was not complete after {self._ask.longest:g} s", True
        if _refused_certificate(error):
            return f"its certificate is not trusted: {error}", False
        for kinds, words, retryable in _WORDS:
            if isinstance(error, kinds):
                what = words.format(f"{self._ask.timeout:g} s")
                return (f"{what}: {error}" if str(error) else what), retryable
        return None


_WORDS: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
    ((httpx2.ConnectTimeout,), "no connection after {}", True),
    ((httpx2.PoolTimeout,), "all connections were in use for {}", True),
    ((httpx2.TimeoutException,), "no answer for {}", True),
    ((httpx2.ConnectError,), "no connection", True),
    ((httpx2.NetworkError,), "the connection broke", True),
    ((httpx2.RemoteProtocolError, httpx2.DecodingError), "the answer is broken", True),
    ((httpx2.ProxyError,), "the proxy failed", True),
    ((httpx2.HTTPError, httpx2.InvalidURL), "the request cannot be sent", False),
)
"""What an error of httpx2 means, and whether another attempt may succeed; the first fitting kind decides."""


def _refused_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
