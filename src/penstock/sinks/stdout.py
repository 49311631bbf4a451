"""Documents as JSON Lines on standard output, for pipes."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from penstock.abc import JSON, Commit, Sink
from penstock.errors import SinkError
from penstock.sinks.files.lines import LineForm
from penstock.sinks.layout import Layout
from penstock.sinks.output import not_open, read_record
from penstock.system import Worker, reason
from penstock.system.terminal import for_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from penstock.document import Document

_FORMAT = "stdout"


class StdoutSink(Sink):
    """Writes each list of documents to standard output as JSON Lines, and flushes it.

    *At least once*: what was written cannot be taken back. After an interruption, a run with a ledger goes on
    at its last commit, and documents since then come again. A run without one begins anew.

    A reader that is slow slows the run down. If it goes away (``| head``), ``write`` raises
    ``BrokenPipeError``. On a terminal, characters that a terminal obeys are written as JSON escapes.

    Args:
        schema: A class that declares columns; by default the schema of the adapter.
        columns: The names of the columns to write; see ``JsonLinesSink``.
        include_raw: Whether to write the raw bytes too, in base64.
        stream: Where to write instead.
    """

    effectively_once = False

    def __init__(
        self,
        *,
        schema: type | None = None,
        columns: Sequence[str] | None = None,
        include_raw: bool = False,
        stream: BinaryIO | None = None,
    ) -> None:
        self._form = LineForm(Layout.of(schema, columns, include_raw=include_raw))
        self._stream = stream
        self._worker = Worker("penstock-stdout")
        self._count = 0
        self._is_open = False

    def describe(self) -> str:
        """Return ``stdout``."""
        return "stdout"

    @property
    def wants_raw(self) -> bool:
        """See ``Sink.wants_raw``."""
        return self._form.layout.wants_raw

    def use_schema(self, schema: type | None) -> None:
        """See ``Sink.use_schema``."""
        if not self._form.layout.declared:
            self._form = LineForm(self._form.layout.with_schema(schema))

    @property
    def encoder(self) -> Callable[[Document], bytes] | None:
        """See ``Sink.encoder``."""
        return self._form.encoder

    async def open(self, record: JSON, *, restart: bool = False) -> Commit | None:
        """See ``Sink.open``; nothing is taken back. Returns ``None``."""
        self._count = 0
        if record is not None and not restart:
            self._count = read_record(record, _FORMAT, self.describe(), count=int)["count"]
        if self._stream is None and not hasattr(sys.stdout, "buffer"):
            raise SinkError("standard output takes no bytes here, as in a notebook: name a file")
        self._is_open = True
        return None

    async def write(self, documents: Sequence[Document]) -> None:
        """See ``Sink.write``; returns when the reader has room for the lines.

        Raises:
            BrokenPipeError: the reader went away.
            SinkError: the lines cannot be written; the message says why. Or a document is not JSON.
        """
        self._check_open()
        if documents:
            await self._worker.run(partial(self._put, self._form.lines(documents)))
            self._count += len(documents)

    def _put(self, data: bytes) -> None:
        stream = self._stream or sys.stdout.buffer
        try:
            stream.write(for_terminal(data) if stream.isatty() else data)
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SinkError(f"cannot write to standard output: {reason(error)}") from error

    async def commit(self, commit: Commit) -> JSON:  # noqa: ARG002  the ledger keeps it
        """See ``Sink.commit``; the record holds how many documents were written."""
        self._check_open()
        return {"format": _FORMAT, "count": self._count}

    async def aclose(self) -> None:
        """See ``Sink.aclose``; standard output stays open."""
        self._is_open = False
        await self._worker.aclose(lambda: None)

    def _check_open(self) -> None:
        if not self._is_open:
            raise not_open(self.describe())
