"""The settings of the event stage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from penstock.abc import Standing
from penstock.document import Document
from penstock.errors import NotAwaited
from penstock.runtime.arguments import is_async, name_of

if TYPE_CHECKING:
    from penstock.documents.revised_ids import RevisedIds
    from penstock.runtime.policy import RetryPolicy

Step = Callable[[Document], Any]
"""A processing step: returns the document or a replacement, raises if it fails; may be async."""

Compare = Callable[[Sequence[tuple[str, str]]], Awaitable[list[Standing]]]
"""Compares each (doc_id, content hash) with what earlier runs completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the event stage does with each document, and which events it adds."""

    where: tuple[Callable[[Document], object], ...] = ()
    process: tuple[Step, ...] = ()
    concurrency: int = 1
    retry: RetryPolicy | None = None
    progress_every: int | None = None
    checkpoint_every: int | None = None
    fail_fast: bool = False
    limit: int | None = None
    keep_raw: bool = False  # whether documents keep the raw bytes of their records
    writable: bool = False  # whether a document whose metadata are not JSON fails
    compare: Compare | None = None
    revised: RevisedIds | None = None  # taken by the interrupted run with another content than before
    run: int | None = None  # the number of the logical run
    pipeline_id: str | None = None

    @property
    def concurrent(self) -> bool:
        """Whether several documents are in work at a time, or a step is async."""
        return self.concurrency > 1 or any(is_async(step) for step in self.process)


def window_of(settings: Settings) -> int:
    """Return how many records a concurrent stage may have taken and not settled."""
    return 2 * settings.concurrency


def checked(step: Step, outcome: Any) -> Document:
    """Return the outcome of a processing step if it is a document; otherwise raise ``TypeError``."""
    if isinstance(outcome, Document):
        return outcome
    name = name_of(step)
    if iscoroutine(outcome):
        outcome.close()
        msg = f"the processing step {name} returned a coroutine: write it as an async def, which is awaited"
        raise NotAwaited(msg)
    msg = f"the processing step {name} returned {type(outcome).__name__}; it must return a Document"
    raise TypeError(msg)
