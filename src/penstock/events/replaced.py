"""JSON in place of values that JSON does not have, for readers who want every event, exact or not."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel

_MAX_DEPTH = 100


def replaced(value: Any, _around: frozenset[int] = frozenset()) -> Any:
    """Return ``value`` as JSON. It replaces what sinks replace, and more; it never raises.

    NaN and infinity become ``null`` when they are written. Half a surrogate pair becomes U+FFFD, a tuple or a
    set a list, a key its text. Any other value becomes what msgspec makes of it, or its text. A structure
    that contains itself, or is deeper than 100 levels, ends in ``null``.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return replace_surrogates(value)
    if id(value) in _around or len(_around) > _MAX_DEPTH:
        return None
    around = _around | {id(value)}
    if isinstance(value, dict):
        return {_key(key): replaced(item, around) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [replaced(item, around) for item in value]
    try:
        plain = value.model_dump() if isinstance(value, BaseModel) else msgspec.to_builtins(value)
    except Exception:  # noqa: BLE001  any object may be here, and its methods may raise anything
        plain = _shown(value)
    return replaced(plain, around)


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001
        return f"a value of type {type(value).__name__}"


def _key(key: object) -> str:
    return replace_surrogates(key if isinstance(key, str) else _shown(key))


def replace_surrogates(text: str) -> str:
    """Return ``text`` with each half of a surrogate pair, which UTF-8 cannot hold, replaced by U+FFFD.

    A subclass of ``str`` becomes a plain ``str`` of the same characters, whatever methods it has.
    """
    text = str.__str__(text)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
