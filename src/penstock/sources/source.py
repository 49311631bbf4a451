"""What all sources share: a node without inputs, and an input that can be read once."""

from __future__ import annotations

from typing import Any

from penstock.errors import AlreadySubscribed
from penstock.runtime.node import Node, node

__all__ = ["OneShot", "SourceNode"]


@node
class SourceNode(Node):
    """A node without inputs: it holds what it was asked for, no more."""

    stateful = True

    def bound(self, n: int) -> float:
        """Return ``n``."""
        return n


class OneShot:
    """An input that can run once: the second subscription is told so, instead of finding it empty."""

    __slots__ = ("_advice", "_input", "_used")

    def __init__(
        self, one: Any, advice: str = "from_iterable(rows) instead of from_iterable(rows())"
    ) -> None:
        self._input = one
        self._advice = advice
        self._used = False

    def __call__(self) -> Any:
        """Return the input, once."""
        if self._used:
            msg = (
                f"{type(self._input).__name__} can be read once, and an earlier subscription has begun to. "
                f"Pass a function that makes a new one: {self._advice}"
            )
            raise AlreadySubscribed(msg)
        self._used = True
        return self._input
