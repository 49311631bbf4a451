"""A function as a sink, for outputs that have no sink of their own."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkError
from penstock.runtime.arguments import function_for, text_for
from penstock.sinks.output import not_open, read_record

if TYPE_CHECKING:
    from penstock.document import Document

_FORMAT = "callback"


class CallbackSink(Sink):
    """Calls ``function`` with each list of documents, and awaits the result if the function is async.

    *At least once*: Penstock cannot undo what the function did. After a crash the documents since the last
    commit come again; the function can recognise them by ``doc_id``. If the function raises, the run ends
    and earlier commits stay.

    A plain function blocks the event loop: write a slow one as ``async def``.

    Args:
        function: Takes a list of documents, in order. Its result is not used.
        name: The name of the output in messages and records; by default the function's name.
    """

    effectively_once = False

    def __init__(
        self, function: Callable[[list[Document]], Awaitable[object] | object], *, name: str | None = None
    ) -> None:
        function_for("callback", function, asynchronous=True)
        text_for("callback", "name", name, optional=True)
        self._function = function
        self._name = name or getattr(function, "__qualname__", type(function).__name__)
        self._count = 0
        self._is_open = False

    def describe(self) -> str:
        """Return ``callback`` and the name."""
        return f"callback {self._name}"

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; earlier calls cannot be undone. Returns ``None``."""
        self._count = 0
        if record is not None and not restart:
            self._count = read_record(record, _FORMAT, self.describe(), count=int)["count"]
        self._is_open = True
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; returns when the function has returned.

        Raises:
            SinkError: the function raised; its exception is the cause.
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

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002  the ledger keeps it
        """See ``Sink.commit``; the record holds how many documents the function has taken."""
        self._check_open()
        return {"format": _FORMAT, "count": self._count}

    async def aclose(self) -> None:
        """See ``Sink.aclose``."""
        self._is_open = False

    def _check_open(self) -> None:
        if not self._is_open:
            raise not_open(self.describe())


def callback(
    function: Callable[[list[Document]], Awaitable[object] | object], *, name: str | None = None
) -> CallbackSink:
    """Return a sink that calls ``function`` with lists of documents, at least once; see ``CallbackSink``."""
    return CallbackSink(function, name=name)
