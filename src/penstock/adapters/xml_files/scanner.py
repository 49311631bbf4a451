"""The bytes of an XML stream that are still needed, and the searches in them.

The searches run in C (``bytes.find`` and ``re``).
"""

from __future__ import annotations

import re

MAX_TAG_BYTES = 1024 * 1024
"""A longer tag counts as broken."""

NAME_ENDS = b" \t\r\n/>"
"""The bytes that may follow the name in a tag."""

TAG_NAME = re.compile(rb"<([^\s<>/\"'=!?&]+)")

_FALSE_ALARMS = 16  # then the search changes to the exact, slower one
_SPACE = re.compile(rb"[ \t\r\n]*")
_ATTRIBUTES = re.compile(rb"(?>[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+")
_OPAQUE = ((b"<!--", b"-->"), (b"<![CDATA[", b"]]>"), (b"<?", b"?>"))

_LARGE = 1 << 20


class Scanner:
    """A buffer of bytes with a cursor, ``at``: everything before the cursor has been read.

    ``base`` is the offset of the buffer's first byte in the stream. Comments, CDATA sections and processing
    instructions are called *opaque*: the tags inside them do not count.
    """

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.base = 0
        self.at = 0
        self.until = b""
        """The token that ends the opaque part at the cursor, or ``b""`` outside of opaque parts."""
        # Without this memory, a stream of nothing but "<!", or of records that never end, would be searched
        # to its end from each of its bytes.
        self._nearest: dict[bytes, int] = {}

    def feed(self, data: bytes) -> None:
        """Append bytes."""
        self.buffer += data
        self._nearest.clear()

    def drop(self, count: int) -> None:
        """Remove the first ``count`` bytes of the buffer."""
        del self.buffer[:count]
        self.base += count
        self.at -= count

    def part(self, start: int, end: int) -> bytes:
        """Return a part of the buffer. A large part is copied once; a slice would be a second copy."""
        if end - start < _LARGE:
            return bytes(self.buffer[start:end])
        with memoryview(self.buffer) as whole, whole[start:end] as part:
            return bytes(part)

    def skip_space(self) -> bool:
        """Skip white space; return whether anything follows it."""
        match = _SPACE.match(self.buffer, self.at)
        self.at = match.end() if match else self.at  # it always matches, possibly nothing
        return self.at < len(self.buffer)

    def enter_opaque(self, *, cdata: bool) -> bool:
        """Enter the opaque part that begins at the cursor; return whether one does."""
        for begin, end in _OPAQUE:
            if self.buffer.startswith(begin, self.at) and (cdata or end != b"]]>"):
                self.at += len(begin)
                self.until = end
                return True
        return False

    def leave_opaque(self) -> bool:
        """Leave the current opaque part, if any; return ``False`` if its end has not arrived yet."""
        until = self.until
        if not until:
            return True
        end = self.buffer.find(until, self.at)
        if end < 0:
            self.at = max(self.at, len(self.buffer) - len(until) + 1)
            return False
        self.at = end + len(until)
        self.until = b""
        return True

    def tag_end(self, at: int) -> int | None:
        """Return the end of the tag whose attributes begin at ``at``; ``None`` if it has not arrived yet.

        A tag that contains a ``<`` is broken and ends there: its record is bad, but the next may be good.
        """
        buffer = self.buffer
        match = _ATTRIBUTES.match(buffer, at)
        end = match.end() if match else at  # it always matches, possibly nothing
        if end < len(buffer) and buffer[end] == ord(">"):
            return end + 1
        return None if buffer.find(b"<", end) < 0 else end

    def find_tag(self, token: bytes, at: int) -> int:
        """Return the next place from ``at`` on where ``token`` is a whole tag name, or -1."""
        nearest = self._nearest.get(token, 0)
        if 0 <= nearest < at or token not in self._nearest:
            nearest = self._nearest[token] = self._search_tag(token, at)
        return nearest

    def _search_tag(self, token: bytes, at: int) -> int:
        buffer = self.buffer
        length = len(token)
        while True:
            at = buffer.find(token, at)
            if at < 0 or at + length >= len(buffer):
                return -1
            if buffer[at + length] in NAME_ENDS:
                return at
            at += length

    def find_special(self, at: int, limit: int) -> int:
        """Return where the next ``<!`` or ``<?`` in [at, limit) is, or -1."""
        nearest = -1
        for mark in (b"!", b"?"):
            special = self._nearest.get(mark, 0)
            if 0 <= special < at or mark not in self._nearest:
                special = self._nearest[mark] = self._search_special(mark, at)
            if 0 <= special < limit:
                nearest = limit = special
        return nearest

    def _search_special(self, mark: bytes, at: int) -> int:
        # Searching for one byte is memchr, ten times faster than for two; both marks are rare in text.
        buffer = self.buffer
        found = buffer.find(mark, at)
        for _ in range(_FALSE_ALARMS):
            if found < 0:
                return -1
            if found > at and buffer[found - 1] == ord("<"):
                return found - 1
            found = buffer.find(mark, found + 1)
        return -1 if found < 0 else buffer.find(b"<" + mark, max(at, found - 1))
