"""Operators for what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import penstock.operators as op
from penstock.core.policy import RetryPolicy

from .entry import (
    Entry,
    add,
)

if TYPE_CHECKING:
    from penstock.testing import TestSource


def flaky(source: TestSource) -> Any:
    """Fail once on every third item, then never again on that one."""
    seen: set[int] = set()

    def step(x: int) -> int:
        if x % 3 == 1 and x not in seen:
            seen.add(x)
            raise ConnectionError("lost")
        return x + 100

    return source | op.map(step) | op.retry(RetryPolicy(attempts=2, initial=1, jitter=False))


ENTRIES = [
    Entry("retry", lambda s: s | op.retry(), model=iter, bound=float),
    Entry(
        "retry(flaky)",
        flaky,
        model=lambda i: map(add, i),
        known={"closes_early": True},
        skip=("errors_speak", "demand", "fair"),  # each attempt walks past the items before it again
    ),
]
