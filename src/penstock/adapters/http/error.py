"""``HttpError``: a request that failed, and whether another attempt may succeed."""

from __future__ import annotations

from penstock.errors import SourceError


class HttpError(SourceError):
    """A request failed: no connection, no answer in time, or an answer that is an error.

    ``status`` is the status code of the answer, or ``None`` without an answer. ``is_retryable`` says whether
    another attempt may succeed; a `RetryPolicy` asks it. ``retry_after`` is how many seconds the server asked
    to wait, or ``None``. ``host`` is the server. No message contains a secret.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str = "",
        status: int | None = None,
        is_retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.host = host
        self.status = status
        self.is_retryable = is_retryable
        self.retry_after = retry_after
