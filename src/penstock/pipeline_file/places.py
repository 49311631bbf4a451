"""Outputs and ledgers as people name them: paths and URLs of databases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, unquote

from penstock.errors import GraphError
from penstock.system.paths import user_path
from penstock.system.places import connection_url, file_path

if TYPE_CHECKING:
    from collections.abc import Sequence

LEDGER_SUFFIX: Final = ".ledger.db"
"""The ledger of ``out.jsonl`` is ``out.jsonl.ledger.db`` by default."""

Output: TypeAlias = Path | str
"""A path. URLs, folders that end in ``/``, and ``-`` stay strings: a path would drop slashes."""

STDOUT: Final = "-"
"""The output that is standard output. It has no ledger unless one is named."""

Place: TypeAlias = Path | str
"""Where a ledger is: a file, or the URL of a database."""

_FILE_DATABASES = ("sqlite", "duckdb")
_DEFAULT_TABLE = "documents"


def output_of(word: str) -> Output:
    """Return the output that ``word`` names."""
    if word == STDOUT:
        return word
    url = connection_url(word)
    if url is not None:
        return url
    return user_path(word, GraphError) if word.endswith("/") else file_path(word)


def place_of(word: str) -> Place:
    """Return the ledger that ``word`` names."""
    if word.startswith("sqlite:///") and "?" not in word:
        return Path(user_path(unquote(word.removeprefix("sqlite:///")), GraphError))
    return connection_url(word) or file_path(word)


def output_from(word: str, folder: Path) -> Output:
    """Return the output that ``word`` names in a file in ``folder``; a relative path begins there."""
    output = output_of(word)
    if folder == Path() or output == STDOUT:
        return output
    if not _is_url(output):
        inside = str(folder / output)
        return f"{inside}/" if isinstance(output, str) and output.endswith("/") else Path(inside)
    path = file_of(output)
    if path is None or path.is_absolute():
        return output
    base, question, query = str(output).partition("?")
    return f"{base.partition('://')[0]}:///{quote(str(folder / path), safe='/~:@ ')}{question}{query}"


def place_from(word: str, folder: Path) -> Place:
    """Return the ledger that ``word`` names in a file in ``folder``; a relative path begins there."""
    place = place_of(word)
    return folder / place if isinstance(place, Path) else place


def shown(output: Output) -> str:
    """Return the output as it is printed, also in commands: without a password."""
    if not _is_url(output):
        return str(output)
    from penstock.sinks.databases.urls import without_password

    return without_password(str(output))


def shown_place(place: Place | None) -> str:
    """Return the ledger as it is printed: without a password."""
    if place is None:
        return "none"
    from penstock.ledger.postgres.text import is_postgres, shown

    return shown(str(place)) if is_postgres(place) else str(place)


def file_of(output: Output) -> Path | None:
    """Return the file of the output; ``None`` if a server holds it, or it is standard output.

    Raises:
        GraphError: the URL is one of a database in a file, and names no file.
    """
    if not _is_url(output):
        return Path(output) if output != STDOUT else None
    from penstock.sinks.databases.urls import parse_file_url

    url = str(output)
    return parse_file_url(url)[0] if url.partition("://")[0] in _FILE_DATABASES else None


def ledger_beside(outputs: Sequence[Output]) -> Path | None:
    """Return where the ledger of ``outputs`` is by default; ``None`` if all go to standard output."""
    first = next((output for output in outputs if output != STDOUT), None)
    return None if first is None else default_ledger(first)


def default_ledger(output: Output) -> Path:
    """Return where the ledger of ``output`` is by default.

    It lies beside the file and has the name of the file, followed by the name of the table if that is not
    ``documents``. For a table on a server it is ``<database>.<table>.ledger.db`` in the current folder.
    """
    if not _is_url(output):
        named = Path(output) if Path(output).name else Path(output).resolve()  # "./" has no name
        return named.with_name((named.name or "penstock") + LEDGER_SUFFIX)
    from penstock.sinks.databases.urls import parse_url

    parsed = parse_url(str(output))
    table = str(parsed.options.get("table", _DEFAULT_TABLE))
    path = file_of(output)
    if path is None:
        name = parsed.base.rpartition("/")[2].rpartition("@")[2] or "postgres"
        return Path(f"{quote(name, safe='')}.{quote(table, safe='')}{LEDGER_SUFFIX}")
    suffix = "" if table == _DEFAULT_TABLE else f".{quote(table, safe='')}"
    return path.with_name(path.name + suffix + LEDGER_SUFFIX)


def _is_url(output: Output) -> bool:
    return isinstance(output, str) and "://" in output
