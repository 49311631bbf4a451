"""The values that ``materialize`` yields: an item, the end, or a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Completed", "Failed", "Next", "Notification"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(slots=True)
class Next(Generic[T_co]):
    """An item of the flow. Do not change it; it is not frozen because that would double its cost."""

    item: T_co


@dataclass(frozen=True, slots=True)
class Failed:
    """The flow failed with ``error``; no item follows. Equal only if the exception is the same object."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Completed:
    """The flow completed; no item follows."""


Notification = Next[T] | Failed | Completed
"""What ``materialize`` yields and ``dematerialize`` takes."""
