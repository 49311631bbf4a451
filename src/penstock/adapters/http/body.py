"""Bodies of answers: decompressed piece by piece, and never larger than allowed."""

from __future__ import annotations

import zlib
from contextlib import aclosing
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.text import size

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

ENCODINGS = "gzip, deflate"
"""What ``Decoder`` reads."""

_PIECE = 1 << 20
_GZIP = 31
_ZLIB = 15
_RAW = -15


class BodyError(SourceError):
    """A body that cannot be read, or is too large."""


class Decoder:
    """Decompresses a body; at most a megabyte of it is in memory at a time.

    Raises:
        BodyError: the body is damaged, cut off, or of an encoding that nobody asked for.
    """

    def __init__(self, encoding: str) -> None:
        self.encoding = "gzip" if encoding == "x-gzip" else encoding
        if self.encoding not in ("", "identity", "gzip", "deflate"):
            raise BodyError(f"the body has the encoding {encoding!r}, which nobody asked for")
        self._plain = self.encoding in ("", "identity")
        self._inner = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield what follows from a piece of the body."""
        if self._plain:
            yield piece
            return
        if not self._begun and piece:
            self._begun = True
            if self.encoding == "deflate":  # with or without the wrapper of zlib: servers do both
                self._inner = zlib.decompressobj(_ZLIB if piece[0] & 0x0F == 8 else _RAW)  # noqa: PLR2004
        while piece:
            if self._inner.eof:
                if self.encoding != "gzip" or not piece.startswith(b"\x1f"):
                    return  # padding
                self._inner = zlib.decompressobj(_GZIP)  # one more member
            try:
                yield self._inner.decompress(piece, _PIECE)
            except zlib.error as error:
                raise BodyError(f"the body is damaged: {error}", is_retryable=True) from error
            piece = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail

    def end(self) -> bytes:
        """Return what is left; raise if the body is not complete."""
        if self._plain or not self._begun:
            return b""
        rest = b"" if self._inner.eof else self._inner.flush()
        if not self._inner.eof:
            raise BodyError("the body ends in the middle of its compressed data", is_retryable=True)
        return rest


async def pieces_of(
    raw: AsyncGenerator[bytes, None], encoding: str, most: int
) -> AsyncGenerator[bytes, None]:
    """Yield the decompressed body in pieces of at most a megabyte.

    Raises:
        BodyError: the body cannot be read, or has more than ``most`` bytes.
    """
    decoder, length = Decoder(encoding.strip().lower()), 0
    async with aclosing(raw):
        async for piece in raw:
            for part in decoder.feed(piece):
                length += len(part)
                if length > most:
                    raise BodyError(f"the body has more than {size(most)} (max_bytes={most})")
                if part:
                    yield part
    if rest := decoder.end():
        yield rest
