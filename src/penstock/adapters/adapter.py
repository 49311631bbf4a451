"""``Adapter``: a source of documents as a cold observable of pipeline events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.documents import Documents, Settings
from penstock.core.node import Node
from penstock.core.pumps import FromPages
from penstock.events import PipelineEvent
from penstock.flow import Flow

if TYPE_CHECKING:
    from penstock.abc import Source

__all__ = ["Adapter"]


class Adapter(Flow[PipelineEvent]):
    """A flow of events that is built from one ``Source``.

    ``adapter | op.where(...)`` is an ordinary flow and no longer an adapter; ``IngestionPipeline`` builds
    a richer chain from the same source.
    """

    __slots__ = ("source",)

    def __init__(self, source: Source, *, page_size: float = float("inf")) -> None:
        self.source = source
        super().__init__(self.events(Settings(), page_size=page_size))

    def events(self, settings: Settings, *, page_size: float = float("inf")) -> Node:
        """Return the event stage of this adapter with the given settings."""
        pages = FromPages(pages=self.source.fetch, seekable=True, page_size=page_size, name="fetch")
        return Documents(inputs=(pages,), source=self.source, settings=settings, name="documents")
