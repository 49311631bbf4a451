"""Which documents every sink can write: this one page decides for all of them.

A document is writable if its fields have the types of ``Document``, its ids are valid (see ``checked_id``),
and its metadata are JSON of at most `MAX_DEPTH` levels. A document that is not writable fails before it
reaches a sink, so it costs only itself, and the outcome is the same with every sink.

Sinks replace two things that JSON and UTF-8 do not have: a number that is not finite becomes ``null``, and
half a surrogate pair becomes U+FFFD. A document that holds them is writable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import BaseModel

from penstock.document import fault_of_id, is_ordinary_id
from penstock.events.replaced import replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.document import Document

MAX_DEPTH = 100
"""Levels of lists and objects inside each other. Some readers of JSON take no more than 128."""

MAX_BYTES = 128 << 20
"""Of a document as JSON. PostgreSQL takes texts of up to 256 MB in JSONB, SQLite rows of up to 1 GB."""

_TEXTS = ("source", "record_id", "version", "title", "content", "content_hash")
_SHOWN = 200


def fault_of(document: Document, *, json: bool = True) -> str:
    """Return why sinks cannot write ``document``, as half a sentence; ``""`` if they can.

    Without ``json`` only the types of fields and the ids are checked, as counts and ledgers need them.
    """
    fields = document.__dict__
    try:
        if not json and _is_ordinary(fields):
            return ""
        fault = _fault_of_types(fields) or fault_of_id(fields["doc_id"])
        return fault if fault or not json else _fault_of_json(fields)
    except KeyError as error:  # model_construct() leaves fields out
        return f"it has no {error.args[0]}"


def _is_ordinary(fields: Mapping[str, Any]) -> bool:
    """Whether the types and the ids have no fault, as is nearly always seen at first sight."""
    doc_id, record_id = fields["doc_id"], fields["record_id"]
    return (
        type(doc_id) is str is type(record_id) is type(fields["source"]) is type(fields["version"])
        and type(fields["title"]) is str is type(fields["content"]) is type(fields["content_hash"])
        and type(fields["deleted"]) is bool
        and type(fields["metadata"]) is dict
        and fields["raw"] is None
        and is_ordinary_id(doc_id)
        and (not record_id or is_ordinary_id(record_id))
    )


def _fault_of_types(fields: Mapping[str, Any]) -> str:
    for name in _TEXTS:
        if not isinstance(fields[name], str):
            return f"its {name} is {_kind(fields[name])}, not text"
    if not isinstance(fields["deleted"], bool):
        return f"its field deleted is {_kind(fields['deleted'])}, not True or False"
    if not isinstance(fields["metadata"], dict):
        return f"its metadata are {_kind(fields['metadata'])}, not a dict"
    if not isinstance(fields["raw"], bytes | None):
        return f"its field raw is {_kind(fields['raw'])}, not bytes"
    fault = fields["record_id"] and fault_of_id(fields["record_id"])
    return fault and fault.replace("its doc_id", "its record_id")


def _fault_of_json(fields: Mapping[str, Any]) -> str:
    try:
        data = encode_json({name: value for name, value in fields.items() if name != "raw"})
    except RecursionError:
        return f"its metadata are nested in more than {MAX_DEPTH} levels, or contain themselves"
    except (TypeError, ValueError, OverflowError) as error:
        return f"it holds a value that is not JSON ({str(error)[:_SHOWN]})"
    if len(data) > MAX_BYTES:
        return f"it has {len(data):,} bytes as JSON, more than {MAX_BYTES:,}"
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(fields["metadata"]) > MAX_DEPTH:
        return f"its metadata are nested in more than {MAX_DEPTH} levels"
    return ""


def _depth(value: Any) -> int:
    """Return how many levels of lists and objects are inside each other, counted up to the limit."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for items in inner for item in items if isinstance(item, dict | list | tuple)]
    return depth


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def encode_json(value: Any) -> bytes:
    """Return ``value`` as JSON, with the replacements that this module describes.

    Raises:
        TypeError, ValueError, RecursionError: it is not JSON.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(value, enc_hook=plain_model)
        return _ENCODER.encode(map_texts(replace_surrogates, plain))


def plain_model(value: object) -> object:
    """Return a plain value for msgspec: of a pydantic model, or of a subclass of ``str`` or of a number.

    Other types are not JSON.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def map_texts(function: Callable[[str], str], value: Any) -> Any:
    """Return a JSON value with ``function`` applied to each of its texts and keys."""
    if isinstance(value, str):
        return function(value)
    if isinstance(value, dict):
        return {map_texts(function, key): map_texts(function, item) for key, item in value.items()}
    if isinstance(value, list):
        return [map_texts(function, item) for item in value]
    return value


_ENCODER = msgspec.json.Encoder(enc_hook=plain_model)
