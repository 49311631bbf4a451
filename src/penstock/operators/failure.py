"""Operators for what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penstock.core.documents import Documents
from penstock.core.node import assembled_at
from penstock.core.policy import RetryPolicy
from penstock.core.resuming import Retry
from penstock.errors import GraphError
from penstock.operators.attach import attach

if TYPE_CHECKING:
    from penstock.core.node import Node
    from penstock.operators.attach import Same

__all__ = ["retry"]


def retry(policy: RetryPolicy | None = None, *, attempts: int | None = None) -> Same:
    """Start upstream again from its position when it fails; what was delivered is not delivered again.

    Which errors are worth it and how long to wait says the policy; its attempts start again after each
    delivered item. Behind an adapter, retrying also happens within the event stage: a document whose
    parsing or processing fails with a retryable error is tried again, and each failed attempt is one
    ``DocumentFailed``.

    Args:
        policy: By default three attempts for lost connections and timeouts.
        attempts: How many attempts in all, as a short form.

    Raises:
        NotResumable: upstream has no position; the message names the operator.
    """
    policy = RetryPolicy() if policy is None else policy
    if not isinstance(policy, RetryPolicy):
        msg = (
            f"retry takes a RetryPolicy, not {type(policy).__name__}, at {assembled_at()}. "
            "Wrong: flow | op.retry. Right: flow | op.retry()."
        )
        raise GraphError(msg)
    if attempts is not None:
        policy = replace(policy, attempts=attempts)

    def make(node: Node) -> Node:
        if isinstance(node, Documents):
            return node.with_settings(retry=policy)
        return Retry(inputs=(node,), policy=policy)

    return attach(make)
