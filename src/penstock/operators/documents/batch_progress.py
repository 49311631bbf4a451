"""``batch_progress``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.operators.attach import attach
from penstock.operators.documents.event_stage import event_stage
from penstock.runtime.arguments import positive

if TYPE_CHECKING:
    from penstock.operators.attach import Same


def batch_progress(every: int = 1000, *, checkpoint_every: int | None = None) -> Same:
    """Emit a ``BatchProgress`` after every ``every`` settled documents.

    Args:
        every: Documents from one progress event to the next.
        checkpoint_every: Documents from one intended commit to the next (``is_checkpoint``).
    """
    positive("batch_progress", "every", every)
    changes: dict[str, Any] = {"progress_every": every}
    if checkpoint_every is not None:
        positive("batch_progress", "checkpoint_every", checkpoint_every)
        changes["checkpoint_every"] = checkpoint_every
    return attach(lambda node: event_stage("batch_progress", node).with_settings(**changes))
