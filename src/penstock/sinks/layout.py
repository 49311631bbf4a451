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
    from penstock.columns import ColumnType
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
Lists = dict[str, list[Any]]
"""Values by the name of their column, one for each document."""
_NONE = type(None)
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
    _readers: tuple[tuple[str, Callable[[Document], Any] | None, _Fit], ...] = field(
        init=False, repr=False, compare=False
    )
    _taken: frozenset[str] = field(init=False, repr=False)
    """The keys of metadata that have a column."""
    _others: dict[tuple[str, ...], list[str]] = field(init=False, repr=False, compare=False)
    """The keys of documents so far, and those of them that have no column."""

    def __post_init__(self) -> None:
        keep = object.__setattr__  # it is frozen
        columns = self._chosen() if self.chosen is not None else (*ENVELOPE, *self.declared)
        if self.include_raw and RAW not in columns:
            columns = (*columns, RAW)
        typed = tuple(column for column in columns if column in self.declared)
        keep(self, "columns", columns)
        keep(self, "typed", typed)
        keep(self, "_readers", tuple((column.name, column.read, _Fit(column.type)) for column in typed))
        keep(self, "_taken", frozenset(column.name for column in typed if column.read is None))
        keep(self, "_others", {})

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

    def read(self, documents: Sequence[Document]) -> tuple[Lists, list[Values]]:
        """Return the values of the declared columns, and what no column holds of each document's metadata.

        A value that is missing, or does not fit its column, is ``None``. Only the type itself of a list or a
        struct is checked, not what it contains; see ``exact``.

        Raises:
            SinkError: a function that reads a column has failed; the message names the document.
        """
        metadata = [document.metadata for document in documents]
        rests = list(map(self._rest, metadata))
        lists: Lists = {}
        for name, read, fits in self._readers:
            if read is None:
                lists[name] = values = [each.get(name) for each in metadata]
                left = fits.misfits(values)
                for at in left:
                    rests[at][name] = values[at]
            else:
                lists[name] = values = _read_all(name, read, documents)
                left = fits.misfits(values)
            for at in left:
                values[at] = None
        return lists, rests

    def _rest(self, metadata: Values) -> Values:
        """Return the metadata that have no column."""
        names = tuple(metadata)
        others = self._others.get(names)
        if others is None:
            others = [name for name in names if name not in self._taken]
            if len(self._others) < _KNOWN_SHAPES:
                self._others[names] = others
        return {name: metadata[name] for name in others}

    def exact(self, lists: Lists, rests: list[Values]) -> tuple[Lists, list[Values]]:
        """Return what ``read`` has returned, with only what fits the whole type of each column.

        What was left out stays in the rest of the metadata.
        """
        exact: Lists = {}
        rests = [dict(rest) for rest in rests]
        for column in self.typed:
            exact[column.name] = found = []
            for value, rest in zip(lists[column.name], rests, strict=True):
                part, whole = held(column.type, value)
                if not whole and column.read is None:
                    rest[column.name] = value
                found.append(part)
        return exact, rests

    def exact_rows(self, documents: Sequence[Document]) -> list[Values]:
        """Return the values of all columns by name, for each document; raises as ``read``."""
        lists, rests = self.exact(*self.read(documents))
        columns = list(zip(*lists.values(), strict=True)) or [()] * len(documents)
        return [
            {**document.__dict__, "metadata": rest, **dict(zip(lists, values, strict=True))}
            for document, rest, values in zip(documents, rests, columns, strict=True)
        ]

    def as_json(self) -> dict[str, str]:
        """Return the types of the declared columns by name, to compare outputs by."""
        return {column.name: str(column.type) for column in self.typed}


def _read_all(name: str, read: Callable[[Document], Any], documents: Sequence[Document]) -> list[Any]:
    """Return what a column's function reads from each document."""
    values: list[Any] = []
    try:
        values.extend(map(read, documents))
    except Exception as error:
        raise SinkError(
            f"the column {name!r} of the document {documents[len(values)].doc_id!r} cannot be read: "
            f"{type(error).__name__}: {error}; correct the function in the adapter's schema"
        ) from error
    return values


class _Fit:
    """Finds values that do not fit their column. Of a list or a struct it checks only the type itself."""

    def __init__(self, kind: ColumnType) -> None:
        of_kind = {"text": str, "bool": bool}.get(kind.kind) if isinstance(kind, Scalar) else None
        self._type: type | None = {ListOf: list, Struct: dict}.get(type(kind), of_kind)
        self._fits = kind.fits

    def misfits(self, values: list[Any]) -> list[int]:
        """Return the indexes of the values that do not fit; ``None`` fits."""
        kind = self._type
        if kind is None:
            fits = self._fits
            return [at for at, value in enumerate(values) if value is not None and not fits(value)]
        if set(map(type, values)) <= {kind, _NONE}:
            return []
        return [at for at, value in enumerate(values) if value is not None and type(value) is not kind]
