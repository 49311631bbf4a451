"""``Skipping``: a stage asks it whether it may skip an item on which a function failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from penstock.runtime.run import Gate


class Skipping(Protocol):
    """The ``on_error_skip`` downstream, as seen by a stage."""

    @property
    def full(self) -> bool:
        """Whether a stage should ``pause`` before it continues, because too many failures are unread."""
        ...

    async def pause(self, gate: Gate) -> None:
        """Wait, at a gate of the stage, until failures were read."""
        ...

    def refuses(self, error: Exception, item: Any) -> BaseException | None:
        """Report a failure. Returns ``None`` if the item is skipped, otherwise the error of the run."""
        ...
