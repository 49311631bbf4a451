"""Converts XML in any encoding to UTF-8, so that all later steps see one encoding only.

The rules are those of XML 1.0, appendix F: a byte order mark, else the pattern of the first bytes, else the
encoding that the XML declaration names, else UTF-8. UTF-8 and ASCII pass through unchanged.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from penstock.errors import SourceError

if TYPE_CHECKING:
    from codecs import IncrementalDecoder

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_LONGEST_MARK = 4
_DECLARATION = re.compile(rb"<\?xml\s[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")
DECLARATION_BYTES = 1024  # a declaration that is longer is ignored
# Python calls them encodings of text, but they are escapes, or for names of hosts.
_NOT_FOR_FILES = {
    "unicode-escape",
    "raw-unicode-escape",
    "unicode_escape",
    "raw_unicode_escape",
    "idna",
    "punycode",
}
_ASCII_COMPATIBLE = {"utf-8", "ascii", "utf-8-sig"}


class Utf8Stream:
    """Converts the chunks of one XML file to UTF-8 without a byte order mark.

    Args:
        where: The name of the file, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._held: bytes | None = b""
        self._decoder: IncrementalDecoder | None = None
        self._encoding = "utf-8"

    def feed(self, data: bytes) -> bytes:
        """Return ``data`` in UTF-8. The first bytes of a file are kept back until the encoding is known.

        Raises:
            SourceError: the encoding is unknown, or the bytes are not valid in it.
        """
        if self._held is None:
            return data if self._decoder is None else self._decode(self._decoder, data)
        data = self._held + data
        if not _decidable(data):
            self._held = data
            return b""
        return self._begin(data)

    def close(self) -> bytes:
        """End the file and return the bytes that were kept back.

        Raises:
            SourceError: the file ends within a character.
        """
        rest = b"" if self._held is None else self._begin(self._held)
        return rest if self._decoder is None else rest + self._decode(self._decoder, b"", final=True)

    def _begin(self, data: bytes) -> bytes:
        self._held = None
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                self._encoding = encoding
                data = data[len(mark) :] if encoding == "utf-8" else data
                break
        else:
            self._encoding = self._declared(data)
        if self._encoding == "utf-8":
            return data
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        return self._decode(self._decoder, data)

    def _declared(self, data: bytes) -> str:
        match = _DECLARATION.match(data[:DECLARATION_BYTES])
        if match is None:
            return "utf-8"
        name = match[1].decode("ascii")
        info = _text_codec(name)
        if info is None:
            message = (
                f"{self._where} declares the encoding {name!r}, which Python cannot read: convert it to "
                "UTF-8, or correct the declaration if it is wrong"
            )
            raise SourceError(message)
        # The declaration is readable as ASCII, so the file cannot be UTF-16 or UTF-32.
        wide = info.name.startswith(("utf-16", "utf-32"))
        return "utf-8" if wide or info.name in _ASCII_COMPATIBLE else info.name

    def _decode(self, decoder: IncrementalDecoder, data: bytes, *, final: bool = False) -> bytes:
        try:
            return decoder.decode(data, final).encode("utf-8")
        except ValueError as error:  # a UnicodeError, from most codecs
            message = f"{self._where} is damaged: it is not valid {self._encoding} ({error}); fetch it again"
            raise SourceError(message) from error


def _text_codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec of that name if text can be stored in it as XML."""
    try:
        info = codecs.lookup(name)
        "".encode(name)  # fails for codecs that are not text encodings, such as "hex"
        codecs.getincrementaldecoder(name)("strict").decode(b"", final=True)
    except (LookupError, ValueError, TypeError, OSError):  # OSError: a code page that Windows does not have
        return None
    return None if info.name in _NOT_FOR_FILES else info


def declared_encoding(data: bytes) -> str:
    """Return the encoding that the XML declaration at the start of ``data`` names; ``""`` if it names none.

    All names of an encoding give the same result.
    """
    match = _DECLARATION.match(data)
    name = match[1].decode("ascii") if match else ""
    try:
        name = codecs.lookup(name).name if name else ""
    except LookupError:
        return name
    return "utf-8" if name in _ASCII_COMPATIBLE else name


def _decidable(data: bytes) -> bool:
    """Return whether the first bytes tell the encoding: an XML declaration must be complete."""
    if len(data) < _LONGEST_MARK:
        return False
    if not data.startswith(b"<?xm"):
        return True
    return b">" in data or len(data) >= DECLARATION_BYTES
