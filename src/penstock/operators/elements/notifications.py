"""What a flow can say, as values: an item, the end, or the failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Completed", "Failed", "Next", "Notification"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(slots=True)
class Next(Generic[T_co]):
    """An item came. Read-only by contract, as events are: being frozen would double what it costs."""

    item: T_co


@dataclass(frozen=True, slots=True)
class Failed:
    """The flow failed; nothing comes behind this. Equal only to one that carries the same exception."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Completed:
    """The flow completed; nothing comes behind this."""


Notification = Next[T] | Failed | Completed
"""Everything that ``materialize`` makes and ``dematerialize`` takes."""
