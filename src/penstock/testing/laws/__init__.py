"""The thirteen laws of every flow, as checks that you can call on flows of your own.

>>> from penstock.testing import laws
>>> laws.check(lambda source: source | op.map(str), range(6))

``check`` builds a ``Subject`` and runs all laws on it. You can also call each law alone, with a subject and
parameters that make it hard: schedules of requests, turns of the loop at which to cancel or close,
numbers of requests after which to cut. A property-based test draws these. A broken law raises
``LawViolation``: it names the law, says what was seen and what was wanted, and holds the parameters that
show it again.

A law that cannot apply is checked for the opposite promise: a flow that is not resumable must say so,
refuse to return a position, and refuse a checkpoint after it.

A mistake in the call (a factory, a model or inputs with which no law can be checked) raises
``SubjectError``, which says what to do. It is no verdict on the flow.

``RULES`` are the rules of the Reactive Streams specification, each with the laws that test it.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from penstock.testing.laws.advice import explain
from penstock.testing.laws.asking import demand, ending, promptness
from penstock.testing.laws.cancelling import cancel_safe, serial
from penstock.testing.laws.closing import closing
from penstock.testing.laws.foreign import flow_of
from penstock.testing.laws.items import chunk_invariance, prefix
from penstock.testing.laws.manners import errors_speak
from penstock.testing.laws.mistakes import SubjectError, attached, items_from, refuse_style, refuse_unknown
from penstock.testing.laws.racing import racing
from penstock.testing.laws.resuming import cold, position
from penstock.testing.laws.rules import RULES, Rule
from penstock.testing.laws.settling import settled_by_demand
from penstock.testing.laws.sound import require_sound
from penstock.testing.laws.subject import AnyFlow, LawViolation, Subject, Trial
from penstock.testing.laws.working import fair

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
    "SubjectError",
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
    "require_sound",
    "serial",
    "settled_by_demand",
]

LAWS: dict[str, Callable[..., None]] = {
    law.__name__: law
    for law in (
        demand, promptness, ending, prefix, chunk_invariance, serial, cancel_safe, closing, cold, position,
        fair, settled_by_demand, errors_speak,
    )
}  # fmt: skip
"""The laws by name, in the order of their numbers."""


def check(
    factory: Callable[..., AnyFlow],
    *inputs: Iterable[Any],
    model: Callable[..., Iterable[Any]] | None = None,
    skip: Iterable[str] = (),
    attach: Callable[[Any, Ledger], AnyFlow] | None = None,
    seeds: int = 0,
    **known: Any,
) -> None:
    """Check that the flow that ``factory`` builds keeps every law.

    It can be called anywhere, also where an event loop is running, as in a notebook.

    Args:
        factory: Called with one ``TestSource`` per input, returns a fresh flow. An operator will do.
        inputs: The items of each input. Distinct plain integers are best: they can be poisoned.
        model: The same computation in plain Python, as a generator (see ``Subject``).
        skip: Names of laws to leave out.
        attach: Puts a checkpoint after a flow. ``None`` means Penstock's own; a flow that is not
            Penstock's is then checked for law 12 without a checkpoint.
        seeds: How many seeded schedules to run it under as well (see ``racing``).
        known: Further fields of ``Subject``.

    Raises:
        LawViolation: a law is broken; the first one that is.
        RaceFound: a law is broken under a seeded schedule.
        SubjectError: the call says too little, or something wrong, so that no law can be checked.
    """
    refuse_unknown("skip", skip, LAWS)
    refuse_unknown("check", known, _FACTS)
    subject = Subject(factory, tuple(items_from(*each) for each in enumerate(inputs)), model, **known)
    refuse_style(subject.style, subject.page)
    require_sound(subject)
    checkpoint = attach and partial(attached, attach)
    for name, law in LAWS.items():
        if name in skip:
            continue
        call = partial(law, **({"attach": checkpoint} if law is settled_by_demand else {}))
        try:
            call(subject)
        except LawViolation as violation:
            mistake = explain(violation, subject, call)
            if mistake is None:
                raise
            raise SubjectError(mistake) from violation
    if seeds:
        racing(subject, seeds=seeds, skip=tuple(skip))


_FACTS = [field.name for field in fields(Subject) if field.name not in {"factory", "inputs", "model"}]
