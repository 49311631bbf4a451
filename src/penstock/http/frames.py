"""Events as clients get them: Server-Sent Events, or lines of JSON."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from penstock.http.journal import Journal

SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
RETRY: Final = 2_000
"""Milliseconds after which a client shall come back."""
_KEPT: Final = 8 << 20
_EACH: Final = 500
"""Bytes of a chunk besides its events, about."""
_TYPE: Final = len(b'{"type":"')


def type_of(line: bytes) -> bytes:
    """Return the type of an event from its line, which begins with it."""
    return line[_TYPE : line.index(b'"', _TYPE)]


@dataclass(frozen=True, slots=True)
class Form:
    """How a client wants its events: the media type, and which types (all if ``None``)."""

    media_type: str
    types: frozenset[bytes] | None = None

    @property
    def opening(self) -> bytes:
        """What the client gets first."""
        return b"retry: %d\n\n" % RETRY if self.media_type == SSE else b""

    def frames(self, lines: Iterable[bytes], first: int) -> bytes:
        """Return the lines, of which the first has the number ``first``, as the client gets them."""
        numbered: Iterable[tuple[int, bytes]] = zip(count(first), lines, strict=False)
        if self.types is not None:
            types = self.types
            numbered = ((number, line) for number, line in numbered if type_of(line) in types)
        if self.media_type == SSE:
            return b"".join(
                [
                    b"id: %d\nevent: %b\ndata: %b\n\n" % (number, type_of(line), line)
                    for number, line in numbered
                ]
            )
        return b"".join([b"%b\n" % line for _, line in numbered])

    def heartbeat(self, after: int) -> bytes:
        """Return what keeps the connection alive. An SSE client remembers that it has all up to ``after``."""
        return (
            b"id: %d\n: heartbeat\n\n" % after
            if self.media_type == SSE and after
            else (b": heartbeat\n\n" if self.media_type == SSE else b"\n")
        )


class Frames:
    """The newest chunks of all journals: clients that read the same events share one chunk.

    Args:
        kept: Bytes to keep. A chunk that is larger is not kept.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._size = 0
        self._chunks: OrderedDict[tuple[int, int, int, Form], bytes] = OrderedDict()

    def chunk(self, journal: Journal, start: int, form: Form) -> tuple[bytes, int]:
        """Return the events from number ``start`` on, to the end of a block; and the number behind them.

        Raises:
            Gone: there is no such event, or it is forgotten.
        """
        end = journal.end_of_block(start)
        key = (journal.key, start, end, form)
        found = self._chunks.get(key)
        if found is None:
            lines, end = journal.read(start)
            found = self._chunks[key] = form.frames(lines, start)
            self._size += len(found) + _EACH
            while self._size > self._kept:
                _, old = self._chunks.popitem(last=False)
                self._size -= len(old) + _EACH
        return found, end
