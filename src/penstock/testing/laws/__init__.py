"""The thirteen laws of every flow, as checks that anyone can call on a flow of their own.

>>> from penstock.testing import laws
>>> laws.check(lambda source: source | op.map(str), range(6))

``check`` builds a ``Subject`` and runs all laws on it. Each law can be called alone with a subject and
the parameters that make it hard: schedules of requests, turns of the loop at which to cancel or close,
numbers of requests after which to cut; a property-based test draws these. A broken law raises
``LawViolation``, which names the law, says what was wanted and what came, and holds the parameters
that show it again.

``RULES`` are the rules of the Reactive Streams specification, each with the laws that stand for it; a
violation names them.

A law that cannot apply is checked for the opposite promise: a flow that is not resumable must say so,
and refuse to give a position and to stand in front of a checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.testing.laws.asking import demand, ending, promptness
from penstock.testing.laws.cancelling import cancel_safe, serial
from penstock.testing.laws.closing import closing
from penstock.testing.laws.foreign import flow_of
from penstock.testing.laws.items import chunk_invariance, prefix
from penstock.testing.laws.manners import errors_speak, fair
from penstock.testing.laws.racing import racing
from penstock.testing.laws.resuming import cold, position
from penstock.testing.laws.rules import RULES, Rule
from penstock.testing.laws.settling import settled_by_demand
from penstock.testing.laws.subject import AnyFlow, LawViolation, Subject, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.abc import Ledger

__all__ = [
    "LAWS",
    "RULES",
    "AnyFlow",
    "LawViolation",
    "Rule",
    "Subject",
    "Trial",
    "cancel_safe",
    "check",
    "chunk_invariance",
    "closing",
    "cold",
    "demand",
    "ending",
    "errors_speak",
    "fair",
    "flow_of",
    "position",
    "prefix",
    "promptness",
    "racing",
    "serial",
    "settled_by_demand",
]

LAWS: dict[str, Callable[..., None]] = {
    "demand": demand,
    "promptness": promptness,
    "ending": ending,
    "prefix": prefix,
    "chunk_invariance": chunk_invariance,
    "serial": serial,
    "cancel_safe": cancel_safe,
    "closing": closing,
    "cold": cold,
    "position": position,
    "fair": fair,
    "settled_by_demand": settled_by_demand,
    "errors_speak": errors_speak,
}
"""The laws by name, in the order in which the design numbers them from 1."""


def check(
    factory: Callable[..., AnyFlow],
    *inputs: Iterable[Any],
    model: Callable[..., Iterable[Any]] | None = None,
    skip: Iterable[str] = (),
    attach: Callable[[Any, Ledger], AnyFlow] | None = None,
    seeds: int = 0,
    **known: Any,
) -> None:
    """Check that what ``factory`` builds keeps every law.

    Args:
        factory: Called with one ``TestSource`` per input, returns a fresh flow.
        inputs: The items of each input. Plain distinct integers serve best: they can be poisoned.
        model: What comes out, in plain Python (see ``Subject``).
        skip: Names of laws not to be checked.
        attach: Puts a checkpoint behind a flow; Penstock's own unless given (which a flow that is not one of
            Penstock's cannot have in front of it, so that law 12 is checked without a checkpoint then).
        seeds: Under how many seeded schedules to run it as well (see ``racing``).
        known: Further fields of ``Subject``.

    Raises:
        LawViolation: a law is broken; the first one that is.
        RaceFound: a law is broken under a seeded schedule.
    """
    subject = Subject(factory, tuple(tuple(script) for script in inputs), model, **known)
    unknown = set(skip) - set(LAWS)
    if unknown:
        msg = f"there are no laws named {sorted(unknown)}; they are {', '.join(LAWS)}"
        raise ValueError(msg)
    for name, law in LAWS.items():
        if name in skip:
            continue
        if law is settled_by_demand:
            law(subject, attach=attach)
        else:
            law(subject)
    if seeds:
        racing(subject, seeds=seeds, skip=tuple(skip))
