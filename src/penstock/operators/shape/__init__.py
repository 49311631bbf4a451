"""Operators that change how many items there are, or group them in lists."""

from penstock.operators.shape.batch import batch
from penstock.operators.shape.chunk_by import chunk_by
from penstock.operators.shape.element_at import element_at
from penstock.operators.shape.expand import expand
from penstock.operators.shape.flat_map import flat_map, unbatch
from penstock.operators.shape.skip_until import skip_until
from penstock.operators.shape.sliding import sliding
from penstock.operators.shape.split import split
from penstock.operators.shape.take_skip import skip, skip_while, take, take_while
from penstock.operators.shape.take_skip_last import skip_last, take_last
from penstock.operators.shape.take_until import take_until
from penstock.operators.shape.text import decode, lines
from penstock.operators.shape.through import through

__all__ = [
    "batch",
    "chunk_by",
    "decode",
    "element_at",
    "expand",
    "flat_map",
    "lines",
    "skip",
    "skip_last",
    "skip_until",
    "skip_while",
    "sliding",
    "split",
    "take",
    "take_last",
    "take_until",
    "take_while",
    "through",
    "unbatch",
]
