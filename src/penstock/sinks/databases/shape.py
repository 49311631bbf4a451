"""Whether a table still is the one that Penstock has created, with the options of today."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from penstock.errors import SinkMismatch
from penstock.sinks.output import START_OVER

if TYPE_CHECKING:
    from penstock.sinks.databases.table import Table


def check_table(table: Table, columns: list[str], options: str) -> None:
    """Refuse a table that is gone, has other options, or lacks a column."""
    if not columns:
        raise SinkMismatch(
            f"the output {table.name} is gone, but commit {table.epoch} was made to it; "
            f"put the table back, {START_OVER}"
        )
    then, now = {"tables": "nested", **json.loads(options)}, table.options.as_json()
    if then.get("format") != now["format"]:
        raise SinkMismatch(
            f"the output {table.name} was written by an earlier version of Penstock, with other columns; "
            f"choose another table=, {START_OVER}"
        )
    if changed := _differences(then, now):
        raise SinkMismatch(
            f"the output {table.name} was begun with {changed}; "
            f"use the same options again, or another table=, {START_OVER}"
        )
    if lost := table.children.lost():
        raise SinkMismatch(
            f"the output {table.name} has lost its child tables {', '.join(lost)}; "
            f"put them back, {START_OVER}"
        )
    if missing := [name for name in table.options.names if name not in columns]:
        raise SinkMismatch(
            f"the output {table.name} has lost its columns {', '.join(missing)}; put them back, {START_OVER}"
        )


def _differences(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Return how the options of a table differ from those that it was begun with."""
    before, after = then["columns"], now["columns"]
    others = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    was = [f"{name}={then.get(name)!r}" for name in now if name != "columns" and then.get(name) != now[name]]
    return ", ".join([*was, *([f"other columns ({', '.join(others)})"] if others else [])])
