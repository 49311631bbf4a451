"""What stands behind a violation: a mistake in the subject, or a fact about the flow that was not told."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.errors import PositionError
from penstock.testing.laws.mistakes import SubjectError, call_model, name_of
from penstock.testing.laws.runs import Outcome, collect, open_run, outcome_of
from penstock.testing.laws.subject import LawViolation, Subject
from penstock.testing.script import Planted, played
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OF_ITEMS = {"prefix", "chunk_invariance", "serial", "cancel_safe", "cold", "position"}
_OF_POSITIONS = {"position", "settled_by_demand"}

_FACTS: dict[str, tuple[bool, str, set[str]]] = {
    "folds": (True, "an input without an output of its own goes into a later output", {"demand"}),
    "closes_early": (True, "the flow may close an input before its end", {"cancel_safe"}),
    "prefetches": (True, "the flow fetches ahead of demand, up to its bound", {"cancel_safe"}),
    "keeps_order": (False, "the flow does not keep the order of each input", _OF_ITEMS),
}
"""Facts about a flow that allow more: the value, when it is true, and the laws that it matters to."""


def explain(violation: LawViolation, subject: Subject, law: Callable[[Subject], None]) -> str | None:
    """Return the mistake of the caller that the violation comes from, or ``None``.

    If there is none, and the law holds with another fact about the flow, the violation gets it as ``advice``.
    """
    mistake = None
    with suppress(Exception):  # the violation says what is wrong
        if violation.law in _OF_ITEMS and subject.model is not None:
            mistake = run(_other_computation(subject))
        if mistake is None and violation.law in _OF_POSITIONS:
            mistake = run(_items_that_json_changes(subject))
    if mistake is None:
        violation.advice = _missing_fact(violation.law, subject, law)
    return mistake


async def _other_computation(subject: Subject) -> str | None:
    """Find a model that computes with other items than the flow, so that they fail in different places."""
    whole = (await outcome_of(subject)).items
    for index, at in subject.places():
        poisoned = subject.poisoned(index, at)
        if poisoned is None:
            continue
        outcome, raised = await outcome_of(poisoned), _raises(poisoned)
        begin = (
            f"the laws plant an item that raises in arithmetic, here item {at} of input {index}; flow and "
            "model must fail on the same item. "
        )
        if isinstance(outcome.error, Planted) and not raised:
            return (
                f"{begin}The flow fails on it{_place(outcome.error)}, but the model {name_of(subject.model)} "
                "does not compute with it. If the flow should, let the model compute with each item too: 0 "
                "+ item"
            )
        if raised and outcome.completed and outcome.items == whole:
            return (
                f"{begin}The model {name_of(subject.model)} fails on it, but the flow passes it on without "
                "computing with it. Let the model pass it on too"
            )
    return None


def _raises(poisoned: Subject) -> bool:
    if poisoned.model is None:
        return False
    try:
        for _ in call_model(poisoned.model, [played(script) for script in poisoned.inputs]):
            pass
    except Exception:  # noqa: BLE001  the planted one
        return True
    return False


def _place(error: BaseException) -> str:
    """Return the line that computed with the poisoned item."""
    entries = traceback.extract_tb(error.__traceback__)
    return f" at {entries[-2].filename}:{entries[-2].lineno}" if len(entries) > 1 else ""


async def _items_that_json_changes(subject: Subject) -> str | None:
    """Find items that the flow keeps in its position, and that JSON cannot hold or gives back changed."""
    changed = [(item, back) for item in _items(subject) for back in [_through_json(item)] if back != item]
    if not changed or not subject.start().flow.resumable:
        return None
    advice = (
        "A position is JSON, and this flow keeps items in it. Pass inputs that JSON gives back unchanged "
        "(numbers, strings, lists, dicts with string keys)"
    )
    async with open_run(subject.start().flow) as subscription:
        outcome = Outcome()
        while not outcome.ended:
            await collect(subscription, (1,), into=outcome, requests=1, patience=subject.patience)
            try:
                position = subscription.position
            except PositionError as error:
                item = changed[0][0]
                return f"the inputs have the item {item!r}, and the flow has no position: {error} {advice}"
            for item, back in changed:
                if back is not None and back in _parts(position):
                    return f"the item {item!r} of the inputs comes back from JSON as {back!r}. {advice}"
    return None


def _items(subject: Subject) -> Iterator[Any]:
    for script in subject.inputs:
        yield from script


def _through_json(item: Any) -> Any:
    try:
        return json.loads(json.dumps(item))
    except (TypeError, ValueError):
        return None


def _parts(value: Any) -> list[Any]:
    """Return a JSON value and all values in it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(part for each in inner for part in _parts(each))]


def _missing_fact(name_of_law: str, subject: Subject, law: Callable[[Subject], None]) -> str:
    """Return with which fact about the flow the law would hold, as a sentence, or nothing."""
    for name, (value, meaning, matters_to) in _FACTS.items():
        if getattr(subject, name) == value or name_of_law not in matters_to:
            continue
        try:
            law(subject.fed(*subject.inputs, **{name: value}))
        except (LawViolation, SubjectError):
            continue
        return f"if {meaning}, pass {name}={value}: the law holds then"
    return ""
