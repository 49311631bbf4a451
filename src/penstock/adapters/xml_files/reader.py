"""Reads the bytes of one file in chunks, and decompresses gzip, which it recognises by content, not by name.

Each `ByteReader.read` is synchronous and short (well under a millisecond on a local disk). A caller can run
it in a thread and stop between two calls.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from penstock.adapters.xml_files.raw import FileInput, NotReady, RawInput, open_file
from penstock.errors import SourceError

__all__ = ["CHUNK", "FREE", "MEMBERS", "ByteReader", "NotReady", "Unpacking", "open_file"]

if TYPE_CHECKING:
    from typing import Self

_gzip_engine: Any
try:
    from isal import isal_zlib as _gzip_engine  # two to three times as fast as zlib
except ImportError:
    _gzip_engine = zlib

CHUNK = 256 * 1024
"""The most bytes that one `ByteReader.read` returns."""

_COMPRESSED_CHUNK = 16 * 1024
FREE = 16 * 1024 * 1024  # allowed from any file, because a short repetitive text is not a bomb
_GZIP_WINDOW = 31  # tells zlib to expect a gzip header and checksum
_GZIP_MAGIC = b"\x1f\x8b"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf": "a 7z archive",
}
_UNPACK = "unpack it, or compress it with gzip"
_ADVICE = {b"PK\x03\x04": "give it a name that ends in .zip, or unpack it"}
_LONGEST_MAGIC = 6


MEMBERS = (".xml", ".xml.gz", ".nbib", ".nbib.gz", ".medline")
"""The usual endings of the files in an archive that are read; others (a readme, checksums) are left out."""


@dataclass(frozen=True, slots=True)
class Unpacking:
    """How much a compressed file may unpack to, and what is read of an archive.

    A file that exceeds the limits is refused as a decompression bomb.

    Args:
        max_ratio: Bytes of content per byte on disk, checked once 16 MiB were unpacked. XML reaches 5 to 30;
            the maximum of gzip is about 1,030.
        max_bytes: Bytes of content in total, over all gzip members of the file.
        members: The endings of the files in an archive that are read, in lower case.
    """

    max_ratio: int = 200
    max_bytes: int = 100 * 1024**3
    members: tuple[str, ...] = MEMBERS


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class ByteReader:
    """An open file whose content is read in chunks; a context manager.

    Args:
        path: The file.
        unpacking: How much it may unpack to if it is compressed.
        raw: Where its bytes come from if it is no regular file; ``path`` is then its name in messages.

    Raises:
        SourceError: the file is missing, a directory, not a regular file, empty, unreadable, or compressed
            with a format other than gzip. For a stream, `read` raises this.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        unpacking: Unpacking = Unpacking(),
        raw: RawInput | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self._unpacking = unpacking
        self._unpacked = 0
        self._raw = raw or FileInput(self.path)
        self.size = self._raw.size
        self.consumed = 0
        self._member: _Decompressor | None = None
        self._members = 0
        self._input = b""
        self._begun = False
        try:
            if self.size is not None:
                self._begin()
        except BaseException:
            self._raw.close()
            raise

    size: int | None
    """Bytes on disk when the file was opened; ``None`` if it is a stream."""
    consumed: int
    """Bytes read from disk so far."""

    @property
    def compressed(self) -> bool:
        """Whether the file is gzip."""
        return self._gzip

    @property
    def _of(self) -> str:
        return "of a stream" if self.size is None else f"of {self.size}"

    def read(self) -> bytes:
        """Return the next 1 to `CHUNK` bytes of content, or ``b""`` at the end of the file.

        Raises:
            SourceError: the gzip data is damaged or ends early (everything before was returned), unpacks to
                more than ``unpacking`` allows, the disk fails, or the file changed while it was read.
            NotReady: it is a stream, and nothing has arrived yet. Call again.
        """
        if not self._begun:
            self._begin()
        data = self._read_gzip() if self._gzip else self._read_plain()
        if not data:
            self._check_unchanged()
        return data

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _begin(self) -> None:
        while len(self._input) < _LONGEST_MAGIC and (data := self._read_file(CHUNK)):
            self._input += data
        if not self._input:
            message = f"{self.path} is empty (0 bytes): fetch it again"
            raise SourceError(message)
        self._gzip = self._input.startswith(_GZIP_MAGIC)
        for magic, what in _FOREIGN.items():
            if self._input.startswith(magic):
                message = f"{self.path} is {what}, which cannot be read: {_ADVICE.get(magic, _UNPACK)}"
                raise SourceError(message)
        self._begun = True

    def _read_file(self, size: int) -> bytes:
        try:
            data = self._raw.read(size)
        except OSError as error:
            message = f"{self.path} cannot be read at byte {self.consumed}: {error.strerror or error}"
            raise SourceError(message) from error
        self.consumed += len(data)
        return data

    def _read_plain(self) -> bytes:
        data, self._input = self._input, b""
        return data or self._read_file(CHUNK)

    def _read_gzip(self) -> bytes:
        while True:
            member = self._member or self._next_member()
            if member is None:
                return b""
            if not self._input:
                self._input = self._read_file(_COMPRESSED_CHUNK)
            # Call the decompressor even without input: it may still have output.
            data = self._decompress(member)
            if member.eof:
                self._input = member.unused_data
                self._member = None
            if data:
                return data
            if not member.eof and not self._input and (self.size is None or self.consumed >= self.size):
                self._input = self._read_file(_COMPRESSED_CHUNK)
                if not self._input:
                    raise self._truncated()

    def _decompress(self, member: _Decompressor) -> bytes:
        try:
            data = member.decompress(self._input, CHUNK)
        except (zlib.error, _gzip_engine.error) as error:
            message = (
                f"{self.path} is damaged: its gzip data is invalid before byte {self.consumed} "
                f"{self._of} ({error}); fetch it again"
            )
            raise SourceError(message) from error
        self._input = member.unconsumed_tail
        self._unpacked += len(data)
        self._refuse_bombs()
        return data

    def _refuse_bombs(self) -> None:
        unpacked, allowed = self._unpacked, self._unpacking
        if unpacked > allowed.max_bytes:
            what = f"more than the {allowed.max_bytes} bytes that max_unpacked_bytes allows"
        elif unpacked > FREE and unpacked > allowed.max_ratio * self.consumed:
            read = f"byte {self.consumed} {self._of}"
            what = f"more than {allowed.max_ratio} times its bytes (up to {read}), the limit of max_ratio"
        else:
            return
        message = (
            f"{self.path} unpacks to {what}: it may be a decompression bomb; if it is not, raise the limit"
        )
        raise SourceError(message)

    def _next_member(self) -> _Decompressor | None:
        """Begin the next gzip member, skipping zeros before it; return ``None`` at the end of the file."""
        while self._members and not self._input.strip(b"\0"):
            self._input = self._read_file(_COMPRESSED_CHUNK)
            if not self._input:
                return None
        if self._members:
            self._input = self._input.lstrip(b"\0")
        if len(self._input) < len(_GZIP_MAGIC):
            self._input += self._read_file(_COMPRESSED_CHUNK)
        if not self._input.startswith(_GZIP_MAGIC):
            message = (
                f"{self.path} contains other data after its gzip data "
                f"(at byte {self.consumed - len(self._input)} {self._of}); fetch it again"
            )
            raise SourceError(message)
        self._members += 1
        self._member = member = cast("_Decompressor", _gzip_engine.decompressobj(wbits=_GZIP_WINDOW))
        return member

    def _truncated(self) -> SourceError:
        return SourceError(
            f"{self.path} is truncated: its gzip data ends early, after {self.consumed} bytes; fetch it again"
        )

    def _check_unchanged(self) -> None:
        if not self._raw.unchanged():
            message = f"{self.path} changed while it was read: run again when no program writes to it"
            raise SourceError(message)
