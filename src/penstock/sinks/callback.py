"""A function as a sink: for whatever has no sink of its own, at least once."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import GraphError, SinkError, SinkMismatch

if TYPE_CHECKING:
    from penstock.document import Document

__all__ = ["CallbackSink", "callback"]

_FORMAT = "callback"


class CallbackSink(Sink):
    """Calls ``function`` with each list of documents, and waits for it if it is async.

    *At least once*: what the function did cannot be undone, so after a crash the documents since the last
    commit come again. Let it know them by ``doc_id``. An exception of it ends the run, and what was
    committed stays.
    A plain function runs on the event loop: one that waits should be async.

    Args:
        function: Takes a list of documents, in order; what it returns is not used.
        name: How the output is called in messages and records; the function's name by default.
    """

    effectively_once = False

    def __init__(
        self, function: Callable[[list[Document]], Awaitable[object] | object], *, name: str | None = None
    ) -> None:
        if not callable(function):
            raise GraphError(f"callback takes a function of a list of documents, not {function!r}")
        self._function = function
        self._name = name or getattr(function, "__qualname__", type(function).__name__)
        self._count = 0
        self._is_open = False

    def describe(self) -> str:
        """Return ``callback`` and the name."""
        return f"callback {self._name}"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; nothing written before can be taken back. Returns ``None``."""
        if record is not None and not restart:
            try:
                known, self._count = record["format"] == _FORMAT, int(record["count"])
            except (TypeError, KeyError, ValueError):
                known = False
            if not known:
                raise SinkMismatch(
                    f"the ledger's record is of another kind of output than the {self.describe()}; "
                    "name the output of the earlier runs, or restart to begin anew"
                )
        else:
            self._count = 0
        self._is_open = True
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; returns when the function has.

        Raises:
            SinkError: it raised; its exception is the cause.
        """
        self._check_open()
        if not documents:
            return
        try:
            outcome = self._function(list(documents))
            if inspect.isawaitable(outcome):
                await outcome
        except Exception as error:
            raise SinkError(f"the {self.describe()} failed: {type(error).__name__}: {error}") from error
        self._count += len(documents)

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002 - there is nothing to commit to
        """See ``Sink.commit``; the record is how many documents the function has taken."""
        self._check_open()
        return {"format": _FORMAT, "count": self._count}

    async def aclose(self) -> None:
        """See ``Sink.aclose``."""
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise SinkError(f"the {self.describe()} is not open; await open(record) first")


def callback(
    function: Callable[[list[Document]], Awaitable[object] | object], *, name: str | None = None
) -> CallbackSink:
    """Return a sink that calls ``function`` with lists of documents, at least once; see ``CallbackSink``."""
    return CallbackSink(function, name=name)
