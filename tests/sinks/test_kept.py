"""The content of an output that is gone is where the error says, and the run goes on once it is put back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from penstock.abc import Commit
from penstock.document import Document
from penstock.errors import SinkMismatch

from .conftest import ENDINGS, JsonLinesKind
from .databases import DuckDBKind, SqliteKind, harms_of

KINDS = {
    **{name: lambda folder, ending=ending: JsonLinesKind(folder, ending) for name, ending in ENDINGS.items()},
    "sqlite": SqliteKind,
    "duckdb": DuckDBKind,
}


def documents(first, last):
    return [
        Document(doc_id=f"d{n}", source="test", title="t" * 9000, metadata={"n": n})
        for n in range(first, last)
    ]


@pytest.mark.parametrize("harm", ["removed", "renamed", "replaced", "rotated"])
@pytest.mark.parametrize("name", KINDS)
async def test_put_back_it_goes_on(tmp_path, name, harm):
    """Whatever was committed is there, and nothing else is lost or doubled."""
    folder, another = tmp_path / "out", tmp_path / "undisturbed"
    folder.mkdir()
    another.mkdir()
    kind, undisturbed = KINDS[name](folder), KINDS[name](another)
    for one in (kind, undisturbed):
        sink = one.new()
        await sink.open(None)
        await sink.write(documents(0, 300))
        record = await sink.commit(Commit(1, {}))
        path = sink.path
        if one is kind:
            await sink.write(documents(300, 450))
            harms_of(path)[harm]()
            with pytest.raises(SinkMismatch) as raised:
                await sink.commit(Commit(2, {}))
            await sink.aclose()
            found = re.search(
                r"; what was (?:written|committed) is (?:saved )?in (\S+)( now)?;", str(raised.value)
            )
            Path(found[1]).replace(path)  # noqa: ASYNC240  a test may wait
            sink = one.new()
            await sink.open(None if sink.transactional else record)
        await sink.write(documents(300, 450))
        await sink.commit(Commit(2, {}))
        await sink.aclose()
    assert kind.content(sink) == undisturbed.content(sink)
