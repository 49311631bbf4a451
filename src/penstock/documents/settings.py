"""What an adapter's events are asked to be: the settings of the event stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from penstock.abc import Standing
from penstock.document import Document

if TYPE_CHECKING:
    from penstock.documents.revised_ids import Revised
    from penstock.runtime.policy import RetryPolicy

__all__ = ["Compare", "Settings", "Step", "checked", "window_of"]

Step = Callable[[Document], Any]
"""A processing step: returns the document, or one in its place; may be async; raises if it cannot."""

Compare = Callable[[Sequence[tuple[str, str]]], Awaitable[list[Standing]]]
"""Says of each (doc_id, content hash) how it stands to what earlier runs completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is done with each document, and what is said about it."""

    where: tuple[Callable[[Document], object], ...] = ()
    process: tuple[Step, ...] = ()
    concurrency: int = 1
    retry: RetryPolicy | None = None
    progress_every: int | None = None
    checkpoint_every: int | None = None
    fail_fast: bool = False
    limit: int | None = None
    compare: Compare | None = None
    revised: Revised | None = None  # what an interrupted run has taken of what earlier ones knew otherwise
    run: int | None = None  # the number of the logical run
    pipeline_id: str | None = None

    @property
    def concurrent(self) -> bool:
        """Whether documents overlap or wait."""
        return self.concurrency > 1 or any(iscoroutinefunction(step) for step in self.process)


def window_of(settings: Settings) -> int:
    """Return how many records a concurrent stage may have taken and not settled."""
    return 2 * settings.concurrency


def checked(step: Step, outcome: Any) -> Document:
    """Return what a processing step returned, if it is a document."""
    if isinstance(outcome, Document):
        return outcome
    name = getattr(step, "__name__", repr(step))
    msg = f"the processing step {name} returned {type(outcome).__name__}; it must return a Document"
    raise TypeError(msg)
