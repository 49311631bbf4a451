"""Looks for mistakes in a subject before the laws run: the laws would blame the flow for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.runtime.order import traits
from penstock.testing.laws.mistakes import SubjectError, call_model, name_of
from penstock.testing.laws.runs import Outcome, collect, multiset_difference, open_run, outcome_of
from penstock.testing.script import Forever, Instruction, Planted, played
from penstock.testing.time import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.testing.laws.subject import Subject, Trial
    from penstock.testing.sources import TestSource

_REQUESTS, _REQUESTS_PER_ITEM = 1_000, 20
"""So many requests, and so many more for each input, make a flow without an end."""

_NOTHING = object()


def require_sound(subject: Subject) -> None:
    """Run the subject two or three times, and raise ``SubjectError`` if it is described wrongly.

    Finds a factory that ignores a source, returns the same flow again, or shares a state between its flows;
    items that cannot be compared; items on which the flow fails; a flow without an end; a model that fails,
    or that is not lazy. ``check`` calls this first. Call it yourself before you call single laws.
    """
    try:
        mistake = run(_mistake_in(subject))
    except SubjectError:
        raise
    except Exception:  # noqa: BLE001  the laws say what is wrong with the flow
        return
    if mistake is not None:
        raise SubjectError(mistake)


async def _mistake_in(subject: Subject) -> str | None:
    first, one = await _read(subject)
    if not one.ended:
        return f"the flow did not end within {len(one.items)} items: give it an end, as in flow.take(5)"
    second, two = await _read(subject)
    return (
        _misused_sources(first, second)
        or (None if _scripted(subject) else _unfit_items(subject, one))
        or _incomparable(subject, one, two)
        or _differing(first, one.items, two.items)
        or (await _eager(subject, one) if subject.model is not None and not _scripted(subject) else None)
    )


async def _read(subject: Subject) -> tuple[Trial, Outcome]:
    trial = subject.start()
    most = _REQUESTS + _REQUESTS_PER_ITEM * sum(map(len, subject.inputs))
    async with open_run(trial.flow) as subscription:
        outcome = await collect(subscription, (1,), requests=most, patience=subject.patience)
    return trial, outcome


def _scripted(subject: Subject) -> bool:
    """Whether the inputs hold instructions, so that a run may fail or stall on purpose."""
    return any(isinstance(element, Instruction) for script in subject.inputs for element in script)


def _misused_sources(first: Trial, second: Trial) -> str | None:
    """Find a factory that does not build on the sources that it is given."""
    factory = name_of(first.subject.factory)
    if first.sources and first.flow is second.flow:
        return (
            f"the factory {factory} returned the same flow twice; it must build a new flow on the sources of "
            "each call. Build the flow inside of the function"
        )
    for trial in (first, second):
        for index, source in enumerate(trial.sources):
            if _unused(trial, source):
                return (
                    f"the flow of the factory {factory} does not read source {index} that the factory was "
                    "given, so no law can be checked. Build the flow on it: lambda source: source | ..."
                )
    return None


def _unused(trial: Trial, source: TestSource) -> bool:
    if source.counts.opened:
        return False
    root = getattr(trial.flow, "node", None)
    if root is None:  # not a flow of Penstock: all that is known is what it opened
        return not trial.opened
    return all(node is not source.node for node in _nodes(root))


def _nodes(root: Any) -> Iterator[Any]:
    seen, waiting = {id(root)}, [root]
    while waiting:
        node = waiting.pop()
        yield node
        for above in node.inputs:
            if id(above) not in seen:
                seen.add(id(above))
                waiting.append(above)


def _unfit_items(subject: Subject, outcome: Outcome) -> str | None:
    """Find inputs on which the flow or the model fails."""
    failed = _failure_of_the_model(subject)
    if failed is not None and outcome.error is None:
        return (
            f"the model {name_of(subject.model)} raised {failed!r} on the items given, but the flow did not "
            "fail. The model must compute the same as the flow"
        )
    if outcome.error is not None and subject.model is None and not isinstance(outcome.error, Planted):
        return (
            f"the flow failed on the items given, with {outcome.error!r}, so the laws would check only how "
            "it fails. Give it items that it can work on; if it should fail on these, pass a model that "
            "raises there"
        )
    return None


def _failure_of_the_model(subject: Subject) -> Exception | None:
    if subject.model is None:
        return None
    try:
        for _ in call_model(subject.model, [played(script) for script in subject.inputs]):
            pass
    except SubjectError:
        raise
    except Exception as error:  # noqa: BLE001  reported by the caller
        return error
    return None


def _incomparable(subject: Subject, one: Outcome, two: Outcome) -> str | None:
    """Find items of which nobody can say whether they are equal."""
    advice = "Pass same=function, which returns the part of an item that can be compared"
    for items in (one.items, two.items):
        for item in items:
            try:
                part = subject.same(item)
            except Exception as error:  # noqa: BLE001  reported here
                return f"same={name_of(subject.same)} raised {error!r} on the item {item!r}"
            try:
                equal = bool(part == part)  # noqa: PLR0124  false for NaN, no truth value for arrays
            except Exception as error:  # noqa: BLE001
                return f"the item {item!r} cannot be compared with another one: {error!r}. {advice}"
            if not equal:
                return f"the item {item!r} is not equal to itself. {advice}"
    for a, b in zip(map(subject.same, one.items), map(subject.same, two.items), strict=False):
        kind = type(a)
        if a != b and kind is type(b) and not any("__eq__" in vars(base) for base in kind.__mro__[:-1]):
            return f"items of type {kind.__name__} have no __eq__: two runs never give equal ones. {advice}"
    return None


def _differing(trial: Trial, one: Sequence[Any], two: Sequence[Any]) -> str | None:
    """Find flows that depend on something outside of them."""
    order, same = trial.flow.order, trial.subject.same
    a, b = [same(item) for item in one], [same(item) for item in two]
    different = any(multiset_difference(a, b)) if order == "interleaved" else order == "exact" and a != b
    if not different:
        return None
    return (
        f"two flows of the factory {name_of(trial.subject.factory)} gave different items on the same inputs: "
        f"{a!r} and {b!r}. They change the items, share a state outside of the factory, or depend on chance. "
        "Create that state in the flow, or leave it out of the comparison with same="
    )


async def _eager(subject: Subject, outcome: Outcome) -> str | None:
    """Find a model that reads its inputs to their end before its first item, where the flow does not."""
    items = _items_of_an_eager_model(subject)
    order = subject.start().flow.order
    if traits(order) & {"timed", "lossy"}:  # it may yield its items early because time passes
        return None
    if items is None or any(multiset_difference(items, map(subject.same, outcome.items))):
        return None
    stalled = subject.fed(*([*script, Forever()] for script in subject.inputs))
    if not (await outcome_of(stalled)).items:
        return None
    return (
        f"the model {name_of(subject.model)} reads its whole input before it yields its first item, but the "
        "flow yields items before its source ends. The laws end the source early and compare what came "
        "until then, so the model must be lazy: write it as a generator (for item in items: yield ...) that "
        "needs no later item"
    )


def _items_of_an_eager_model(subject: Subject) -> list[Any] | None:
    """Return the items of the model if it reads everything before it yields anything, else ``None``."""
    if subject.model is None or not subject.inputs:
        return None
    waiting = sum(len(script) for script in subject.inputs)
    ended = False

    def watched(index: int) -> Iterator[Any]:
        nonlocal ended, waiting
        for item in subject.inputs[index]:
            waiting -= 1
            yield item
        ended = True

    try:
        items = iter(call_model(subject.model, [watched(index) for index in range(len(subject.inputs))]))
        first = next(items, _NOTHING)
        eager = first is not _NOTHING and ended and not waiting
        return [subject.same(item) for item in (first, *items)] if eager else None
    except SubjectError:
        raise
    except Exception:  # noqa: BLE001  the flow fails on these items too
        return None
