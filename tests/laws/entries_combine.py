"""Operators that join several flows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import penstock.operators as op

from .entry import (
    Entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def _joined_entries() -> Iterator[Entry]:
    three = (tuple(range(4)), tuple(range(10, 13)), tuple(range(20, 22)))
    for count in (1, 2, 3):
        yield Entry(
            f"concat of {count}",
            lambda first, *others: first | op.concat(*others),
            three[:count],
            model=itertools.chain,
            bound=float,
        )
        yield Entry(
            f"merge of {count}",
            lambda first, *others: first | op.merge(*others),
            three[:count],
            model=itertools.chain,
            bound=lambda n, count=count: count * n,
        )


ENTRIES = [*_joined_entries()]
