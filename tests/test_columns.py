"""Columns that a class declares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, NotRequired, TypedDict

import pytest
from pydantic import BaseModel, Field

from penstock.columns import INDEXED, columns_of
from penstock.errors import GraphError

from .generate_columns import TARGET, page


class Model(BaseModel):
    tags: list[str] = Field(description="Words.")
    written: date | None = None


class Typed(TypedDict):
    n: int
    inner: NotRequired[Model]


@dataclass
class Data:
    many: Annotated[list[Typed], "Several.", INDEXED]
    share: float
    read: Annotated[bool, lambda document: True]


def test_the_table_of_the_docs_is_current() -> None:
    """``docs/columns.md`` has the columns of PubMed as they are; else run tests/generate_columns.py."""
    assert page(TARGET.read_text("utf-8")) == TARGET.read_text("utf-8")


def test_annotations_are_columns() -> None:
    """Models, dataclasses and typed dicts nest; descriptions, functions and indexes stand in the annotation."""
    many, share, read = columns_of(Data)
    assert str(many.type) == "list of {n int, inner {tags list of text, written date}}"
    assert (many.name, many.description, many.indexed, many.read) == ("many", "Several.", True, None)
    assert (str(share.type), str(read.type), read.read(None)) == ("float", "bool", True)
    assert columns_of(Model)[0].description == "Words."


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({}, "declares no columns"),
        ({"Title": str}, "'Title' .*has the name of a column of every document"),
        ({"a": str, "A": str}, "differs from another one only in case"),
        ({"a": dict[str, int]}, "no type of a column: use str, int"),
        ({"a": "Missing"}, "cannot be resolved"),
        ({"a": bytes}, "no type of a column"),
        ({"a" * 64: str}, "1 to 63 ASCII letters"),
    ],
)
def test_what_is_no_column_is_refused(annotations: dict[str, object], words: str) -> None:
    """The error names the column, and says what to write."""
    with pytest.raises(GraphError, match=words):
        columns_of(type("Odd", (), {"__annotations__": annotations}))
