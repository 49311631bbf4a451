"""Columns of values in PostgreSQL's binary format of arrays."""

from __future__ import annotations

import struct
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OIDS = {"BIGINT": 20, "BOOLEAN": 16, "BYTEA": 17, "DATE": 1082, "FLOAT8": 701, "TEXT": 25}
_LENGTH = struct.Struct("!i").pack
_HEAD = struct.Struct("!iiIii").pack
_EPOCH = date(2000, 1, 1).toordinal()


def element_type(kind: str) -> str:
    """Return the type in which values are sent; JSON is sent as text."""
    return "TEXT" if kind == "JSONB" else kind


def _date_as_bytes(text: str) -> bytes:
    return _LENGTH(date.fromisoformat(text).toordinal() - _EPOCH)


_AS_BYTES: dict[str, Callable[[Any], bytes]] = {
    "BIGINT": struct.Struct("!q").pack,
    "BOOLEAN": {False: b"\0", True: b"\1"}.__getitem__,
    "BYTEA": bytes,
    "DATE": _date_as_bytes,
    "FLOAT8": struct.Struct("!d").pack,
    "TEXT": str.encode,
}
"""The binary form of a value, by its type in PostgreSQL."""


class Array:
    """A column in PostgreSQL's binary format of arrays, where no value has to be escaped."""

    __slots__ = ("data",)

    def __init__(self, values: Sequence[Any], element: str = "TEXT") -> None:
        head = _HEAD(1, 1, _OIDS[element], len(values), 1)  # one dimension, may hold NULL, first index 1
        parts = [head] * (2 * len(values) + 1)
        convert = _AS_BYTES[element]
        encoded = [None if value is None else convert(value) for value in values]
        parts[1::2] = [_LENGTH(-1 if value is None else len(value)) for value in encoded]
        parts[2::2] = [value or b"" for value in encoded]
        self.data = b"".join(parts)


def register_arrays(db: Any) -> None:
    """Let a connection of psycopg send ``Array``."""
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class ArrayDumper(Dumper):
        format = Format.BINARY  # no oid: the cast in the statement gives the type

        def dump(self, obj: Array) -> bytes:
            return obj.data

    db.adapters.register_dumper(Array, ArrayDumper)
