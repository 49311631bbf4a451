"""Where an output or a ledger is: a path, or the connection string of a database, which may hold a password.

Both `file_path` and `connection_url` begin with one decision, so a text is never a path to one of them and a
connection string to the other. No message shows what could be a connection string.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, urlencode

from penstock.errors import GraphError
from penstock.redact import has_secret
from penstock.system.paths import user_path

_URL = re.compile(r"[A-Za-z][\w+.-]*://")
_EXPLICIT_PATH = re.compile(r"\.{0,2}[/\\]|~")
# The keywords of libpq that name a server or a user: one of them, then "=", begins a connection string.
_KEYWORDS = (
    "host|hostaddr|port|dbname|user|password|passfile|service|servicefile|options|application_name|sslmode"
    "|sslrootcert|sslcert|sslkey|sslpassword|channel_binding|require_auth|target_session_attrs|connect_timeout"
)
_KEYWORD = re.compile(rf"\s*(?:{_KEYWORDS})\s*=", re.IGNORECASE)
_PAIR = re.compile(
    r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?=\s|\Z)", re.DOTALL
)
_USERINFO = re.compile(r"(?![A-Za-z]:[\\/])[^/\\\s@]*:[^@]*@")  # also with blanks and slashes in a password
_SCHEME = re.compile(
    r"(?:jdbc|postgres|postgresql|psql|mysql|mariadb|mssql|oracle|mongodb|redis)[+\w]*:", re.IGNORECASE
)
_AUTHORITY_HOST = re.compile(r"[\w.-]+")


def file_path(place: str | os.PathLike[str]) -> Path:
    """Return ``place`` as a path, with the home folder in place of ``~``.

    Raises:
        GraphError: it looks like a connection string, or names the home folder of an unknown user.
    """
    if connection_url(place) is not None:
        raise _refused("a file was expected")
    return Path(user_path(place, GraphError))


def connection_url(place: str | os.PathLike[str]) -> str | None:
    """Return the URL of a connection string: ``scheme://...``, or libpq's ``host=... dbname=...``.

    Returns ``None`` for a path. A text that begins with ``/``, ``./``, ``../`` or ``~`` is a path.

    Raises:
        GraphError: it looks like a connection string of another kind, or one that is malformed.
    """
    text = os.fspath(place)
    if not isinstance(text, str) or _EXPLICIT_PATH.match(text):
        return None
    if _URL.match(text):
        return text
    if _KEYWORD.match(text):
        return _from_keywords(text)
    if has_secret(text) or _USERINFO.match(text) or _SCHEME.match(text):
        raise _refused("it is not in a form that is known")
    return None


def _from_keywords(text: str) -> str:
    given: dict[str, str] = {}
    at, end = 0, len(text.rstrip())
    while at < end:
        pair = _PAIR.match(text, at)
        if pair is None:
            raise _refused("it is malformed")
        value = pair[2] if pair[2] is not None else (pair[3] or "")
        given[pair[1].lower()] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        at = pair.end()
    authority = ""
    if _AUTHORITY_HOST.fullmatch(given.get("host", "")):
        port = given.get("port", "")
        authority = given.pop("host") + (f":{given.pop('port')}" if port.isdigit() else "")
        if user := given.pop("user", ""):
            secret = f":{quote(given.pop('password'), safe='')}" if given.get("password") else ""
            authority = f"{quote(user, safe='')}{secret}@{authority}"
    name = quote(given.pop("dbname", ""), safe="")
    return f"postgresql://{authority}/{name}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")


def _refused(why: str) -> GraphError:
    return GraphError(
        f"an output or ledger that looks like a connection string was refused: {why}. Write "
        "postgresql://host:5432/database?user=name, with the password in ~/.pgpass or PGPASSWORD; for a file "
        "of that name write ./ before it"
    )
