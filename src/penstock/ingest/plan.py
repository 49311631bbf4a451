"""What all runs of a pipeline have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from penstock.events import PipelineEvent

if TYPE_CHECKING:
    from penstock.abc import Source
    from penstock.document import Document
    from penstock.documents.settings import Settings
    from penstock.runtime.node import Node

Hook = Callable[[Sequence[PipelineEvent]], None]
"""Called with every list of events, in order, before it is acknowledged. An exception ends the run.

If a hook has an async method ``settle()``, it is awaited when the run has closed. It must not raise.
"""


class SourceOfEvents(Protocol):
    """What an ingestion needs of an adapter."""

    @property
    def source(self) -> Source:
        """Where documents come from."""
        ...

    def events(
        self,
        settings: Settings,
        *,
        fetch: Callable[..., Any] | None = None,
        encode: Callable[[Document], bytes] | None = None,
        **changes: Any,
    ) -> Node:
        """Return the event stage with these settings, reading through ``fetch`` if given.

        Where other processes parse, they ``encode`` documents for the sink.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """The arguments of an ``IngestionPipeline``; each is described there."""

    adapter: SourceOfEvents
    settings: Settings
    key: str
    checkpoint_every: int
    skip_completed: bool
    grace: float | None
    restart: bool
    refresh: bool
    hooks: tuple[Hook, ...]
    began: str = ""
    """Where the pipeline was made: ``file:line``."""
