"""Errors that name their operator (law 13) and are the same each time they are raised (law 3)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from penstock.errors import SubscriptionClosed

if TYPE_CHECKING:
    from penstock.runtime.node import Node

PREFIX = "penstock: in "

MISTAKEN = (StopIteration, StopAsyncIteration, asyncio.CancelledError)
"""Errors of user code that Python and asyncio would take for something else: see ``raised_by_user``."""

CLOSED = "this subscription was closed with aclose(); subscribe to the flow again for a new run"


def text_of(error: BaseException) -> str:
    """Return the text of ``error``; of a group those of the errors in it; without a text, its type."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_named(one) for one in members_of(error))
    return str(error) or type(error).__name__


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def members_of(error: BaseException) -> list[BaseException]:
    """Return the errors in a group, and in groups in it; of any other error itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [inner for one in error.exceptions for inner in members_of(one)]


def annotate(error: BaseException, where: str) -> None:
    """Add a note that names the operator which raised ``error``, unless it has such a note."""
    notes: list[str] = getattr(error, "__notes__", [])
    if not any(note.startswith(PREFIX) for note in notes):
        error.add_note(PREFIX + where)
        if isinstance(error, TypeError) and _awaited_a_plain_result(error):
            operator = where.partition(" ")[0]
            error.add_note(
                f"penstock: {operator} awaits what its function returns, and that is no awaitable. "
                f"Pass an async function, or use {operator.removesuffix('_async')}."
            )


def _awaited_a_plain_result(error: TypeError) -> bool:
    """Whether an operator for async functions awaited the result of a plain one, which Python refused."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return module.startswith("penstock.operators.concurrency.") and "await" in str(error)


def raised_by_user(error: BaseException, where: str) -> BaseException:
    """Return the error that ends the run when user code raised ``error``; it has a note that says ``where``.

    Python and asyncio would take some errors for something else: a ``StopIteration`` for the end of the
    items, a ``CancelledError`` for a cancelled request. They become a ``RuntimeError`` with the cause.
    Call this only if nobody cancelled the task in which the user code ran.
    """
    if isinstance(error, MISTAKEN):
        cancelled = isinstance(error, asyncio.CancelledError)
        what = "was cancelled from outside, or it raised" if cancelled else "raised"
        raised = RuntimeError(f"{where}: user code {what} {type(error).__name__}")
        raised.__cause__ = error
        error = raised.with_traceback(error.__traceback__)
    annotate(error, where)
    return error


def reraise(error: BaseException, where: str) -> NoReturn:
    """Raise what ``raised_by_user`` returns.

    No local variable of a frame that an error leaves may hold the error: its traceback holds the frame, so
    both, and the whole run, would live until Python looks for circles.
    """
    try:
        raise raised_by_user(error, where)
    finally:
        del error


class calling:  # noqa: N801  reads like a statement
    """A block that calls a function of the user, without awaiting: see ``raised_by_user`` for its errors."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def __repr__(self) -> str:
        return f"<calling {self._node.describe()}>"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if isinstance(error, MISTAKEN):
                reraise(error, self._node.describe())
            elif error is not None:
                annotate(error, self._node.describe())
        finally:
            del error


class Failure:
    """A stored exception that can be raised many times without a growing traceback."""

    __slots__ = ("_traceback", "error", "thrown")

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.thrown = False
        self._traceback = error.__traceback__

    def __repr__(self) -> str:
        return f"<Failure: {type(self.error).__name__}>"

    def throw(self) -> NoReturn:
        """Raise the exception with the traceback that it had when it was stored."""
        self.thrown = True
        raise self.error.with_traceback(self._traceback)

    def forget(self) -> None:
        """Drop the exception, because the run was closed and nobody raises it again.

        Its traceback has the frames of the run. A closed run must not be kept alive by its own error.
        """
        self.error, self._traceback = SubscriptionClosed(CLOSED), None
