"""Outputs as the command line names them: paths, and the URLs of databases."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

__all__ = ["LEDGER_SUFFIX", "Output", "default_ledger", "file_of", "output_of", "shown"]

LEDGER_SUFFIX = ".ledger.db"
"""The ledger of ``out.jsonl`` is ``out.jsonl.ledger.db`` unless another one is named."""

Output: TypeAlias = "Path | str"
"""A path; or a URL, or a folder that ends in ``/``, which are no paths: those would lose their slashes."""

_IN_FILES = ("sqlite", "duckdb")
_DEFAULT_TABLE = "documents"


def output_of(word: str) -> Output:
    """Return what a word of the command line names."""
    return word if "://" in word or word.endswith("/") else Path(word)


def shown(output: Output) -> str:
    """Return the output for people and for a command that may be repeated: without a password."""
    if isinstance(output, Path) or "://" not in output:
        return str(output)
    from penstock.sinks.databases.urls import without_password

    return without_password(output)


def file_of(output: Output) -> Path | None:
    """Return the file that the output is, ``None`` if it is a database elsewhere.

    Raises:
        GraphError: it is the URL of a file and names none.
    """
    if isinstance(output, Path) or "://" not in output:
        return Path(output)
    from penstock.sinks.databases.urls import parse_file_url

    return parse_file_url(output)[0] if output.partition("://")[0] in _IN_FILES else None


def default_ledger(output: Output) -> Path:
    """Return where the ledger of ``output`` is unless told otherwise.

    Beside the file, under its name and, if it is not ``documents``, that of the table; for a database
    elsewhere in the current folder, as ``<database>.<table>.ledger.db``.
    """
    if isinstance(output, Path) or "://" not in output:
        named = Path(output) if Path(output).name else Path(output).resolve()  # of "./"
        return named.with_name((named.name or "penstock") + LEDGER_SUFFIX)
    from penstock.sinks.databases.urls import parse_url

    parsed = parse_url(output)
    table = str(parsed.options.get("table", _DEFAULT_TABLE))
    path = file_of(output)
    if path is None:
        name = parsed.base.rpartition("/")[2].rpartition("@")[2] or "postgres"
        return Path(f"{quote(name, safe='')}.{quote(table, safe='')}{LEDGER_SUFFIX}")
    other = "" if table == _DEFAULT_TABLE else f".{quote(table, safe='')}"
    return path.with_name(path.name + other + LEDGER_SUFFIX)
