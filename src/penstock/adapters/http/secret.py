"""The secrets of a client: parameters and headers that nothing shows."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from penstock.redact import HIDDEN, conceal, redact_json

if TYPE_CHECKING:
    from pydantic import SecretStr

_BEFORE = rb"([?&]|&amp;|\\u0026)"
_BEHIND = rb"(&amp;|&|\\u0026)?"
_LONG = 8

Secret = Mapping[str, object]
"""Names and secret values: texts or pydantic's ``SecretStr``. A value of ``None`` is left out."""


class Secrets:
    """Parameters and headers with secret values. From now on, no message of this process shows the values."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Secrets: {', '.join([*self.params, *self.headers])}>"

    def __bool__(self) -> bool:
        return bool(self.params or self.headers)

    def add(self, params: Secret | None, headers: Secret | None) -> None:
        """Add secrets, or replace those of the same name."""
        for known, more in ((self.params, params), (self.headers, headers)):
            for name, value in (more or {}).items():
                if value is None:
                    continue
                revealed = _revealed(name, value)
                known[name] = revealed
                for part in {revealed, revealed.rpartition(" ")[2]}:  # "Bearer abc" and "abc"
                    conceal(part, HIDDEN)

    def removed_from(self, content: bytes) -> bytes:
        """Return what a server sent without the secrets that it repeats.

        A server may repeat a key in the link to the next page, which becomes a position. The parameter is
        taken out of the link, which stays valid. Elsewhere ``***`` stands for a secret of eight characters or
        more.
        """
        for name, value in self.params.items():
            for form in {value.encode(), quote_plus(value).encode(), quote(value).encode()}:
                if form and form in content:
                    found = re.escape(name.encode()) + b"=" + re.escape(form)
                    content = re.sub(_BEFORE + found + _BEHIND, _without, content)
        for value in (*self.params.values(), *self.headers.values()):
            secret = value.rpartition(" ")[2].encode()
            if len(secret) >= _LONG and secret in content:
                content = content.replace(secret, HIDDEN.encode())
        return content

    def occur_in(self, text: str) -> bool:
        """Whether ``text`` contains a secret value."""
        return any(value in text for value in (*self.params.values(), *self.headers.values()) if value)


def _without(parameter: re.Match[bytes]) -> bytes:
    """Return what stands in place of a parameter: its separator, if another parameter follows."""
    return parameter[1] if parameter[2] else b""


def _revealed(name: str, value: object) -> str:
    reveal = getattr(value, "get_secret_value", None)
    text = str(reveal() if callable(reveal) else value).strip()
    if not text.isprintable():
        msg = f"the secret {name!r} contains a character that cannot be sent, such as the end of a line"
        raise ValueError(msg)
    return text


def secret_from(given: SecretStr | str | None, variable: str) -> SecretStr | None:
    """Return the secret of a setting, or that of an environment variable; ``None`` if both are empty."""
    from pydantic import SecretStr

    text = given.get_secret_value() if isinstance(given, SecretStr) else given or ""
    text = text.strip() or os.environ.get(variable, "").strip()
    return SecretStr(text) if text else None


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may go to another host."""
    return {name: value for name, value in headers.items() if redact_json({name: value})[name] == value}
