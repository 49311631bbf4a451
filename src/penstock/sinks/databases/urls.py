"""URLs of databases: what they name, and how they are shown without what is secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from penstock.errors import GraphError

__all__ = [
    "AUTHORITY",
    "DatabaseUrl",
    "file_url",
    "parse_file_url",
    "parse_url",
    "shown_url",
    "without_password",
]

AUTHORITY = re.compile(
    r"(?P<scheme>\w+)://(?:(?P<user>[^/?#@:]*)(?::[^/?#@]*)?@)?(?P<hosts>[^/?#@]*)(?P<rest>[^@]*)"
)
"""A URL of a server in which all is where it seems to be: an ``@`` elsewhere may belong to a password."""
_SECRET = ("password", "sslpassword")
_OURS = ("table", "versions", "deleted", "raw")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A URL taken apart: ``base`` is what comes before the ``?``, ``options`` are arguments of the sink."""

    base: str
    options: dict[str, Any]
    rest: dict[str, str]
    """Parameters that are not ours."""


def parse_url(url: str) -> DatabaseUrl:
    """Take apart the URL of a database; everything behind ``?`` that is ours becomes an argument.

    Raises:
        GraphError: ``raw`` is neither ``true`` nor ``false``.
    """
    base, _, query = url.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    options: dict[str, Any] = {name: given.pop(name) for name in _OURS if name in given}
    if "raw" in options:
        raw = options.pop("raw")
        if raw not in ("true", "false"):
            raise GraphError(f"raw is true or false in {shown_url(url)}, not {raw!r}")
        options["include_raw"] = raw == "true"
    return DatabaseUrl(base, options, given)


def parse_file_url(url: str) -> tuple[Path, dict[str, Any]]:
    """Return the path and the options of ``sqlite:///path.db?table=…`` and its like.

    Raises:
        GraphError: it names no file, or has a parameter that nobody knows.
    """
    parsed = parse_url(url)
    scheme, _, rest = parsed.base.partition("://")
    path = unquote(rest[1:])
    if not rest.startswith("/") or path in ("", ":memory:") or "\0" in path:
        raise GraphError(
            f"{shown_url(url)} names no file: write {scheme}:///relative/path or {scheme}:////absolute/path"
        )
    if parsed.rest:
        known = ", ".join(_OURS)
        raise GraphError(
            f"{shown_url(url)} has the unknown parameter {min(parsed.rest)!r}; there are {known}"
        )
    return Path(path), parsed.options


def file_url(scheme: str, path: Path, table: str) -> str:
    """Return the URL by which a table in a file is shown."""
    return f"{scheme}:///{quote(str(path), safe='/~:@ ')}?{urlencode({'table': table})}"


def shown_url(url: str) -> str:
    """Return the scheme and dots: all of a URL that is sure to hold no secret, wherever somebody put one."""
    return f"{url.partition('://')[0]}://..."


def without_password(url: str) -> str:
    """Return ``url`` as it may be shown and given again: libpq finds the password elsewhere, if anywhere."""
    found = AUTHORITY.fullmatch(url)
    if found is None:
        return shown_url(url)
    path, _, query = found["rest"].partition("?")
    given = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in _SECRET]
    user = f"{found['user']}@" if found["user"] else ""
    rest = f"?{urlencode(given, quote_via=quote)}" if given else ""
    return f"{found['scheme']}://{user}{found['hosts']}{path}{rest}"
