"""The secrets of a client: parameters and headers that nothing shows."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.redact import HIDDEN, conceal, redact_json

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
                revealed = _revealed(value)
                known[name] = revealed
                for part in {revealed, revealed.rpartition(" ")[2]}:  # "Bearer abc" and "abc"
                    conceal(part, HIDDEN)

    def occur_in(self, text: str) -> bool:
        """Whether ``text`` contains a secret value."""
        return any(value in text for value in (*self.params.values(), *self.headers.values()) if value)


def _revealed(value: object) -> str:
    reveal = getattr(value, "get_secret_value", None)
    return str(reveal() if callable(reveal) else value)


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may go to another host."""
    return {name: value for name, value in headers.items() if redact_json({name: value})[name] == value}
