"""What the families of the catalogue share: ``Entry``, and the usual input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import penstock.operators as op
from penstock.testing import laws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.abc import Ledger

INPUT = tuple(range(7))


@dataclass(frozen=True)
class Entry:
    """One flow to be checked.

    Args:
        name: The flow in words, for the ids of the tests.
        operators: The public operators and sources that this entry holds to the laws.
        factory: Takes one source for each input, returns the flow.
        inputs: The items of each source.
        model: The flow in plain Python, if there is such a model.
        noted: The operator that the note on an error of a user's function must name.
        known: Further arguments of ``laws.Subject``.
        skip: Laws that do not apply, each with its reason in a comment.
        bound: What ``max_in_flight(n)`` must be for ``n`` from 1 to 8.
    """

    name: str
    operators: tuple[str, ...]
    factory: Callable[..., Any]
    inputs: tuple[tuple[Any, ...], ...] = (INPUT,)
    model: Callable[..., Iterable[Any]] | None = None
    noted: str | None = None
    known: dict[str, Any] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    bound: Callable[[int], float] | None = None

    @property
    def subject(self) -> laws.Subject:
        """The subject for the laws."""
        return laws.Subject(self.factory, self.inputs, self.model, **self.known)


def checkpointed(flow: Any, ledger: Ledger) -> Any:
    """Put a checkpoint behind a flow."""
    return flow | op.checkpoint(ledger, key="laws")
