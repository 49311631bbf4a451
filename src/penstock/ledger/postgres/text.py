"""Convert texts, hashes and arrays for PostgreSQL, which stores no NUL and indexes no long text; show URLs.

Whole columns go to the server as arrays, which this module writes itself: psycopg would convert every element
by itself, which takes as long as all other work of a commit.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from penstock.ledger.records import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_INDEXED_BYTES = 2000
"""The longest text that is indexed whole; PostgreSQL allows 2,704 bytes."""

_KEPT_BYTES = 500
"""How much of the beginning of a longer text is kept."""

_BYTES_PER_CHARACTER = 4
"""At most, in UTF-8."""


def is_postgres(place: str | os.PathLike[str]) -> bool:
    """Whether ``place`` is the URL of a PostgreSQL database."""
    return str(place).startswith(("postgresql://", "postgres://"))


def escape(text: str | None) -> str | None:
    """Return ``text`` without NUL: NUL becomes U+0001 and ``0``, U+0001 becomes U+0001 and ``1``."""
    text = clean(text)
    if text is None or ("\0" not in text and "\1" not in text):
        return text
    return text.replace("\1", "\0011").replace("\0", "\0010")


def unescape(text: str | None) -> str | None:
    """Undo ``escape``, except for lone surrogates, which stay escapes."""
    return None if text is None else text.replace("\0010", "\0").replace("\0011", "\1")


def short(text: str) -> str:
    """Return ``escape(text)``; if it is too long for an index, its beginning and a digest of the whole."""
    escaped = escape(text) or ""
    if len(escaped) <= _INDEXED_BYTES // _BYTES_PER_CHARACTER:
        return escaped
    data = escaped.encode()
    if len(data) <= _INDEXED_BYTES:
        return escaped
    return f"{escaped[: _KEPT_BYTES // _BYTES_PER_CHARACTER]}\1h{blake2b(data, digest_size=32).hexdigest()}"


def shortened(texts: Sequence[str]) -> Sequence[str]:
    """Return ``short`` of each text; checks first, in a few fast steps, whether any text needs it."""
    together = "\0".join(texts)
    plain = together.isascii() and "\1" not in together and together.count("\0") == len(texts) - 1
    if plain and max(map(len, texts)) <= _INDEXED_BYTES // _BYTES_PER_CHARACTER:
        return texts
    return [short(text) for text in texts]


def array(texts: Sequence[str | None]) -> str:
    """Return PostgreSQL's literal for an array of texts."""
    known = [text for text in texts if text is not None]
    together = '","'.join(known)
    plain = known and len(known) == len(texts) and "\\" not in together
    if plain and together.count('"') == 2 * len(known) - 2:
        return f'{{"{together}"}}'
    return f"{{{','.join(map(_element, texts))}}}"


def _element(text: str | None) -> str:
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def hashes(content_hashes: Sequence[str | None]) -> str:
    """Return PostgreSQL's literal for an array of packed hashes (see ``pack``)."""
    known = [one for one in content_hashes if one is not None]
    plain = len(known) == len(content_hashes) and set(map(len, known)) == {64}
    if plain and _is_hexadecimal("".join(known)):
        return "{\\\\x01" + ",\\\\x01".join(known) + "}"
    packed = ("NULL" if one is None else "\\\\x" + pack(one).hex() for one in content_hashes)
    return f"{{{','.join(packed)}}}"


def _is_hexadecimal(text: str) -> bool:
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def pack(content_hash: str) -> bytes:
    """Return any text as bytes; a SHA-256 takes half the space."""
    if len(content_hash) == 64 and _is_hexadecimal(content_hash):  # noqa: PLR2004 - digits of a SHA-256
        return b"\1" + bytes.fromhex(content_hash)
    return b"\0" + content_hash.encode("utf-8", "surrogatepass")


def unpack(packed: bytes) -> str:
    """Undo ``pack``."""
    return packed[1:].hex() if packed[:1] == b"\1" else packed[1:].decode("utf-8", "surrogatepass")


def shown(url: str) -> str:
    """Return ``url`` for people: without parameters, and with ``***`` in place of a password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "postgresql://..."
    if "@" in parts.path + parts.query + parts.fragment:  # a password with unquoted characters
        return "postgresql://..."
    user = f"{parts.username}{':***' if parts.password else ''}@" if parts.username else ""
    return f"{parts.scheme}://{user}{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def secrets_of(url: str) -> list[str]:
    """Return the passwords in ``url``, quoted and unquoted: no message may show them."""
    try:
        parts = urlsplit(url)
        found = [parts.password or ""]
        found += [value for name, value in parse_qsl(parts.query) if "pass" in name]
    except ValueError:
        return [url]
    return sorted({secret for one in found for secret in (one, unquote(one)) if secret}, key=len)
