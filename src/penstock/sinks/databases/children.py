# ruff: noqa: S608 - statements are put together from constants and quoted identifiers; values are bound
"""The child tables of a normalized output: one for each list, one row for each of its items.

A child table has the key of its parent, the position of the item (from 1), and the fields of the item. An
item that is no struct has the single field ``value``. The rows of a parent change together with it, in its
transaction: after the parents of a group of rows are written, those children are written again whose parent
was replaced, and those are deleted whose parent is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.columns import MAX_NAME_BYTES, ListOf, Struct
from penstock.errors import GraphError, SinkMismatch
from penstock.sinks.databases.rows import ORDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.columns import Column, ColumnType
    from penstock.sinks.databases.rows import TableOptions
    from penstock.sinks.databases.table import Table

POSITION = "position"
VALUE = "value"


@dataclass(frozen=True, slots=True)
class Child:
    """The table of one list."""

    column: Column
    table: str
    """Its name, without a schema."""
    fields: tuple[tuple[str, ColumnType], ...]

    @property
    def is_struct(self) -> bool:
        """Whether the items are structs."""
        return isinstance(self.column.type, ListOf) and isinstance(self.column.type.item, Struct)


class Children:
    """The child tables of ``table``. It is false if there are none.

    Raises:
        GraphError: a name is too long, or a field has the name of the key or of the position.
    """

    def __init__(self, table: Table) -> None:
        options = table.options
        self._table = table
        self._key, self._order = (table.quoted(options.names[at]) for at in (options.key, ORDER))
        self.tables = tuple(
            _child(f"{table.table}_{column.name}", column, options) for column in options.children
        )

    def __bool__(self) -> bool:
        return bool(self.tables)

    def with_index(self) -> list[tuple[Child, int]]:
        """Return the tables, each with the index of its list in a row."""
        return [(child, at) for at, child in enumerate(self.tables, len(self._table.options.stored))]

    def lost(self) -> list[str]:
        """Return the tables that do not exist."""
        return [child.table for child in self.tables if not self._table.columns(child.table)]

    def check_free(self) -> None:
        """Raise ``SinkMismatch`` if another table has the name of one of these."""
        for child in self.tables:
            if self._table.columns(child.table):
                raise SinkMismatch(
                    f"the output {self._table.name} needs a table {child.table!r}, which exists and is not "
                    "its own; choose another table="
                )

    def create(self) -> None:
        """Create the tables, with an index of the first field if their column has one."""
        table = self._table
        kind = table.column_type(table.options.stored[table.options.key])
        for child in self.tables:
            columns = [f"{self._key} {kind} NOT NULL", f"{table.quoted(POSITION)} INTEGER NOT NULL"]
            columns += [f"{table.quoted(name)} {table.sql_type(type_)}" for name, type_ in child.fields]
            if table.children_have_keys:
                columns.append(f"PRIMARY KEY ({self._key}, {table.quoted(POSITION)})")
                columns.append(
                    f"FOREIGN KEY ({self._key}) REFERENCES {table.target} ({self._key}) ON DELETE CASCADE"
                )
            table.execute(f"CREATE TABLE {table.place(child.table)} ({', '.join(columns)})")
            if child.column.indexed and (statement := table.child_index_statement(child)):
                table.execute(statement)

    def delete_statement(self, child: Child, incoming: str) -> str:
        """Return the statement that deletes the children of parents that were replaced or are gone.

        ``incoming`` has the key ``k`` and the order ``o`` of the rows that were written.
        """
        return (
            f"DELETE FROM {self._table.place(child.table)} WHERE {self._key} IN"
            f" (SELECT i.k FROM {incoming} AS i LEFT JOIN {self._table.target} AS t ON t.{self._key} = i.k"
            f" WHERE t.{self._key} IS NULL OR t.{self._order} = i.o)"
        )

    def insert_statement(self, child: Child, values: Sequence[str], incoming: str, items: str = "") -> str:
        """Return the statement that inserts the items of rows that were written, not skipped as older.

        Args:
            child: The table.
            values: Expressions for the position and the fields.
            incoming: As for ``delete_statement``; it may have a row for each item.
            items: Joins the items to ``incoming``, if it has a row for each document.
        """
        quoted = self._table.quoted
        names = ", ".join([self._key, quoted(POSITION), *(quoted(name) for name, _ in child.fields)])
        return (
            f"INSERT INTO {self._table.place(child.table)} ({names})"
            f" SELECT i.k, {', '.join(values)} FROM {incoming} AS i"
            f" JOIN {self._table.target} AS t ON t.{self._key} = i.k AND t.{self._order} = i.o{items}"
        )


def children_then(table: str, options: dict[str, Any]) -> list[str]:
    """Return the names of the child tables of a table that was created with these options."""
    if options.get("tables") != "normalized":
        return []
    columns = options["columns"].items()
    return [f"{table}_{name}" for name, kind in columns if kind.startswith("list of ")]


def _child(table: str, column: Column, options: TableOptions) -> Child:
    if len(table.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise GraphError(
            f"the child table {table!r} has a name of more than {MAX_NAME_BYTES} bytes; "
            "choose a shorter table=, or leave out its column with columns="
        )
    item = column.type.item if isinstance(column.type, ListOf) else column.type
    fields = item.fields if isinstance(item, Struct) else ((VALUE, item),)
    taken = {POSITION, options.names[options.key]}
    for name, _ in fields:
        if name.lower() in taken:
            raise GraphError(
                f"an item of the column {column.name!r} has a field {name!r}, which its child table "
                "needs for itself; rename the field, or use tables=nested"
            )
    return Child(column, table, fields)
