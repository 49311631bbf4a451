"""Errors that speak (law 13) and stay the same however often they are asked for (law 3)."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["Failure", "annotate"]


PREFIX = "penstock: in "


def annotate(error: BaseException, where: str) -> None:
    """Add a note saying which operator ``error`` came out of; only the first one counts."""
    notes: list[str] = getattr(error, "__notes__", [])
    if not any(note.startswith(PREFIX) for note in notes):
        error.add_note(PREFIX + where)


class Failure:
    """A stored exception that can be raised again and again without its traceback growing."""

    __slots__ = ("_traceback", "error")

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._traceback = error.__traceback__

    def throw(self) -> NoReturn:
        """Raise the exception as it was when it was stored."""
        raise self.error.with_traceback(self._traceback)
