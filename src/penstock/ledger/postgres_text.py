"""What PostgreSQL cannot hold in a text or an index, written down so that it can; and where a ledger is."""

from __future__ import annotations

import os
from hashlib import blake2b
from urllib.parse import parse_qsl, urlsplit

from penstock.ledger.records import clean

__all__ = ["hash_of", "hold", "is_postgres", "pack", "release", "secrets_of", "short", "shown"]

_INDEXED = 2000
"""Bytes of a text in an index, whose rows end at 2,704."""

_KEPT = 500


def is_postgres(place: str | os.PathLike[str]) -> bool:
    """Whether ``place`` is the URL of a PostgreSQL database."""
    return str(place).startswith(("postgresql://", "postgres://"))


def hold(text: str | None) -> str | None:
    """Return ``text`` without NUL, which becomes U+0001 and ``0`` (and U+0001 itself U+0001 and ``1``)."""
    text = clean(text)
    if text is None or ("\0" not in text and "\1" not in text):
        return text
    return text.replace("\1", "\0011").replace("\0", "\0010")


def release(text: str | None) -> str | None:
    """Undo ``hold``, but for lone surrogates, which stay written out as escapes."""
    return None if text is None else text.replace("\0010", "\0").replace("\0011", "\1")


def short(text: str) -> str:
    """Return ``hold(text)``; if it is too long for an index, its beginning and a digest of all of it."""
    held = hold(text) or ""
    if len(held) <= _INDEXED // 4:
        return held
    data = held.encode()
    if len(data) <= _INDEXED:
        return held
    return f"{held[: _KEPT // 4]}\1h{blake2b(data, digest_size=32).hexdigest()}"


def pack(content_hash: str) -> bytes:
    """Return any text as bytes, a SHA-256 in half the space."""
    if len(content_hash) == 64:  # noqa: PLR2004 - hexadecimal digits of a SHA-256
        try:
            packed = bytes.fromhex(content_hash)
        except ValueError:
            packed = b""
        if packed.hex() == content_hash:
            return b"\1" + packed
    return b"\0" + content_hash.encode("utf-8", "surrogatepass")


def hash_of(packed: bytes) -> str:
    """Undo ``pack``."""
    return packed[1:].hex() if packed[:1] == b"\1" else packed[1:].decode("utf-8", "surrogatepass")


def shown(url: str) -> str:
    """Return ``url`` for people: without parameters, and with ``***`` for a password."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "postgresql://..."
    if "@" in parts.path + parts.query + parts.fragment:  # something in a password was not quoted
        return "postgresql://..."
    user = f"{parts.username}{':***' if parts.password else ''}@" if parts.username else ""
    return f"{parts.scheme}://{user}{f'[{host}]' if ':' in host else host}{port}{parts.path}"


def secrets_of(url: str) -> list[str]:
    """Return what must not be seen of ``url``: the password, as it stands there and as it is meant."""
    from urllib.parse import unquote

    try:
        parts = urlsplit(url)
        found = [parts.password or ""]
        found += [value for name, value in parse_qsl(parts.query) if "pass" in name]
    except ValueError:
        return [url]
    return sorted({secret for one in found for secret in (one, unquote(one)) if secret}, key=len)
