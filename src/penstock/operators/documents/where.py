"""``where``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.operators.attach import attach
from penstock.operators.documents.event_stage import event_stage
from penstock.runtime.arguments import function_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.document import Document
    from penstock.operators.attach import Same
    from penstock.runtime.node import Node


def where(function: Callable[[Document], object]) -> Same:
    """Skip the documents for which ``function(document)`` is falsy.

    They emit no events and count as skipped. ``function`` sees documents as they were parsed, before any
    processing step. ``where`` must stand directly after an adapter or another operator of the event stage.
    """
    function_for("where", function)

    def make(node: Node) -> Node:
        stage = event_stage("where", node)
        return stage.with_settings(where=(*stage.settings.where, function))

    return attach(make)
