"""Writes the events of a run as NDJSON, for another program to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events import encode_all
from penstock.system.terminal import for_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from penstock.events import PipelineEvent


class EventStream:
    """A hook that writes each list of events to ``stream`` and flushes it.

    A value that JSON does not have is replaced (see `encode_all`): it does not end the run.

    A slow reader slows the run down. If the reader goes away (``| head``), nothing more is written and
    ``on_closed`` is called once; this is not an error.
    """

    def __init__(self, stream: BinaryIO, on_closed: Callable[[], object]) -> None:
        self.closed = False
        self._stream = stream
        self._on_closed = on_closed
        self._escape = stream.isatty()

    def __call__(self, events: Sequence[PipelineEvent]) -> None:
        """Write the events, one line each."""
        if self.closed:
            return
        data = encode_all(events, exact=False)
        try:
            self._stream.write(for_terminal(data) if self._escape else data)
            self._stream.flush()
        except BrokenPipeError:
            self.closed = True
            self._on_closed()
