"""The typed columns of an adapter's documents, from which every kind of output draws its types.

The annotations of one class declare them::

    class NoteColumns:
        author: Annotated[str, "Who wrote the note.", INDEXED]
        written: Annotated[date, "When."]
        tags: list[str]
        words: Annotated[int, "The length of the text.", lambda document: len(document.content.split())]

The class may be a plain class, a ``TypedDict``, a dataclass or a pydantic model. Only its annotations count.
In ``Annotated``, a string describes the column, a function reads it from the document, and ``INDEXED`` asks
databases for an index. Without a function a column is the value of ``metadata`` of the same name.

Types are ``str``, ``int``, ``float``, ``bool``, ``date``, ``list[...]``, and classes with annotations of
their own (structs). Every column and every field may lack a value; ``X | None`` is the same as ``X``.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from penstock.errors import GraphError
from penstock.text import repr_of

if TYPE_CHECKING:
    from penstock.document import Document

__all__ = ["INDEXED", "Column", "ColumnType", "ListOf", "Scalar", "Struct", "columns_of"]

Kind: TypeAlias = Literal["text", "int", "float", "bool", "date", "json", "bytes"]

ENVELOPE: Final = (
    "record_id", "doc_id", "source", "version", "version_order", "title", "content", "metadata",
    "content_hash", "deleted", "raw",
)  # fmt: skip
"""Names that no declared column may have: they are columns of every document."""

_WRAPPERS = (NotRequired, Required, Annotated)
MAX_NAME_BYTES: Final = 63
"""Of a table or a column: the limit of PostgreSQL, for all outputs."""

_FLOAT_DIGITS = 53


class _Indexed:
    def __repr__(self) -> str:
        return "INDEXED"


INDEXED: Final = _Indexed()
"""In ``Annotated``: databases keep an index of this column."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. ``json`` is the text of any JSON value."""

    kind: Kind

    def __str__(self) -> str:
        return self.kind

    def fits(self, value: Any) -> bool:
        """Return whether ``value`` is of this type. A ``date`` is text in the form ``YYYY-MM-DD``."""
        return _FITS[self.kind](value)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values of one type."""

    item: ColumnType

    def __str__(self) -> str:
        return f"list of {self.item}"

    def fits(self, value: Any) -> bool:
        """Return whether ``value`` is a list whose items are all of the type."""
        return type(value) is list and all(map(self.item.fits, value))


@dataclass(frozen=True, slots=True)
class Struct:
    """A value with named fields."""

    fields: tuple[tuple[str, ColumnType], ...]

    def __str__(self) -> str:
        return f"{{{', '.join(f'{name} {kind}' for name, kind in self.fields)}}}"

    def fits(self, value: Any) -> bool:
        """Return whether ``value`` is a dict of only these fields, each without a value or of its type."""
        if type(value) is not dict:
            return False
        known = dict(self.fields)
        return all(name in known and (item is None or known[name].fits(item)) for name, item in value.items())

    def of(self, name: str) -> ColumnType | None:
        """Return the type of a field; ``None`` if there is no such field."""
        return dict(self.fields).get(name)


ColumnType: TypeAlias = Scalar | ListOf | Struct


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``read`` returns its value from a document, or is ``None`` for a key of ``metadata``."""

    name: str
    type: ColumnType
    description: str = ""
    read: Callable[[Document], Any] | None = None
    indexed: bool = False

    def __repr__(self) -> str:
        return repr_of(self)


@cache
def columns_of(declared: type) -> tuple[Column, ...]:
    """Return the columns that the annotations of a class declare, in their order.

    Raises:
        GraphError: an annotation cannot be resolved or is no type of a column, or a name is taken.
    """
    columns = tuple(_columns(declared))
    if not columns:
        raise GraphError(f"{_name(declared)} declares no columns: annotate them, as in pmid: int")
    seen = {name.lower() for name in ENVELOPE}
    for column in columns:
        if column.name.lower() in seen:
            raise GraphError(
                f"the column {column.name!r} of {_name(declared)} has the name of a column of every "
                "document, or differs from another one only in case: choose another name"
            )
        seen.add(column.name.lower())
    return columns


def _columns(declared: type) -> Iterator[Column]:
    for name, annotation in _hints(declared).items():
        if len(name) > MAX_NAME_BYTES or not name.isascii() or name.startswith("_"):
            raise GraphError(f"a column has a name of 1 to {MAX_NAME_BYTES} ASCII letters, not {name!r}")
        hint, notes = _unwrapped(annotation)
        words = [note for note in notes if isinstance(note, str)]
        words += [note.description for note in notes if getattr(note, "description", None)]
        readers = [note for note in notes if callable(note) and not isinstance(note, type)]
        yield Column(
            name, _type_of(hint, f"{_name(declared)}.{name}"), " ".join(words),
            readers[0] if readers else None, any(note is INDEXED for note in notes),
        )  # fmt: skip


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return the type itself, and what ``Annotated`` says about it."""
    notes: tuple[Any, ...] = ()
    while get_origin(hint) in _WRAPPERS:
        notes += get_args(hint)[1:]
        hint = get_args(hint)[0]
    return hint, notes


def _hints(declared: type) -> dict[str, Any]:
    try:
        hints = get_type_hints(declared, include_extras=True)
    except (NameError, TypeError) as error:
        raise GraphError(
            f"the annotations of {_name(declared)} cannot be resolved ({error}): define the class, and "
            "everything that its annotations name, at the top of a module"
        ) from None
    fields = getattr(declared, "model_fields", {})
    return {
        name: Annotated[hint, fields[name]] if name in fields else hint
        for name, hint in hints.items()
        if not name.startswith(("__", "model_"))
    }


def _type_of(hint: Any, where: str) -> ColumnType:
    hint, _ = _unwrapped(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        if len(kinds) == 1:
            return _type_of(kinds[0], where)
    if origin is list:
        return ListOf(_type_of(get_args(hint)[0], f"{where}[]"))
    if hint in _SCALARS:
        return Scalar(_SCALARS[hint])
    if isinstance(hint, type) and hint.__module__ != "builtins" and (inner := _hints(hint)):
        return Struct(tuple((name, _type_of(kind, f"{where}.{name}")) for name, kind in inner.items()))
    raise GraphError(
        f"{where} has the type {hint!r}, which is no type of a column: use str, int, float, bool, date, "
        "list[...], or a class with annotations"
    )


def _name(declared: Any) -> str:
    return getattr(declared, "__qualname__", repr(declared))


def _is_date(value: Any) -> bool:
    if type(value) is not str or len(value) != len("YYYY-MM-DD"):
        return False
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_int(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


_SCALARS: dict[Any, Kind] = {
    str: "text",
    int: "int",
    float: "float",
    bool: "bool",
    dt.date: "date",
}
_FITS: dict[Kind, Callable[[Any], bool]] = {
    "text": lambda value: type(value) is str,
    "int": _is_int,
    "float": lambda value: (
        type(value) is float or (type(value) is int and value.bit_length() <= _FLOAT_DIGITS)
    ),
    "bool": lambda value: type(value) is bool,
    "date": _is_date,
    "json": lambda value: type(value) is str,
    "bytes": lambda value: type(value) is bytes,
}


def held(kind: ColumnType, value: Any) -> tuple[Any, bool]:
    """Return the part of ``value`` that ``kind`` can hold, and whether that is all of it.

    Fields that a struct does not have are left out. Any other value that does not fit becomes ``None``.
    """
    if value is None or kind.fits(value):
        return value, True
    if isinstance(kind, ListOf) and isinstance(value, list):
        return [held(kind.item, item)[0] for item in value], False
    if isinstance(kind, Struct) and isinstance(value, dict):
        return {name: held(field, value[name])[0] for name, field in kind.fields if name in value}, False
    return None, False
