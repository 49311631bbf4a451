"""Compression of files that grow. The bytes of each commit are complete by themselves.

They are one gzip member (RFC 1952, section 2.2) or one Zstandard frame (RFC 8878, section 3). Every reader
takes a series of those as one file. So a file that is cut back to a commit is complete, and readers check
each part's checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from penstock.errors import GraphError, install_command

if TYPE_CHECKING:
    from collections.abc import Callable

_GZIP = 31
"""zlib's ``wbits`` for a gzip member with the largest window."""


class Compressor(Protocol):
    """Compresses the bytes of one commit."""

    def compress(self, data: bytes, /) -> bytes:
        """Take ``data`` and return the compressed bytes that are ready."""
        ...

    def flush(self) -> bytes:
        """Return the remaining bytes. The compressor cannot be used again."""
        ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One form of file: ``new`` returns a compressor, or ``None``; every such file starts with ``beginning``.

    ``format`` stands in the records, so that a sink refuses the record of another format.
    """

    format: str
    beginning: bytes
    new: Callable[[], Compressor | None]

    @property
    def is_plain(self) -> bool:
        """Whether files are not compressed."""
        return self.new is _plain


def _plain() -> None:
    return None


def _gzip() -> Compressor:
    try:
        from isal import isal_zlib  # three times as fast

        fast: Any = isal_zlib.compressobj(level=2, wbits=_GZIP)
    except ImportError:
        import zlib

        return zlib.compressobj(level=6, wbits=_GZIP)
    else:
        compressor: Compressor = fast
        return compressor


def _zstd() -> Compressor:
    try:
        import zstandard
    except ImportError:
        raise GraphError(
            f"writing .zst files needs zstandard: {install_command('zstd')}, or name the output .jsonl.gz"
        ) from None
    compressor: Compressor = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
    return compressor


CODECS = {
    "": Codec("jsonl", b'{"doc_id":', _plain),
    ".gz": Codec("jsonl.gz", b"\x1f\x8b\x08", _gzip),
    ".zst": Codec("jsonl.zst", b"\x28\xb5\x2f\xfd", _zstd),
}
"""By the ending of the file's name."""
