"""Items as one table in memory: for pyarrow, Polars and pandas.

Documents have the columns that a Parquet output has. Other items are rows by their fields.
"""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from contextlib import aclosing
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, cast

from penstock.columns import columns_of
from penstock.document import Document
from penstock.errors import MissingExtra, PenstockError
from penstock.events import PipelineEvent
from penstock.ingest.into import document_in, schema_of
from penstock.runtime.subscription import Running
from penstock.sinks.layout import Layout
from penstock.system.own_loop import run_in_own_loop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from penstock.abc.frames import ArrowTable, PandasFrame, PolarsFrame
    from penstock.runtime.node import Node
    from penstock.sinks.files.arrow import DocumentTable

BATCH = 4096
"""Items that wait as Python objects until they become a part of the table."""

REQUEST = 256


async def arrow_of(root: Node) -> ArrowTable:
    """Return the items of a graph as a table; see ``Flow.to_arrow``."""
    _library("pyarrow", "to_arrow()")
    return await _collected(_lists_of(root), schema_of(root))


async def polars_of(root: Node) -> PolarsFrame:
    """Return the items of a graph as a Polars frame; see ``Flow.to_polars``."""
    library = _library("polars", "to_polars()")
    return cast("PolarsFrame", library.from_arrow(await arrow_of(root)))


async def pandas_of(root: Node) -> PandasFrame:
    """Return the items of a graph as a pandas frame; see ``Flow.to_pandas``."""
    library = _library("pandas", "to_pandas()")
    return _in_pandas(library, await arrow_of(root))


def _in_pandas(library: Any, table: ArrowTable) -> PandasFrame:
    return table.to_pandas(types_mapper=library.ArrowDtype)


async def _lists_of(root: Node) -> AsyncGenerator[list[Any], None]:
    async with Running[Any](root) as subscription:
        while items := await subscription.request(REQUEST):
            yield items


async def _collected(lists: AsyncGenerator[list[Any], None], schema: type | None) -> ArrowTable:
    rows = _Rows(schema)
    async with aclosing(lists) as chunks:
        async for items in chunks:
            rows.take(items)
    return rows.table()


def _library(name: str, who: str) -> Any:
    """Return a library.

    Raises:
        MissingExtra: it is not installed; the message has the command.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(f"{who}: {name}", "notebook") from error


class _Rows:
    """Makes tables of items, a batch at a time."""

    def __init__(self, schema: type | None) -> None:
        self._layout = Layout(columns_of(schema) if schema is not None else ())
        self._documents: DocumentTable | None = None
        self._pending: list[Any] = []
        self._tables: list[ArrowTable] = []
        self._kind: type | None = None

    def take(self, items: Sequence[Any]) -> None:
        """Take some items."""
        if self._kind is None:
            self._kind = Document if isinstance(items[0], Document | PipelineEvent) else object
        if self._kind is Document:
            found = map(document_in, items)
            self._pending += [one for one in found if one is not None]
        else:
            self._pending += items
        if len(self._pending) >= BATCH:
            self._flush()

    def table(self) -> ArrowTable:
        """Return all items as one table."""
        import pyarrow as pa

        if self._pending or (self._kind is Document and not self._tables):
            self._flush()
        if not self._tables:
            return pa.table({})
        try:
            return pa.concat_tables(self._tables, promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise _mixed(error) from None

    def _flush(self) -> None:
        items, self._pending = self._pending, []
        if self._kind is not Document:
            self._tables.append(_table_of_rows(items))
            return
        if self._documents is None:
            from penstock.sinks.files.arrow import DocumentTable

            self._documents = DocumentTable(self._layout)
        self._tables.append(self._documents.table([self._documents.page(items)]))


def _table_of_rows(items: Sequence[Any]) -> ArrowTable:
    import pyarrow as pa

    rows = list(map(_row, items))
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Any] = {}
    for name in names:
        try:
            columns[name] = pa.array(_values(rows, name))
        except (ValueError, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            raise _mixed(error, name) from None
    return pa.table(columns)


def _values(rows: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """Return the values of a column; ``NaT`` and ``NA`` of pandas are null."""
    values = [row.get(name) for row in rows]
    if (pandas := sys.modules.get("pandas")) is None:
        return values
    nat, na = getattr(pandas, "NaT", None), getattr(pandas, "NA", None)
    return [None if value is nat or value is na else value for value in values]


def _row(item: Any) -> dict[str, Any]:
    """Return the fields of an item; an item without fields is the one field ``value``."""
    if isinstance(item, dict):
        return {str(name): value for name, value in item.items()}
    if is_dataclass(item) and not isinstance(item, type):
        return {one.name: getattr(item, one.name) for one in fields(item)}
    for method in ("model_dump", "_asdict"):  # pydantic, and named tuples
        found: Any = getattr(type(item), method, None)
        if found is not None:
            fields_of: dict[str, Any] = found(item)
            return fields_of
    return {"value": item}


def _mixed(error: Exception, name: str = "") -> PenstockError:
    of = f"the values of {name!r} have" if name else "the values of a column have"
    reason = str(error).splitlines()[0]
    msg = f"{of} no common type in Arrow ({reason}): convert them first, as in flow.map(lambda row: ...)"
    return PenstockError(msg)


class Frames(ABC):
    """The calls that return documents as one table in memory: O(n), batched, typed as the adapter declares.

    The columns are those of a Parquet output. Failed documents are left out; tombstones are ``deleted``.
    """

    @abstractmethod
    def _lists(self) -> tuple[AsyncGenerator[list[PipelineEvent], None], type | None]:
        """Return the events of a new run, and the class that declares the columns."""

    async def to_arrow(self) -> ArrowTable:
        """Run, and return the documents as a pyarrow table; raise ``MissingExtra`` without pyarrow."""
        _library("pyarrow", "to_arrow()")
        return await _collected(*self._lists())

    async def to_polars(self) -> PolarsFrame:
        """Run, and return the documents as a Polars frame; raise ``MissingExtra`` without Polars."""
        library = _library("polars", "to_polars()")
        return cast("PolarsFrame", library.from_arrow(await self.to_arrow()))

    async def to_pandas(self) -> PandasFrame:
        """Run, and return the documents as a pandas frame of Arrow types, or raise ``MissingExtra``."""
        library = _library("pandas", "to_pandas()")
        return _in_pandas(library, await self.to_arrow())


class SyncFrames:
    """The calls of ``Frames`` for code that is not async."""

    __slots__ = ()

    _pipeline: Any  # a subclass of Frames

    def to_arrow(self) -> ArrowTable:
        """Run, and return the documents as a pyarrow table."""
        return run_in_own_loop(self._pipeline.to_arrow)

    def to_polars(self) -> PolarsFrame:
        """Run, and return the documents as a Polars frame."""
        return cast("PolarsFrame", run_in_own_loop(self._pipeline.to_polars))

    def to_pandas(self) -> PandasFrame:
        """Run, and return the documents as a pandas frame."""
        return run_in_own_loop(self._pipeline.to_pandas)
