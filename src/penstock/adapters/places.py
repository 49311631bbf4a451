"""Values in JSON by their place: ``meta.next`` is the value ``next`` of the object ``meta``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Place = str | Sequence[str]
"""Keys joined by dots, or a tuple of keys if a key has a dot itself. A number is a place in a list."""


def at(body: Any, place: Place) -> Any:
    """Return the value at ``place``, or ``None`` if there is none. ``""`` is the place of the body itself."""
    keys = [key for key in place.split(".") if key] if isinstance(place, str) else place
    for key in keys:
        if isinstance(body, dict):
            body = body.get(key)
        elif isinstance(body, list) and key.lstrip("-").isdecimal():
            number = int(key)
            body = body[number] if -len(body) <= number < len(body) else None
        else:
            return None
    return body


def text_at(body: Any, place: Place) -> str:
    """Return the text or the whole number at ``place``, as text without blanks around it; else ``""``."""
    value = at(body, place)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()


def name_of(place: Place) -> str:
    """Return a place for messages."""
    return place if isinstance(place, str) else ".".join(place)
