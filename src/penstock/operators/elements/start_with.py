"""``start_with``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from penstock.operators.attach import attach
from penstock.operators.combine.concat import Concat
from penstock.sources.from_iterable import FromIterable

if TYPE_CHECKING:
    from penstock.flow import Flow


__all__ = ["StartWith", "start_with"]

T = TypeVar("T")


def start_with(*items: T) -> Callable[[Flow[T]], Flow[T]]:
    """Begin with ``items``, then go on with the flow, which starts only then."""
    return attach(lambda node: StartWith(inputs=(FromIterable(items=items), node)))


class StartWith(Concat):
    """The items of the first input, which brings them itself, then those of the second."""

    operator = "start_with"
