"""Items as one table for pyarrow, Polars and pandas."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

import penstock as ps
from penstock import DocumentCompleted, IngestionPipeline
from penstock.adapters import pubmed
from penstock.adapters.pubmed.sample import write_sample
from penstock.errors import MissingExtra, PenstockError
from penstock.sinks import frames

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Point:
    x: int
    y: float


class Pair(NamedTuple):
    x: int
    y: float


class Model(BaseModel):
    x: int
    y: float


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("frames") / "s.xml.gz"
    write_sample(path, 60, malformed=1, deletions=2)
    return str(path)


@pytest.mark.slow
async def test_documents_have_the_table_of_a_parquet_output(
    sample: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """A pipeline, its flow of events and a flow of its documents give the very table that Parquet holds.

    So do several batches, and the calls for code that is not async.
    """
    monkeypatch.setattr(frames, "BATCH", 7)
    await IngestionPipeline(pubmed(sample)).run(tmp_path / "o.parquet")
    expected = pq.read_table(tmp_path / "o.parquet").replace_schema_metadata(None)
    assert expected.num_rows == 62
    for table in (
        await IngestionPipeline(pubmed(sample)).to_arrow(),
        await pubmed(sample).to_arrow(),
        await pubmed(sample)
        .filter(lambda e: isinstance(e, DocumentCompleted))
        .map(lambda e: e.document)
        .to_arrow(),
        IngestionPipeline(pubmed(sample)).sync.to_arrow(),
        pubmed(sample).sync.to_arrow(),
    ):
        assert table.num_rows == 62
        assert table.column("doc_id").num_chunks > 1
        assert table.replace_schema_metadata(None).equals(expected)


async def test_frames_keep_the_types(sample: str) -> None:
    """Polars and pandas get the types of the columns: integers that may lack, dates, lists of structs."""
    pipeline = IngestionPipeline(pubmed(sample))
    table = await pipeline.to_arrow()
    frame = await pipeline.to_polars()
    assert isinstance(frame, pl.DataFrame)
    assert frame.equals(pl.DataFrame(table))
    assert frame.schema["publication_date"] == pl.Date
    assert isinstance(frame.schema["mesh"], pl.List)
    other = pipeline.sync.to_pandas()
    assert isinstance(other, pd.DataFrame)
    assert other["year"].dtype == pd.ArrowDtype(pa.int64())
    assert other["doc_id"].tolist() == frame["doc_id"].to_list()
    assert (await pubmed(sample).to_polars()).equals(frame)
    assert (await pubmed(sample).to_pandas()).equals(other)


@pytest.mark.parametrize("kind", [Point, Pair, lambda x, y: Model(x=x, y=y), lambda x, y: {"x": x, "y": y}])
async def test_rows_by_their_fields(kind: Any, monkeypatch: Any) -> None:
    """Dataclasses, named tuples, pydantic models and dictionaries become rows, also across batches."""
    monkeypatch.setattr(frames, "BATCH", 3)
    table = await ps.from_iterable([kind(k, k / 2) for k in range(10)]).to_arrow()
    assert table.to_pydict() == {"x": list(range(10)), "y": [k / 2 for k in range(10)]}


async def test_other_items_are_values(monkeypatch: Any) -> None:
    """Other items are the column ``value``; types of batches are joined; an empty flow has no column."""
    assert (await ps.range_(3).to_arrow()).to_pydict() == {"value": [0, 1, 2]}
    assert (await ps.empty().to_arrow()).shape == (0, 0)
    monkeypatch.setattr(frames, "BATCH", 1)
    rows: list[dict[str, Any]] = [{"a": 1}, {"b": "x"}, {"a": None}, {"a": 2.5}]
    table = await ps.from_iterable(rows).to_arrow()
    assert table.to_pylist() == [
        {"a": 1, "b": None},
        {"a": None, "b": "x"},
        {"a": None, "b": None},
        {"a": 2.5, "b": None},
    ]


async def test_an_empty_source_keeps_its_columns(tmp_path: Path) -> None:
    """A source of no document gives the columns of its documents, and no rows."""
    write_sample(tmp_path / "s.xml.gz", 0)
    table = await IngestionPipeline(pubmed(str(tmp_path / "s.xml.gz"))).to_arrow()
    assert table.num_rows == 0
    assert table.schema.field("year").type == pa.int64()


@pytest.mark.parametrize(
    "rows", [[{"a": 1}, {"a": "x"}], [{"a": [1]}, {"a": 2}], [{"a": object()}], [{"a": 2**70}]]
)
async def test_values_without_a_common_type_are_refused(rows: Any, monkeypatch: Any) -> None:
    """The error names the column and says what to do, in one batch and across batches."""
    with pytest.raises(PenstockError, match=r"'a' have no common type in Arrow .* convert them first"):
        await ps.from_iterable(rows).to_arrow()
    monkeypatch.setattr(frames, "BATCH", 1)
    with pytest.raises(PenstockError, match=r"no common type in Arrow .* convert them first"):
        await ps.from_iterable(rows).to_arrow()


@pytest.mark.parametrize(
    ("call", "library"), [("to_arrow", "pyarrow"), ("to_polars", "polars"), ("to_pandas", "pandas")]
)
async def test_a_missing_library_is_named(call: str, library: str, monkeypatch: Any, sample: str) -> None:
    """Without the library the call names the command that installs it, and nothing has run."""
    monkeypatch.setitem(sys.modules, library, None)
    ran: list[int] = []
    with pytest.raises(MissingExtra, match=rf"{call}\(\): {library} needs an extra: .*notebook"):
        await getattr(ps.from_iterable([1]).tap(ran.append), call)()
    with pytest.raises(MissingExtra, match="notebook"):
        getattr(IngestionPipeline(pubmed(sample)).sync, call)()
    assert ran == []
