"""Dead letters of a pipeline, by pages."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.errors import LedgerError
from penstock.http.problems import Problem
from penstock.http.views import LetterPage, LetterView
from penstock.redact import redact, redact_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import DeadLetter
    from penstock.pipeline_file import PipelineFile
    from penstock.pipeline_file.places import Place

_FRESH: Final = 2.0
"""Seconds for which a count is used again."""


class Letters:
    """The dead letters of the pipeline of a file."""

    def __init__(self, file: PipelineFile) -> None:
        self._ledger = file.ledger
        self._key = file.model.key or file.adapter.name
        self._counted: tuple[float, int] = (-_FRESH, 0)

    async def count(self, *, live: bool) -> int | None:
        """Return how many there are; ``None`` if no ledger can tell. While ``live``, as of 2 s ago."""
        if self._ledger is None:
            return None
        at, found = self._counted
        if live and time.monotonic() - at < _FRESH:
            return found
        try:
            found = await asyncio.to_thread(_count, self._ledger, self._key)
        except LedgerError:
            return None
        self._counted = time.monotonic(), found
        return found

    async def page(self, skip: int, limit: int, *, raw: bool) -> LetterPage:
        """Return letters, the newest first.

        Raises:
            Problem: the pipeline keeps no ledger, or it cannot be read.
        """
        if self._ledger is None:
            raise Problem(409, "no-ledger", "the pipeline keeps no ledger, so it has no dead letters")
        try:
            letters = await asyncio.to_thread(_latest, self._ledger, self._key, skip + limit)
            total = await asyncio.to_thread(_count, self._ledger, self._key)
        except LedgerError as error:
            raise Problem(503, "ledger", f"the ledger cannot be read: {error}") from error
        found = letters[::-1][skip:]
        more = skip + len(found) < total and len(found) == limit
        return LetterPage(
            letters=[_view(letter, raw=raw) for letter in found],
            total=total,
            next=skip + limit if more else None,
        )


def _count(ledger: Place, key: str) -> int:
    from penstock.ledger import read_status

    return sum(status.dead_letters for status in _if_there(read_status, ledger) if status.key == key)


def _latest(ledger: Place, key: str, latest: int) -> list[DeadLetter]:
    from penstock.ledger.history import read_dead_letters

    return _if_there(lambda place: read_dead_letters(place, key, latest=latest), ledger)


def _if_there(read: Callable[[Place], list[Any]], ledger: Place) -> list[Any]:
    """Return what is read; nothing if no run has made the ledger yet."""
    return [] if isinstance(ledger, Path) and not ledger.exists() else read(ledger)


def _view(letter: DeadLetter, *, raw: bool) -> LetterView:
    return LetterView(
        key=redact(letter.key),
        doc_id=letter.doc_id,
        adapter=letter.adapter,
        error_type=letter.error_type,
        error=redact(letter.error),
        traceback=letter.traceback and redact(letter.traceback),
        context=redact_json(letter.context),
        attempts=letter.attempts,
        timestamp=letter.timestamp,
        bytes=len(letter.raw),
        raw=base64.b64encode(letter.raw).decode() if raw else None,
    )
