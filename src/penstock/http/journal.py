"""The journal of a run: every event, numbered, on disk before any client sees it.

A client reads it at its own pace. It holds a number and the chunk that it is sending, nothing else; so a
client that stalls costs the server nothing more, and a client that comes back continues at its number.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.events import encode_all
from penstock.http.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.events import PipelineEvent

TICK: Final = 0.05
"""Seconds; events that come within a tick reach the clients together."""
_keys = count()
_SKIPPED: Final = 1_000_000
_SEGMENTS: Final = 8
"""A journal that is full forgets an eighth of itself."""


class Gone(Exception):
    """The journal has no event of this number any more, or has never had it."""


class Journal:
    """The events of one run, numbered from 1.

    Args:
        folder: Where its files are.
        limit: Bytes to keep; older events are forgotten, by whole files.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.key = next(_keys)
        """Tells this journal from all others of this process."""
        self._folder = folder
        self._limit = limit
        self._segments: list[Segment] = []
        self.visible = 0
        """The number of the last event that clients may see."""
        self.over = False
        """Whether no more events come."""
        self._ticked = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._news: asyncio.Future[None] | None = None

    @property
    def opened(self) -> bool:
        """Whether the files were read."""
        return bool(self._segments)

    def open(self) -> None:
        """Read the files, and count their lines. Blocks."""
        self._folder.mkdir(parents=True, exist_ok=True)
        paths = sorted(self._folder.glob("*.ndjson"), key=lambda path: int(path.stem))
        self._segments = [Segment(path) for path in paths] or [Segment.create(self._folder, 1)]
        self.visible = self.last

    @property
    def first(self) -> int:
        """The number of the first event that is kept."""
        return self._segments[0].first if self._segments else 1

    @property
    def last(self) -> int:
        """The number of the last event; 0 if there is none."""
        return self._segments[-1].last if self._segments else 0

    def append(self, events: Sequence[PipelineEvent], *, at_once: bool = False) -> int:
        """Write events, and return the number of the last one. Clients see them within a tick.

        Raises:
            OSError: the disk is full, for example. Nothing is written then.
        """
        data = encode_all(events, exact=False)
        segment = self._segments[-1]
        if segment.size >= self._limit // _SEGMENTS:
            segment = Segment.create(self._folder, segment.last + 1)
            self._segments.append(segment)
            while len(self._segments) > _SEGMENTS:
                self._segments.pop(0).remove()
        segment.append(data)
        self._announce(at_once=at_once)
        return segment.last

    def skip(self) -> None:
        """Leave out numbers: clients may have seen events that are lost. Their numbers must not return."""
        if self.last:
            self._segments.append(Segment.create(self._folder, self.last + 1 + _SKIPPED))

    def place(self, number: int) -> int:
        """Return the number of the event that a client wants that has everything before ``number``.

        Raises:
            Gone: the events before it are unknown, or it is forgotten.
        """
        place = bisect_right(self._segments, number, key=lambda segment: segment.first) - 1
        if place < 0 or number > self.last + 1:
            raise Gone
        segment = self._segments[place]
        if number <= segment.last or segment is self._segments[-1]:
            return number
        if number > segment.last + 1:
            raise Gone
        return self._segments[place + 1].first

    def tail(self, count: int) -> int:
        """Return the number of the first of the last ``count`` events."""
        for segment in reversed(self._segments):
            if count <= segment.lines:
                return segment.last + 1 - count
            count -= segment.lines
        return self.first

    def read(self, start: int) -> tuple[list[bytes], int]:
        """Return lines from number ``start`` on, to the end of their block; and the number behind them.

        Raises:
            Gone: there is no such event, or it is forgotten.
        """
        segment = self._holding(start)
        offset = start - segment.first
        block = bisect_right(segment.starts, offset) - 1
        before = segment.starts[block]
        lines = segment.read(block).split(b"\n")[:-1]
        most = self.visible - segment.first - before + 1
        lines = lines[offset - before : most]
        return lines, start + len(lines)

    def end_of_block(self, start: int) -> int:
        """Return the number behind the last line that ``read(start)`` would return; raises as it does."""
        segment = self._holding(start)
        block = bisect_right(segment.starts, start - segment.first)
        lines = segment.starts[block] if block < len(segment.starts) else segment.lines
        return min(segment.first + lines, self.visible + 1)

    def _holding(self, number: int) -> Segment:
        """Return the file that has a line; raise ``Gone`` if none has."""
        place = bisect_right(self._segments, number, key=lambda segment: segment.first) - 1
        if place < 0 or not number <= min(self.visible, self._segments[place].last):
            raise Gone
        return self._segments[place]

    async def wait(self, after: int, seconds: float) -> bool:
        """Wait until there is an event behind ``after``, or the end; return whether it came in time."""
        if self.visible > after or self.over:
            return True
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._news,), timeout=seconds)
        return self.visible > after or self.over

    def resume(self) -> None:
        """Expect more events."""
        self.over = False

    def end(self) -> None:
        """Tell all readers that no more events come, and make the journal durable."""
        self.over = True
        self._tick()
        if self._segments:
            self._segments[-1].sync()

    def wake(self) -> None:
        """Wake all readers, for example because the server stops."""
        self._tick()

    def close(self) -> None:
        """Close the files."""
        if self._timer is not None:
            self._timer.cancel()
        for segment in self._segments:
            segment.close()
        self._segments = []

    def _announce(self, *, at_once: bool) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - self._ticked
        if at_once or since >= TICK:
            self._tick()
        elif self._timer is None:
            self._timer = loop.call_later(TICK - since, self._tick)

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ticked = asyncio.get_running_loop().time()
        self.visible = self.last
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)
