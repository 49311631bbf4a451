"""A queue of chunks that knows the position of each of its items."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.runtime.upstream import Marks


class Chunks:
    """Items that were taken from one upstream and not delivered yet, with their positions."""

    __slots__ = ("_chunks", "_here", "_length", "_parts")

    def __init__(self, start: Marks) -> None:
        self._chunks: deque[tuple[list[Any], Marks, int]] = deque()  # items, their marks, how many were taken
        self._parts: list[tuple[int, Marks, int]] = []  # of the last take: count, marks, offset
        self._here: tuple[Marks, int] = (start, 0)  # before the last take
        self._length = 0

    def __repr__(self) -> str:
        return f"<Chunks: {self._length:,} items>"

    def __len__(self) -> int:
        return self._length

    def put(self, items: list[Any], marks: Marks) -> None:
        """Append a chunk."""
        self._chunks.append((items, marks, 0))
        self._length += len(items)

    def end(self, marks: Marks) -> None:
        """Store where upstream stands at its end, behind all items held."""
        self._chunks.append(([], marks, 0))

    def drop(self, count: int) -> None:
        """Remove the first ``count`` items; the position moves past them with the next item taken."""
        self._length -= count
        while count:
            items, marks, gone = self._chunks.popleft()
            part = min(count, len(items) - gone)
            if gone + part < len(items):
                self._chunks.appendleft((items, marks, gone + part))
            count -= part

    def leave(self) -> None:
        """Move the position behind the last chunk: the next request means that it was received.

        Call it before a request waits. If the request is cancelled, the position stands behind that chunk.
        """
        if self._parts:
            count, marks, offset = self._parts[-1]
            self._here = (marks, offset + count)
            self._parts = []

    def take(self, n: int) -> list[Any]:
        """Remove and return up to ``n`` items from the front; they become the last chunk."""
        self.leave()
        out: list[Any] = []
        while self._chunks and (len(out) < n or not self._chunks[0][0]):
            items, marks, gone = self._chunks[0]
            part = items[gone : gone + n - len(out)]
            self._parts.append((len(part), marks, gone))
            out += part
            if gone + len(part) >= len(items):
                self._chunks.popleft()
            else:
                self._chunks[0] = (items, marks, gone + len(part))
        self._length -= len(out)
        return out

    def marks(self) -> Marks:
        """Return the positions inside the last chunk; see ``Upstream.marks``."""
        here, parts = self._here, tuple(self._parts)

        def at(i: int) -> dict[str, Any]:
            marks, offset = here
            for count, page, gone in parts:
                marks, offset = page, gone + min(i, count)
                i -= count
                if i <= 0:
                    break
            return marks(offset)

        return at
