"""Operators that change how many items there are, or group them in lists."""

from penstock.operators.shape.batch import batch
from penstock.operators.shape.chunk_by import chunk_by
from penstock.operators.shape.flat_map import flat_map, unbatch
from penstock.operators.shape.sliding import sliding
from penstock.operators.shape.split import split
from penstock.operators.shape.take_skip import skip, skip_while, take, take_while
from penstock.operators.shape.take_skip_last import skip_last, take_last
from penstock.operators.shape.take_until import take_until

__all__ = [
    "batch",
    "chunk_by",
    "flat_map",
    "skip",
    "skip_last",
    "skip_while",
    "sliding",
    "split",
    "take",
    "take_last",
    "take_until",
    "take_while",
    "unbatch",
]
