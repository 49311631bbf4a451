"""Operators that remember how far a run came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.burying import Bury
from penstock.core.node import assembled_at, positive
from penstock.core.resuming import Checkpoint
from penstock.errors import GraphError
from penstock.operators.attach import attach

if TYPE_CHECKING:
    from penstock.abc import Ledger
    from penstock.operators.attach import Same

__all__ = ["checkpoint", "dead_letters"]


def checkpoint(ledger: Ledger, *, key: str, every: int = 1) -> Same:
    """Start from the position that ``ledger`` holds for ``key``, and commit further ones.

    A list of items is acknowledged when the next one is asked for, or by ``settle()``; positions are
    committed when at least ``every`` items were acknowledged, and at the end. So after a crash, a
    ``break`` or ``aclose`` the last list comes again: at least once.

    Only ``map``, ``filter``, ``starmap``, ``flat_map``, ``choose``, ``tap`` and their like (``cast``,
    ``unwrap``, ``unbatch``) may follow. For a sink use ``into(sink, ledger=...)``, which is a checkpoint
    itself.

    Raises:
        NotResumable: upstream has no position; the message names the operator.
    """
    positive("checkpoint", "every", every)
    return attach(lambda node: Checkpoint(inputs=(node,), ledger=ledger, key=key, every=every))


def dead_letters(ledger: Ledger, *, key: str = "dead letters") -> Same:
    """Keep in ``ledger`` the documents of an event stream that failed for good, with their raw bytes.

    Events pass unchanged; one that says that a document failed and will not be tried again is passed on when
    its letter is durable. The ledger is opened for ``key`` when the first document has failed; give a key of
    its own if a checkpoint or a pipeline uses the same ledger. ``IngestionPipeline`` keeps dead letters by
    itself; this is for streams without one.

    Raises:
        GraphError: ``ledger`` is none.
        LedgerError: when a document fails: ``key`` is that of a checkpoint or a pipeline.
    """
    from penstock.abc import Ledger as AnyLedger

    if not isinstance(ledger, AnyLedger):
        msg = (
            f"dead_letters takes a Ledger, not {type(ledger).__name__}, at {assembled_at()}: "
            "dead_letters(SqliteLedger('run.db'))"
        )
        raise GraphError(msg)
    return attach(lambda node: Bury(inputs=(node,), ledger=ledger, key=key))
