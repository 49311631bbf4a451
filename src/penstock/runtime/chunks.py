"""A queue of chunks that remembers where each of its items stands."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.runtime.upstream import Marks


__all__ = ["Chunks"]


class Chunks:
    """Items taken from one upstream and not delivered yet."""

    __slots__ = ("_chunks", "_here", "_length", "_parts")

    def __init__(self, start: Marks) -> None:
        self._chunks: deque[tuple[list[Any], Marks, int]] = deque()  # items, their marks, how many are gone
        self._parts: list[tuple[int, Marks, int]] = []  # of the last take: count, marks, offset
        self._here: tuple[Marks, int] = (start, 0)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, items: list[Any], marks: Marks) -> None:
        """Append a chunk."""
        self._chunks.append((items, marks, 0))
        self._length += len(items)

    def end(self, marks: Marks) -> None:
        """Note where upstream stands at its end, behind everything held."""
        self._chunks.append(([], marks, 0))

    def drop(self, count: int) -> None:
        """Leave out the first ``count`` items; a position moves past them with the next item taken."""
        self._length -= count
        while count:
            items, marks, gone = self._chunks.popleft()
            part = min(count, len(items) - gone)
            if gone + part < len(items):
                self._chunks.appendleft((items, marks, gone + part))
            count -= part

    def leave(self) -> None:
        """Let the last chunk be nothing, behind the one that was: more is asked for, so that one arrived.

        Call it before a request waits: cancelled there, its position must not stand before that chunk.
        """
        if self._parts:
            count, marks, offset = self._parts[-1]
            self._here = (marks, offset + count)
            self._parts = []

    def take(self, n: int) -> list[Any]:
        """Remove and return the first ``n`` items, or all there are; they become the last chunk."""
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
        """Return positions inside the chunk last taken."""
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
