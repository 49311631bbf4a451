"""How a stage asks whether the item on which a function failed may be skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from penstock.runtime.run import Gate

__all__ = ["Skipping"]


class Skipping(Protocol):
    """The ``on_error_skip`` that stands downstream of a stage, as that stage sees it."""

    @property
    def full(self) -> bool:
        """Whether a stage that has skipped an item should ``pause`` before it goes on."""
        ...

    async def pause(self, gate: Gate) -> None:
        """Wait, at a gate of the stage, until somebody has read failures."""
        ...

    def refuses(self, error: Exception, item: Any) -> Exception | None:
        """Report a failure. Returns ``None`` if the item is skipped, otherwise what the run fails with."""
        ...
