"""The operator ``start_with``, which yields some items before those of the flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.operators.attach import attach
from penstock.operators.combine.concat import Concat
from penstock.sources.from_iterable import FromIterable

if TYPE_CHECKING:
    from penstock.flow import Flow

T = TypeVar("T")


def start_with(*items: T) -> Callable[[Flow[T]], Flow[T]]:
    """Yield ``items`` before those of the flow, which starts only then."""
    return attach(lambda node: StartWith(inputs=(FromIterable(items=items), node)))


class StartWith(Concat):
    """``Concat`` with a first input that holds the given items."""

    operator = "start_with"
