"""``Adapter``: a source of documents as a cold flow of pipeline events."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.adapters.parsing.node import Parsing, crew_for
from penstock.documents.node import Documents
from penstock.documents.settings import Settings
from penstock.documents.state import NODE_NAME
from penstock.errors import GraphError
from penstock.events import PipelineEvent
from penstock.flow import Flow
from penstock.runtime.arguments import positive
from penstock.sources.from_pages import FromPages

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.abc import Source
    from penstock.document import Document
    from penstock.runtime.node import Node


class Adapter(Flow[PipelineEvent]):
    """A flow of events built from one ``Source``.

    ``adapter | op.where(...)`` is an ordinary flow, not an adapter. ``IngestionPipeline`` builds a longer
    chain from the same source.

    Args:
        source: Where documents come from.
        page_size: The most records in one of its pages; without it ``max_in_flight`` is infinite.
        processes: How many processes parse. 1 parses in this process. ``None`` starts as many as there are
            processors, once the input turns out to be large enough. The events are the same for every number.
            With more than 1, the source is pickled, and ``identify``, ``parse`` and ``validate`` run in new
            interpreters: they must depend on nothing but their arguments.

    Raises:
        GraphError: ``processes`` is not 1, and the source cannot be pickled.
    """

    __slots__ = ("page_size", "processes", "source")

    def __init__(self, source: Source, *, page_size: float = float("inf"), processes: int | None = 1) -> None:
        self.source = source
        self.page_size = page_size
        self.processes = processes
        if processes is not None:
            positive("Adapter", "processes", processes)
        if processes != 1:
            _require_sendable(source)
        super().__init__(self.events(Settings()))

    def events(
        self,
        settings: Settings,
        *,
        fetch: Callable[..., Any] | None = None,
        encode: Callable[[Document], bytes] | None = None,
        apart: bool = False,
        **changes: Any,
    ) -> Node:
        """Return the event stage of this adapter with other settings; it reads through ``fetch`` if given.

        Where other processes parse, they also ``encode`` documents for a sink, if given. If ``apart``, this
        process parses nothing, whatever ``processes`` is: a record may kill the process that parses it.
        """
        if apart:
            _require_sendable(
                self.source, "a record has killed the process that parsed it, so other processes must parse; "
            )
        settings, source = replace(settings, **changes), self.source
        records: Node = FromPages(
            pages=fetch or source.fetch, seekable=True, page_size=self.page_size, name="fetch"
        )
        crew = crew_for(self.processes, apart=apart)
        if crew is not None:
            records = Parsing(
                inputs=(records,), source=source, crew=crew, encode=encode, compare=settings.compare
            )
        return Documents(inputs=(records,), source=source, settings=settings, name=NODE_NAME)


def _require_sendable(source: Source, reason: str = "") -> None:
    try:
        pickle.dumps(source)
    except Exception as error:  # pickling a user's object may raise anything
        easy = "" if reason else "pass processes=1, or "
        msg = (
            f"{reason}the source {source.name!r} cannot be sent to other processes ({error}): {easy}"
            "define its class at the top of a module and keep clients and open files out of its pickled state"
        )
        raise GraphError(msg) from error
