# ruff: noqa: S608 - tables are those of the tests
"""Child tables: one row for each item of a list, always in step with the table of the documents."""

from __future__ import annotations

import json
import sqlite3
from typing import Annotated, TypedDict

import duckdb
import psycopg
import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import GraphError, SinkMismatch
from penstock.sinks import DuckDBSink, PostgresSink, SqliteSink
from penstock.testing import sink_laws

from ..length import sampled  # noqa: TID252  tests are no installed package
from .databases import DATABASES, DuckDBKind, database_of


class Place(TypedDict, total=False):
    city: str


class Author(TypedDict, total=False):
    name: str
    age: int
    share: float
    valid: bool
    places: list[Place]


class Columns:
    authors: list[Author]
    tags: list[str]
    home: Place


class Taken(TypedDict):
    position: int


class TakenColumns:
    items: list[Taken]


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    """Return each database."""
    return database_of(request, tmp_path)


def sink_of(database, **options):
    """Return a sink that writes child tables."""
    kinds = {"sqlite": SqliteSink, "duckdb": DuckDBSink, "postgresql": PostgresSink}
    make = kinds[database.base.partition(":")[0]]
    place = database.path if hasattr(database, "path") else database.base
    return make(place, **{"tables": "normalized", "schema": Columns, "table": "a b", **options})


def document(n, version, *, deleted=False, **metadata):
    """Return a document."""
    return Document(
        doc_id=f"{n}:{version}", record_id=str(n), source="s", version=str(version), metadata=metadata,
        deleted=deleted,
    )  # fmt: skip


def first(n, version=1):
    """Return a document with items of all kinds."""
    places = [{"city": 'Bo"nn'}, {}]
    authors = [{"name": "Ün", "age": n, "share": 0.5, "valid": True, "places": places}, {"valid": False}, {}]
    return document(n, version, authors=authors, tags=["x", "y"], home={"city": "Rome"})


def expected(documents, key):
    """Return the rows of the child tables, from the documents."""
    authors, tags = [], []
    for one in documents:
        own = getattr(one, key)
        for at, author in enumerate(one.metadata.get("authors", []), 1):
            authors.append((own, at, *[author.get(name) for name in Author.__annotations__]))
        tags += [(own, at, tag) for at, tag in enumerate(one.metadata.get("tags", []), 1)]
    return sorted(authors, key=str), sorted(tags, key=str)


def plain(value):
    """Return a value of any database as JSON has it, without fields that have no value."""
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    if isinstance(value, list):
        return [{name: item for name, item in one.items() if item is not None} for one in value]
    return value


def rows_of(database, key):
    """Return the rows of the child tables."""
    names = ", ".join(f'"{name}"' for name in Author.__annotations__)
    authors = database.query(f'SELECT {key}, "position", {names} FROM "a b_authors"')
    tags = database.query(f'SELECT {key}, "position", value FROM "a b_tags"')
    return tuple(sorted([tuple(map(plain, row)) for row in rows], key=str) for rows in (authors, tags))


def same(found, wanted):
    """Compare rows; SQLite has 0 and 1 for false and true."""
    assert [[(*row,) for row in rows] for rows in found] == [[(*row,) for row in rows] for rows in wanted]


async def written(sink, *pages, restart=False, epoch=1):
    """Write each page and commit it."""
    await sink.open(None, restart=restart)
    for at, page in enumerate(pages, epoch):
        await sink.write(page)
        await sink.commit(Commit(at, {}))
    await sink.aclose()


@pytest.mark.parametrize("versions", ["replace", "keep"])
@pytest.mark.parametrize("deleted", ["mark", "delete"])
async def test_children_follow_their_parent(database, versions, deleted):
    """Items are inserted, replaced and deleted with their document; older versions change nothing."""
    sink = sink_of(database, versions=versions, deleted=deleted)
    new = document(2, 3, authors=[{"name": "Ada"}], tags=[])
    pages = [
        [first(1), first(2, 2), first(3), first(4)],
        [new, first(2, 1), document(3, 1, deleted=True), document(4, 0, deleted=True), first(5)],
        [first(5)],
    ]
    await written(sink, *pages)
    kept = {"replace": [first(1), new, first(4), first(5)]}.get(
        versions, [first(1), first(2, 1), first(2, 2), new, first(4), first(5)]
    )
    key = "record_id" if versions == "replace" else "doc_id"
    same(rows_of(database, key), expected(kept, key))
    [(home,)] = database.query(f"SELECT home FROM \"a b\" WHERE {key} = '{getattr(first(1), key)}'")
    assert (json.loads(home) if isinstance(home, str) else home) == {"city": "Rome"}


async def test_what_was_not_committed_is_gone_from_the_children(database):
    """Child tables roll back and are emptied together with their parent."""
    sink = sink_of(database)
    await sink.open(None)
    await sink.write([first(1)])
    await sink.commit(Commit(1, {}))
    sink._groups.max_rows = 1
    await sink.write([document(1, 2, tags=["z"]), first(2)])
    await sink.aclose()
    same(rows_of(database, "record_id"), expected([first(1)], "record_id"))
    await written(sink_of(database), [first(7)], restart=True)
    same(rows_of(database, "record_id"), expected([first(7)], "record_id"))


async def test_what_does_not_fit_its_type_stays_in_metadata(database):
    """A field of another type has no value in the child table, and stays in ``metadata``."""
    odd = [{"name": 5, "age": "old", "more": 1}, "text", {"name": "A", "age": 2**70, "share": 10**400}]
    await written(sink_of(database), [document(1, 1, authors=odd)])
    authors, _ = rows_of(database, "record_id")
    assert [row[2:5] for row in authors] == [(None,) * 3, (None,) * 3, ("A", None, None)]
    [(metadata,)] = database.query('SELECT metadata FROM "a b"')
    found = json.loads(metadata) if isinstance(metadata, str) else metadata
    assert json.loads(json.dumps(found["authors"])) == odd


async def test_a_child_table_that_is_lost_or_a_stranger_s_is_refused(database):
    """The sink neither writes into a table that it did not create, nor goes on without one of its own."""
    quiet = "x" if not isinstance(database, DuckDBKind) else "y"
    database.query(f'CREATE TABLE "{quiet}_tags" (n INTEGER)')
    with pytest.raises(SinkMismatch, match="is not its own"):
        await sink_of(database, table=quiet).open(None)
    await written(sink_of(database, table=quiet, tables="nested"), [first(1)])
    with pytest.raises(SinkMismatch, match="is not its own"):
        await sink_of(database, table=quiet).open(None, restart=True)
    with pytest.raises(SinkMismatch, match="begun with tables='nested'"):
        await sink_of(database, table=quiet).open(None)
    await written(sink_of(database), [first(1)])
    database.query('DROP TABLE "a b_tags"')
    with pytest.raises(SinkMismatch, match="lost its child tables a b_tags"):
        await sink_of(database).open(None)
    await written(sink_of(database), [first(1)], restart=True)
    same(rows_of(database, "record_id"), expected([first(1)], "record_id"))
    await written(sink_of(database, tables="nested"), [first(1)], restart=True)
    with pytest.raises(Exception, match="a b_tags"):
        database.query('SELECT * FROM "a b_tags"')


class Letters:
    letters: Annotated[list[str], lambda document: list(document.doc_id)]


@pytest.mark.parametrize("law", sink_laws.LAWS)
async def test_the_laws_hold_for_child_tables(database, law, request):
    """Every law of sinks holds with child tables, and afterwards they have the items of their documents."""
    at = list(sink_laws.LAWS).index(law) + DATABASES.index(request.node.callspec.params["database"])
    if not list(sampled([True], 3, at)):
        pytest.skip("of the long run")
    make = database.new

    def new(**options):
        sink = make(tables="normalized", **options)
        sink.use_schema(Letters)
        return sink

    database.new = new
    await sink_laws.LAWS[law](database)
    try:
        names = database.query("SELECT table_name FROM penstock_commits")
    except (sqlite3.Error, duckdb.Error, psycopg.Error):
        names = []  # the law has removed everything
    if (database.known_as(database.table),) in names:
        rows = database.query(f'SELECT record_id, "position", value FROM "{database.table}_letters"')
        documents = {one.record_id or one.doc_id: one.doc_id for one in database.documents()}
        found = dict.fromkeys(documents, "")
        for key, _, letter in sorted(rows):
            found[key] += letter
        assert found == documents


def test_names_that_a_child_table_cannot_have_are_refused(tmp_path):
    """A field that is called as the position is refused, and a name that is too long."""
    with pytest.raises(GraphError, match="a field 'position'"):
        SqliteSink(tmp_path / "x.db", tables="normalized", schema=TakenColumns)
    with pytest.raises(GraphError, match="more than 63 bytes"):
        SqliteSink(tmp_path / "x.db", tables="normalized", schema=Columns, table="t" * 60)
    with pytest.raises(GraphError, match="tables is 'nested' or 'normalized', not 'flat'"):
        SqliteSink.from_url(f"sqlite:///{tmp_path}/x.db?tables=flat")
