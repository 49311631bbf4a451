"""``Adapter``: a source of documents as a cold flow of pipeline events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.documents.node import Documents
from penstock.documents.settings import Settings
from penstock.documents.state import NODE_NAME
from penstock.events import PipelineEvent
from penstock.flow import Flow
from penstock.sources.from_pages import FromPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Source
    from penstock.runtime.node import Node


class Adapter(Flow[PipelineEvent]):
    """A flow of events built from one ``Source``.

    ``adapter | op.where(...)`` is an ordinary flow, not an adapter. ``IngestionPipeline`` builds a longer
    chain from the same source.
    """

    __slots__ = ("source",)

    def __init__(self, source: Source, *, page_size: float = float("inf")) -> None:
        self.source = source
        super().__init__(_events(source, source.fetch, Settings(), page_size))

    def events(self, settings: Settings, *, fetch: Callable[..., Any] | None = None, **changes: Any) -> Node:
        """Return the event stage of this adapter with other settings; it reads through ``fetch`` if given."""
        settings = replace(settings, **changes)
        return _events(self.source, fetch or self.source.fetch, settings, self.node.inputs[0].bound(1))


def _events(source: Source, fetch: Callable[..., Any], settings: Settings, page_size: float) -> Node:
    pages = FromPages(pages=fetch, seekable=True, page_size=page_size, name="fetch")
    return Documents(inputs=(pages,), source=source, settings=settings, name=NODE_NAME)
