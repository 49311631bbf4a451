"""The events of a run as NDJSON on a stream, for another program to read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penstock.events import encode_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from penstock.events import PipelineEvent

__all__ = ["EventStream"]

_UNSHOWABLE = re.compile("[\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What JSON may carry as it is and a terminal would obey: DEL, the C1 controls, bidirectional overrides."""


class EventStream:
    """A hook that writes every list of events, at once and whole, to ``stream``.

    A reader that is slow slows the run down, as it should. A reader that goes away (``| head``) is no
    error of this run: nothing more is written, and ``on_closed`` is called once.
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
        data = encode_all(events)
        try:
            self._stream.write(for_terminal(data) if self._escape else data)
            self._stream.flush()
        except BrokenPipeError:
            self.closed = True
            self._on_closed()


def for_terminal(data: bytes) -> bytes:
    """Write what a terminal would obey as JSON escapes; the JSON means the same."""
    text = data.decode("utf-8")
    return _UNSHOWABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode("utf-8")
