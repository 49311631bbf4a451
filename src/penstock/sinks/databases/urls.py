"""URLs of databases: how they are read, and how they are shown without secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from penstock.errors import GraphError
from penstock.system.paths import user_path

AUTHORITY = re.compile(
    r"(?P<scheme>\w+)://(?:(?P<user>[^/?#@:]*)(?::[^/?#@]*)?@)?(?P<hosts>[^/?#@]*)(?P<rest>[^@]*)"
)
"""An unambiguous URL of a server. With a second ``@`` a part of the URL could belong to the password."""
_SECRET = ("password", "sslpassword")
_OPTIONS = ("table", "versions", "deleted", "tables", "raw")


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """The parts of a URL: ``base`` stands before the ``?``, ``options`` are arguments of the sink."""

    base: str
    options: dict[str, Any]
    rest: dict[str, str]
    """The other parameters."""


def parse_url(url: str) -> DatabaseUrl:
    """Split the URL of a database; parameters that are options of a sink become arguments.

    Raises:
        GraphError: ``raw`` is neither ``true`` nor ``false``.
    """
    base, _, query = url.partition("?")
    rest = dict(parse_qsl(query, keep_blank_values=True))
    options: dict[str, Any] = {name: rest.pop(name) for name in _OPTIONS if name in rest}
    if "raw" in options:
        raw = options.pop("raw")
        if raw not in ("true", "false"):
            raise GraphError(f"raw is true or false in {shown_url(url)}, not {raw!r}")
        options["include_raw"] = raw == "true"
    return DatabaseUrl(base, options, rest)


def parse_file_url(url: str) -> tuple[Path, dict[str, Any]]:
    """Return the path and the options of a URL such as ``sqlite:///path.db?table=…``.

    Raises:
        GraphError: the URL names no file, or has an unknown parameter.
    """
    parsed = parse_url(url)
    scheme, _, rest = parsed.base.partition("://")
    path = unquote(rest[1:])
    if not rest.startswith("/") or path in ("", ":memory:") or "\0" in path:
        raise GraphError(
            f"{shown_url(url)} names no file: write {scheme}:///relative/path or {scheme}:////absolute/path"
        )
    if parsed.rest:
        known = ", ".join(_OPTIONS)
        raise GraphError(
            f"{shown_url(url)} has the unknown parameter {min(parsed.rest)!r}; known are {known}"
        )
    return Path(user_path(path, GraphError)), parsed.options


def file_url(scheme: str, path: Path, table: str) -> str:
    """Return the URL by which messages call a table in a file."""
    return f"{scheme}:///{quote(str(path), safe='/~:@ ')}?{urlencode({'table': table})}"


def shown_url(url: str) -> str:
    """Return the scheme and dots: in a malformed URL any other part could be a secret."""
    return f"{url.partition('://')[0]}://..."


def without_password(url: str) -> str:
    """Return ``url`` without its password. libpq can find the password elsewhere, so the URL still works."""
    found = AUTHORITY.fullmatch(url)
    if found is None:
        return shown_url(url)
    path, _, query = found["rest"].partition("?")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in _SECRET]
    user = f"{found['user']}@" if found["user"] else ""
    rest = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    return f"{found['scheme']}://{user}{found['hosts']}{path}{rest}"
