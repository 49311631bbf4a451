"""Operators that remember how far a run came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.core.node import positive
from penstock.core.resuming import Checkpoint
from penstock.operators.attach import attach

if TYPE_CHECKING:
    from penstock.abc import Ledger
    from penstock.operators.attach import Same

__all__ = ["checkpoint"]


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
