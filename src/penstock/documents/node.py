"""The node of the event stage: records of an adapter's source become events."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from penstock.documents.concurrent import ConcurrentDocumentStage
from penstock.documents.sequential import SequentialDocumentStage
from penstock.documents.settings import Settings, window_of
from penstock.runtime.node import Node, node
from penstock.runtime.order import Order

if TYPE_CHECKING:
    from penstock.abc import Source
    from penstock.documents.stage import DocumentStage
    from penstock.runtime.node import Site
    from penstock.runtime.policy import RetryPolicy


@node
class Documents(Node):
    """Records of an adapter's source become events."""

    operator = "documents"
    stateful = True

    source: Source
    settings: Settings = field(default_factory=Settings)

    def with_settings(self, **changes: Any) -> Documents:
        """Return this node with other settings."""
        return replace(self, settings=replace(self.settings, **changes))

    def retrying(self, policy: RetryPolicy) -> Documents:
        """Return this node, which retries documents itself by ``policy``."""
        return self.with_settings(retry=policy)

    @property
    def order(self) -> Order:
        """Exact, or interleaved if several documents are in work at a time."""
        return Order.INTERLEAVED if self.settings.concurrent else Order.EXACT

    def bound(self, n: int) -> float:
        """Return M_up(n), or M_up(window) + n for concurrent documents."""
        if self.settings.concurrent:
            return self.inputs[0].bound(window_of(self.settings)) + n
        return self.inputs[0].bound(n)

    def start(self, site: Site) -> DocumentStage:
        """Start the sequential or the concurrent stage."""
        stage = ConcurrentDocumentStage if self.settings.concurrent else SequentialDocumentStage
        return stage(site, self.source, self.settings)
