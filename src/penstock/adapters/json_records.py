"""Reads one JSON record into metadata: what the parsers of JSON APIs share.

The class of an adapter's columns says where each value stands in a record::

    class ReportColumns:
        sponsor: Annotated[str, "Who pays.", At("sponsors.lead.name")]
        started: Annotated[date, "The first day.", At("dates.start"), day("started")]

`take_fields` moves these values into metadata, unchanged. Values that no column names stay together under
``extra``, so nothing is lost. A value of an unexpected type is no error: it stays in the metadata and is left
out of its column.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

from expression import Error, Ok, Result

from penstock.document import checked_id, content_hash, trusted_document
from penstock.errors import DocumentError

if TYPE_CHECKING:
    from penstock.document import Document, RawRecord

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DATE = re.compile(r"(\d{4})(?:-?(\d\d)(?:-?(\d\d))?)?(?:[T ].*)?", re.ASCII | re.DOTALL)
_PRECISIONS = ("year", "month", "day")
_NOTHING: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True, slots=True)
class At:
    """In ``Annotated``: where the value of a column stands in the record, keys joined by dots."""

    path: str


def parsed(
    raw: RawRecord, read: Callable[[dict[str, Any], RawRecord], Document]
) -> Result[Document, DocumentError]:
    """Return the document that ``read`` makes of the JSON object in ``raw``, or why there is none."""
    try:
        return Ok(read(read_object(raw.data, raw.key), raw))
    except RecursionError:
        return Error(DocumentError(f"record {raw.key} is nested too deeply to be read"))
    except DocumentError as error:
        return Error(error)


def json_bytes(record: Any) -> bytes:
    """Return a record as JSON in UTF-8, without blanks."""
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8
        return json.dumps(record, separators=(",", ":")).encode()


def read_object(data: bytes, key: str) -> dict[str, Any]:
    """Return the JSON object in ``data``.

    Raises:
        DocumentError: it is not JSON, or is no object.
        RecursionError: it is nested too deeply.
    """
    try:
        found = _DECODER.decode(data.decode("utf-8"))
    except ValueError as error:
        begin = data[:40].decode("utf-8", "replace")
        raise DocumentError(f"record {key} is not JSON: {error}; it begins {begin!r}") from None
    if not isinstance(found, dict):
        raise DocumentError(f"record {key} is not a JSON object, but {type(found).__name__}")
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def snake_keys(value: Any) -> Any:
    """Return JSON with keys like ``armGroupLabels`` written as ``arm_group_labels``, at every level."""
    if isinstance(value, dict):
        return {_snake(name): snake_keys(item) for name, item in value.items()}
    if isinstance(value, list):
        return [snake_keys(item) for item in value]
    return value


@lru_cache(maxsize=4096)
def _snake(name: str) -> str:
    return _CAMEL.sub("_", name).lower()


@cache
def _fields(columns: type) -> tuple[tuple[str, str], ...]:
    hints = get_type_hints(columns, include_extras=True)
    return tuple(
        (name, note.path)
        for name, hint in hints.items()
        if get_origin(hint) is Annotated
        for note in get_args(hint)[1:]
        if isinstance(note, At)
    )


def take(record: Any, path: str) -> Any:
    """Remove the value at ``path`` from ``record`` and return it; ``None`` if there is none."""
    *parents, last = path.split(".")
    for name in parents:
        record = record.get(name) if isinstance(record, dict) else None
    return record.pop(last, None) if isinstance(record, dict) else None


def take_text(record: Any, path: str) -> str:
    """Like `take`, but only text or a whole number, as text without blanks around it; else ``""``."""
    *parents, last = path.split(".")
    for name in parents:
        record = record.get(name) if isinstance(record, dict) else None
    value = record.get(last) if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    del record[last]
    return str(value).strip()


def take_fields(record: dict[str, Any], columns: type) -> dict[str, Any]:
    """Move the values that ``columns`` names out of ``record``, and return them by the name of their column.

    Columns without a value are left out.
    """
    found = {}
    for name, path in _fields(columns):
        value = take(record, path)
        if value not in _NOTHING:
            found[name] = value
    return found


def rest_of(record: Any) -> Any:
    """Return what remains of a record, without empty values and objects."""
    if isinstance(record, dict):
        kept = {name: rest_of(value) for name, value in record.items()}
        return {name: value for name, value in kept.items() if value not in _NOTHING}
    return record


def document_of(
    data: bytes,
    *,
    source: str,
    record_id: str,
    version: str = "",
    title: str = "",
    content: str = "",
    metadata: dict[str, Any],
    extra: Any = None,
    deleted: bool = False,
) -> Document:
    """Return a document; its id is ``record_id``, followed by ``.version`` if there is a version.

    Raises:
        DocumentError: the id cannot be the id of a document.
    """
    rest = rest_of(extra)
    if rest:
        metadata["extra"] = rest
    doc_id = checked_id(f"{record_id}.{version}" if version else record_id)
    return trusted_document(
        {
            "doc_id": doc_id,
            "source": source,
            "record_id": record_id,
            "version": version,
            "title": title,
            "content": content,
            "metadata": metadata,
            "content_hash": content_hash(data),
            "deleted": deleted,
            "raw": None,
        }
    )


def first_day(text: Any) -> str | None:
    """Return the first day that a date can mean, as ``YYYY-MM-DD``; ``None`` if it is no date.

    A date is ``YYYY``, ``YYYY-MM``, ``YYYY-MM-DD`` or the same without hyphens; a time may follow.
    """
    parts = _parts(text)
    if not parts:
        return None
    try:
        return dt.date(*(*parts, 1, 1)[:3]).isoformat()
    except ValueError:
        return None


def _parts(text: Any) -> tuple[int, ...]:
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    return tuple(int(part) for part in match.groups() if part) if match else ()


def day(name: str) -> Callable[[Document], str | None]:
    """Return the reader of a date column: the first day of the date in the metadata ``name``."""
    return lambda document: first_day(document.metadata.get(name))


def precision(name: str) -> Callable[[Document], str | None]:
    """Return the reader of how much of the date in ``name`` is known: ``year``, ``month`` or ``day``."""

    def read(document: Document) -> str | None:
        text = document.metadata.get(name)
        return _PRECISIONS[len(_parts(text)) - 1] if first_day(text) else None

    return read


def number(name: str) -> Callable[[Document], float | None]:
    """Return the reader of a number that the source writes as text, such as ``"5,795"``."""

    def read(document: Document) -> float | None:
        value = document.metadata.get(name)
        if isinstance(value, str):
            try:
                value = float(value.replace(",", ""))
            except ValueError:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if math.isfinite(value) else None

    return read
