"""``HttpClient``: requests within the limits of each host, whose errors say whether to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.adapters.http.answer import Answer
from penstock.adapters.http.error import HttpError
from penstock.errors import MissingExtra
from penstock.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The status codes after which another attempt may succeed."""


class HttpClient:
    """A client for one run: ``async with HttpClient() as http: answer = await http.get(url)``.

    It does not retry. Its errors say whether another attempt may succeed and after which wait, and the run's
    `RetryPolicy` decides: the event stage of an adapter goes on from the last page, and tells it by events.

    Args:
        headers: Headers of every request.
        timeout: Seconds to connect, and to wait for each piece of an answer.
    """

    def __init__(self, *, headers: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise MissingExtra("HttpClient", "http") from error
        self._library = httpx2
        self._client = httpx2.AsyncClient(headers=dict(headers or {}), timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, url: str, params: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        """Ask for ``url``; see ``request``."""
        return await self.request("GET", url, params=params, **options)

    async def request(self, method: str, url: str, **options: Any) -> Answer:
        """Send a request and read its answer.

        Raises:
            HttpError: there is no answer, or the answer is an error.
        """
        host, shown = urlsplit(url).hostname or "", redact(url)
        try:
            response = await self._client.request(method, url, **options)
        except self._library.TransportError as error:
            problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise HttpError(f"{shown}: {redact(problem)}", host=host, is_retryable=True) from error
        if response.is_success:
            return Answer(
                url=shown,
                status=response.status_code,
                headers=dict(response.headers),
                content=response.content,
            )
        status = response.status_code
        message = f"{shown} answered {status} {response.reason_phrase}".rstrip()
        raise HttpError(message, host=host, status=status, is_retryable=status in RETRYABLE)
