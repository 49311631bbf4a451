"""``Skipping``: a stage asks it what becomes of an item on which a function failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from penstock.runtime.node import Node
    from penstock.runtime.run import Gate


@dataclass(frozen=True, slots=True)
class Instead:
    """The value that goes on in the place of an item on which a function failed."""

    value: Any


class Skipping(Protocol):
    """The ``on_error_skip`` or ``on_error_replace`` downstream, as seen by a stage."""

    @property
    def full(self) -> bool:
        """Whether a stage should ``pause`` before it continues, because too many failures are unread."""
        ...

    async def pause(self, gate: Gate) -> None:
        """Wait, at a gate of the stage, until failures were read."""
        ...

    def handle(self, error: Exception, item: Any, node: Node) -> BaseException | Instead | None:
        """Report that the function of ``node`` failed on ``item``.

        Returns ``None`` if the item is skipped, ``Instead`` if a value replaces it, otherwise the error that
        ends the run.
        """
        ...
