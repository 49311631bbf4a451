"""What all typed outputs do with the columns that were chosen, and with values that do not fit."""

from __future__ import annotations

import json
from typing import TypedDict

import duckdb
import pyarrow.parquet as pq
import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import GraphError
from penstock.sinks import DuckDBSink, ParquetSink, SqliteSink

SINKS = {ParquetSink: "out", SqliteSink: "out.db", DuckDBSink: "out.duckdb"}


class Inner(TypedDict):
    share: float


class Columns:
    inner: list[Inner]
    nothing: list[Inner]
    empty: list[str]
    shares: list[float]


async def test_a_chosen_column_that_does_not_exist_is_refused(tmp_path):
    """With a schema the sink refuses it, when it gets the schema, or when it opens; it creates nothing."""
    for make, name in SINKS.items():
        path = tmp_path / name
        with pytest.raises(
            GraphError,
            match=r"no column .sahres. \(did you mean shares\?\); the columns are: doc_id.* shares",
        ):
            make(path, schema=Columns, columns=["doc_id", "sahres"])
        late = make(path, columns=["doc_id", "sahres"])
        with pytest.raises(GraphError, match="no column 'sahres'"):
            late.use_schema(Columns)
        with pytest.raises(GraphError, match="no column 'sahres'"):
            await late.open(None)
        await late.aclose()
        assert not path.exists()


@pytest.mark.parametrize("big", [10**400, 2**53 + 1])
async def test_an_integer_that_no_float_holds_has_no_value(tmp_path, big):
    """It is null, not infinite or another number; ``metadata`` keeps it. Other values of the batch stay."""
    large = 1e300
    metadata = {"inner": [{"share": big}, {"share": 0.5}], "shares": [big, large], "empty": []}
    pages = (
        [Document(doc_id="1", source="s", metadata=metadata)],
        [Document(doc_id="2", source="s", metadata={"shares": [large]})],
    )
    for make in (ParquetSink, DuckDBSink):
        sink = make(tmp_path / SINKS[make], schema=Columns)
        await sink.open(None)
        for epoch, page in enumerate(pages, 1):
            await sink.write(page)
            await sink.commit(Commit(epoch, {}))
        await sink.aclose()
    with duckdb.connect(str(tmp_path / "out.duckdb")) as db:
        found = db.sql("SELECT * FROM documents ORDER BY doc_id").to_arrow_table().to_pylist()
    for rows in (pq.read_table(tmp_path / "out").to_pylist(), found):
        first, second = rows
        assert (first["inner"], first["shares"]) == ([{"share": None}, {"share": 0.5}], [None, large])
        assert (first["nothing"], first["empty"]) == (None, [])
        assert second["shares"] == [large]
        kept = json.loads(first["metadata"])
        assert (kept["inner"][0]["share"], kept["shares"][0]) == (big, big)
