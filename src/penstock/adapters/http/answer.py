"""``Answer``: what a server answered, read to its end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from penstock.adapters.http.error import HttpError
from penstock.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer with a status of success. ``headers`` have lower-case names."""

    url: str
    """The address that was asked, without secrets."""
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    unchanged: bool = False
    """Whether the server said that it has not changed (304), and this is the copy of an earlier answer."""

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            HttpError: it is not JSON. It is retryable if the body begins like JSON, or is empty: then it was
                probably cut off. A page of HTML is not.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            begin = redact(self.content[:60].decode("utf-8", "replace"))
            raise HttpError(
                f"{self.url} did not answer with JSON: {error}; it begins {begin!r}",
                host=urlsplit(self.url).hostname or "",
                is_retryable=self.content.lstrip()[:1] in (b"", b"{", b"["),
                reason="an answer that is not JSON",
            ) from error
