"""Errors that name their operator (law 13) and are the same each time they are raised (law 3)."""

from __future__ import annotations

from typing import NoReturn

PREFIX = "penstock: in "


def annotate(error: BaseException, where: str) -> None:
    """Add a note that names the operator which raised ``error``, unless it has such a note."""
    notes: list[str] = getattr(error, "__notes__", [])
    if not any(note.startswith(PREFIX) for note in notes):
        error.add_note(PREFIX + where)


class Failure:
    """A stored exception that can be raised many times without a growing traceback."""

    __slots__ = ("_traceback", "error")

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._traceback = error.__traceback__

    def throw(self) -> NoReturn:
        """Raise the exception with the traceback that it had when it was stored."""
        raise self.error.with_traceback(self._traceback)
