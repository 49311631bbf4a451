"""``HttpError``: a request that failed, and whether another attempt may succeed."""

from __future__ import annotations

from penstock.errors import SourceError
from penstock.runtime.libraries import RETRYABLE_STATUSES


class HttpError(SourceError):
    """A request failed: no connection, no answer in time, or an answer that is an error.

    No message contains a secret. To raise one of your own, the status is enough:
    ``raise HttpError("too many requests", host=host, status=429, retry_after=12)``.

    Args:
        message: What happened, in one sentence.
        host: The server.
        status: The status code of the answer, or ``None`` without an answer.
        is_retryable: Whether another attempt may succeed; a `RetryPolicy` asks it. By default the status
            decides: 408, 425, 429 and 5xx may, without 501 and 505.
        retry_after: How many seconds the server asked to wait.
        reason: The message in few words, for the progress bar: ``429 Too Many Requests``.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str = "",
        status: int | None = None,
        is_retryable: bool | None = None,
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        if is_retryable is None:
            is_retryable = status in RETRYABLE_STATUSES or (status is None and retry_after is not None)
        super().__init__(message, is_retryable=is_retryable, retry_after=retry_after)
        self.host = host
        self.status = status
        self.reason = reason

    @property
    def waits_for(self) -> str:
        """What a retry waits for, in few words: ``eutils.ncbi.nlm.nih.gov: 429 Too Many Requests``."""
        return f"{self.host}: {self.reason or self.status or self}" if self.host else ""
