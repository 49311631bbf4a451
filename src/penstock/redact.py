"""Hide secrets in text that is shown or stored: URLs, data source names, headers, parameters."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

__all__ = ["HIDDEN", "conceal", "concealed", "has_secret", "redact", "redact_json"]

HIDDEN = "***"

_NAMES = (
    r"(?:[\w-]*[_-])?(?:passw(?:or)?d|pwd|passphrase|secrets?|tokens?|api[_-]?key|access[_-]?key(?:[_-]?id)?"
    r"|secret[_-]?key|private[_-]?key|credentials?|signature|sig|authorization|cookie)|apikey|accesskey|auth"
)
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|(?:[\w-]*[_-])?(?:pw|pass))\Z", re.IGNORECASE)
# Up to the last @ before the path: a password may contain an @, though it should not. A URL within a URL, or
# a user and password that were encoded as one, have %40 instead.
_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]+(?=@|%40)")
_ENCODED_USERINFO = re.compile(r"(%3A%2F%2F)[^\s/?#\"'<>&]+(?=@|%40)", re.IGNORECASE)
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\s*+[\"']?+\s*+[:=]\s*+[\"']?+)(?!\*\*\*)[^\r\n\"']+",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/-]{8,}=*", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?<![\w-])((?:{_NAMES})[\"']?+\s*+(?:=|:(?!//))\s*+)"
    r"(?![\"']?\*\*\*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s&;,\"'<>)\]}]+)",
    re.IGNORECASE,
)

# Short names that are also words of prose: only with a "=", or in quotes.
_SHORT = re.compile(
    r"(?<![\w-])((?:[\w-]*[_-])?(?:pw|pass)(?:\s*+=\s*+|[\"']\s*+[:=]\s*+))"
    r"(?![\"']?\*\*\*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s&;,\"'<>)\]}]+)",
    re.IGNORECASE,
)


_SHORTEST = 4
_concealed: dict[str, str] = {}


def conceal(value: str, shown: str) -> None:
    """Show ``shown`` in place of ``value`` in all messages of this process from now on.

    A value of fewer than four characters is not hidden: as a part of other words it would hide too much.
    """
    if len(value) >= _SHORTEST:
        for form in (value, quote(value, safe=""), quote(value)):
            _concealed[form] = shown


def concealed(text: str) -> str:
    """Return ``text`` without the values that ``conceal`` was told; nothing else is changed."""
    if _concealed:
        for value in sorted(_concealed, key=len, reverse=True):
            text = text.replace(value, _concealed[value])
    return text


def redact(text: str) -> str:
    """Return ``text`` with ``***`` in place of everything that looks like a secret.

    This hides the user information of URLs (``postgresql://***@host/db``), the values of parameters and
    fields with telling names (``password=``, ``api_key=``, ``"token": "…"``), and the headers
    ``Authorization`` and ``Cookie``. It cannot recognise a secret under another name,
    unless ``conceal`` was told its value.
    """
    return _redacted(concealed(text))


def has_secret(text: str) -> bool:
    """Return whether something in ``text`` looks like a secret; ``conceal`` has no influence."""
    return _redacted(text) != text


def _redacted(text: str) -> str:
    if "@" in text or "%40" in text:
        text = _ENCODED_USERINFO.sub(rf"\1{HIDDEN}", _USERINFO.sub(HIDDEN, text))
    if "=" not in text and ":" not in text and " " not in text:
        return text
    text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _SHORT.sub(rf"\1{HIDDEN}", _ASSIGNED.sub(rf"\1{HIDDEN}", text))


def redact_json(value: Any) -> Any:
    """Return JSON with ``redact`` applied to all text, and with values under telling names hidden completely.

    A value without secrets is returned itself, not a copy.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        fresh = {
            key: HIDDEN if _is_secret(key, inner) else redact_json(inner) for key, inner in value.items()
        }
        return fresh if any(fresh[key] is not value[key] for key in value) else value
    if isinstance(value, list | tuple):
        items = [redact_json(inner) for inner in value]
        if all(one is other for one, other in zip(items, value, strict=True)):
            return value
        return items if isinstance(value, list) else tuple(items)
    return value


def _is_secret(key: object, value: object) -> bool:
    return isinstance(key, str) and bool(_SECRET_NAME.match(key)) and value is not None and value != HIDDEN
