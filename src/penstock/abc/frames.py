"""The tables of other libraries, by names that do not collide. Only type checkers import them here."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

ArrowTable: TypeAlias = "pa.Table"
PolarsFrame: TypeAlias = "pl.DataFrame"
PandasFrame: TypeAlias = "pd.DataFrame"
