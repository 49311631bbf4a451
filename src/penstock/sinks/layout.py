"""The columns of one output: those of every document, and those that the adapter declares.

``metadata`` is JSON text of the metadata that no declared column holds. So nothing is written twice, and
nothing is lost: a value that does not fit its column stays in ``metadata``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

from penstock.columns import Column, ListOf, Scalar, Struct, columns_of, held
from penstock.errors import GraphError, SinkError
from penstock.runtime.arguments import at

if TYPE_CHECKING:
    from penstock.document import Document

_TEXT = Scalar("text")
METADATA = Column("metadata", Scalar("json"), "JSON of all values that have no column of their own.")
RAW = Column("raw", Scalar("bytes"), "The raw bytes of the record; only on request.")
ENVELOPE = (
    Column("doc_id", _TEXT, "The id of this version of the record."),
    Column("source", _TEXT, "The name of the adapter."),
    Column("record_id", _TEXT, "The id that all versions of the record share."),
    Column("version", _TEXT, "The version of the record."),
    Column("title", _TEXT, "The title."),
    Column("content", _TEXT, "The text."),
    METADATA,
    Column("content_hash", _TEXT, "The SHA-256 of the raw bytes, in hexadecimal."),
    Column("deleted", Scalar("bool"), "Whether the source has removed the record."),
)
"""The columns of every document, in order."""

Values = dict[str, Any]
_Check = Callable[[Any], bool]
_KNOWN_SHAPES = 1024


@dataclass(frozen=True, slots=True)
class Layout:
    """What one output writes of each document.

    Args:
        declared: The columns of the adapter.
        chosen: The names of the columns to write, in order; ``None`` writes all.
        include_raw: Whether to write the raw bytes too.
    """

    declared: tuple[Column, ...] = ()
    chosen: tuple[str, ...] | None = None
    include_raw: bool = False
    columns: tuple[Column, ...] = field(init=False)
    """All columns that are written, in order."""
    typed: tuple[Column, ...] = field(init=False)
    """Those of them that the adapter declares."""
    _readers: tuple[tuple[str, Callable[[Document], Any], _Check], ...] = field(init=False, repr=False)
    _keys: dict[str, _Check] = field(init=False, repr=False, compare=False)
    _taken: frozenset[str] = field(init=False, repr=False)
    _known: set[tuple[Any, ...]] = field(init=False, repr=False, compare=False)
    """Names and types of values that fit their columns, as documents had them so far."""
    _parts: dict[tuple[str, ...], tuple[list[str], list[str]]] = field(init=False, repr=False, compare=False)
    """The keys of documents so far, parted."""

    def __post_init__(self) -> None:
        keep = object.__setattr__  # it is frozen
        columns = self._chosen() if self.chosen is not None else (*ENVELOPE, *self.declared)
        if self.include_raw and RAW not in columns:
            columns = (*columns, RAW)
        typed = tuple(column for column in columns if column in self.declared)
        keep(self, "columns", columns)
        keep(self, "typed", typed)
        checked = [(column.name, column.read, _check_of(column)) for column in typed]
        keep(
            self, "_readers", tuple((name, read, check) for name, read, check in checked if read is not None)
        )
        keep(self, "_keys", {name: check for name, read, check in checked if read is None})
        keep(self, "_taken", frozenset(self._keys))
        keep(self, "_known", set())
        keep(self, "_parts", {})

    @classmethod
    def of(
        cls, schema: type | None, columns: Sequence[str] | None = None, *, include_raw: bool = False
    ) -> Self:
        """Return the layout for a class of columns (see `penstock.columns`) and the names that were chosen.

        Raises:
            GraphError: the class declares no valid columns, no name was chosen, or a name comes twice
                or, with a class, is no column.
        """
        chosen = None if columns is None else tuple(columns)
        if chosen is not None and (not chosen or len(set(chosen)) < len(chosen)):
            raise GraphError(
                f"columns= names columns, each once, not {columns!r}{at()}: columns=['doc_id', 'title']"
            )
        found = cls(columns_of(schema) if schema is not None else (), chosen, include_raw)
        if schema is not None:
            found.check()
        return found

    def with_schema(self, schema: type | None) -> Self:
        """Return this layout for the columns that ``schema`` declares; the choice of columns stays.

        Raises:
            GraphError: a chosen column does not exist; the message has near names.
        """
        layout = replace(self, declared=columns_of(schema) if schema is not None else ())
        layout.check()
        return layout

    @property
    def wants_raw(self) -> bool:
        """Whether the raw bytes are written."""
        return RAW in self.columns or self.include_raw

    @property
    def all_known(self) -> bool:
        """Whether the chosen columns exist; before the schema is known they may not."""
        return self.chosen is None or len(self.columns) >= len(self.chosen)

    def check(self) -> None:
        """Raise ``GraphError`` if a chosen column does not exist."""
        known = [column.name for column in (*ENVELOPE, RAW, *self.declared)]
        for name in self.chosen or ():
            if name not in known:
                near = get_close_matches(name, known, n=3)
                meant = f" (did you mean {' or '.join(near)}?)" if near else ""
                raise GraphError(f"there is no column {name!r}{meant}; the columns are: {', '.join(known)}")

    def _chosen(self) -> tuple[Column, ...]:
        known = {column.name: column for column in (*ENVELOPE, RAW, *self.declared)}
        return tuple(known[name] for name in self.chosen or () if name in known)

    def values(self, document: Document) -> tuple[Values, Values]:
        """Return the values of the declared columns, and the metadata that none of them holds.

        Only the type itself of a value is checked, not what a list or a struct contains. Columns without a
        value are left out.

        Raises:
            SinkError: a function that reads a column has failed; the message names the document.
        """
        metadata = document.metadata
        ours, others = self._parted(tuple(metadata))
        values = {name: metadata[name] for name in ours}
        rest = {name: metadata[name] for name in others}
        shape = (*values, *map(type, values.values()))
        if shape not in self._known:
            self._check(shape, values, rest)
        for name, read, check in self._readers:
            try:
                value = read(document)
            except Exception as error:
                raise SinkError(
                    f"the column {name!r} of the document {document.doc_id!r} cannot be read: "
                    f"{type(error).__name__}: {error}; correct the function in the adapter's schema"
                ) from error
            if value is not None and check(value):
                values[name] = value
        return values, rest

    def _parted(self, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
        """Return which of a document's keys have a column, and which have none."""
        found = self._parts.get(names)
        if found is None:
            taken = self._taken
            found = [name for name in names if name in taken], [name for name in names if name not in taken]
            if len(self._parts) < _KNOWN_SHAPES:
                self._parts[names] = found
        return found

    def _check(self, shape: tuple[Any, ...], values: Values, rest: Values) -> None:
        """Move each value that does not fit its column to ``rest``; remember a shape where all fit."""
        is_sure = True
        for name, value in list(values.items()):
            check = self._keys[name]
            is_sure = is_sure and isinstance(check, _OfType)
            if not check(value):
                is_sure = False
                del values[name]
                if value is not None:
                    rest[name] = value
        if is_sure and len(self._known) < _KNOWN_SHAPES:
            self._known.add(shape)

    def exact(self, values: Values, rest: Values) -> tuple[Values, Values]:
        """Return ``values`` with only what fits the whole type of each column.

        What was left out stays in the rest of the metadata.
        """
        found, rest = dict(values), dict(rest)
        for column in self.typed:
            if column.name not in found:
                continue
            value, whole = held(column.type, found[column.name])
            if not whole and column.read is None:
                rest[column.name] = found[column.name]
            found[column.name] = value
        return found, rest

    def as_json(self) -> dict[str, str]:
        """Return the types of the declared columns by name, to compare outputs by."""
        return {column.name: str(column.type) for column in self.typed}


@dataclass(frozen=True, slots=True)
class _OfType:
    """Checks the type itself of a value."""

    type: type

    def __call__(self, value: Any) -> bool:
        return type(value) is self.type


def _check_of(column: Column) -> _Check:
    """Return a fast check of a value of ``column``."""
    kind = column.type
    if isinstance(kind, ListOf):
        return _OfType(list)
    if isinstance(kind, Struct):
        return _OfType(dict)
    python = {"text": str, "bool": bool}.get(kind.kind)
    return kind.fits if python is None else _OfType(python)
