"""Errors that name their operator (law 13) and are the same each time they are raised (law 3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from penstock.runtime.node import Node

PREFIX = "penstock: in "


def annotate(error: BaseException, where: str) -> None:
    """Add a note that names the operator which raised ``error``, unless it has such a note."""
    notes: list[str] = getattr(error, "__notes__", [])
    if not any(note.startswith(PREFIX) for note in notes):
        error.add_note(PREFIX + where)


def raised_by_user(error: BaseException, where: str) -> BaseException:
    """Return the error that ends the run when user code raised ``error``; it has a note that says ``where``.

    Python and asyncio would take some errors for something else: a ``StopIteration`` for the end of the
    items, a ``CancelledError`` for a cancelled request. They become a ``RuntimeError`` with the cause.
    Call this only if nobody cancelled the task in which the user code ran.
    """
    if isinstance(error, StopIteration | StopAsyncIteration | asyncio.CancelledError):
        cancelled = isinstance(error, asyncio.CancelledError)
        what = "was cancelled from outside, or it raised" if cancelled else "raised"
        raised = RuntimeError(f"{where}: user code {what} {type(error).__name__}")
        raised.__cause__ = error
        error = raised.with_traceback(error.__traceback__)
    annotate(error, where)
    return error


class calling:  # noqa: N801  reads like a statement
    """A block that calls a function of the user, without awaiting: see ``raised_by_user`` for its errors."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and (raised := raised_by_user(error, self._node.describe())) is not error:
            raise raised


class Failure:
    """A stored exception that can be raised many times without a growing traceback."""

    __slots__ = ("_traceback", "error")

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self._traceback = error.__traceback__

    def throw(self) -> NoReturn:
        """Raise the exception with the traceback that it had when it was stored."""
        raise self.error.with_traceback(self._traceback)
