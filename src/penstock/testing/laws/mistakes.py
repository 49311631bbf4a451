"""Mistakes in the call of a check, which say nothing about the flow: ``SubjectError``."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, get_args

from penstock.abc import Subscription
from penstock.runtime.stream import Stream
from penstock.testing.sources import Style, TestSource

MOST_ITEMS = 1_000
"""So many items of one input are taken for an input without an end."""

_FLOW = ("order", "resumable", "max_in_flight", "subscribe")


class SubjectError(ValueError):
    """A check was called in a way in which it can say nothing about the flow. The message says what to do."""


def refuse_unknown(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ``SubjectError`` unless all ``given`` names are known."""
    known = list(known)
    if isinstance(given, str):
        raise SubjectError(f"{what} is a list of names: write [{given!r}] instead of {given!r}")
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise SubjectError(f"{what}: unknown name {name!r}; {meant}The names are {', '.join(known)}")


def items_from(index: int, items: Any) -> tuple[Any, ...]:
    """Return the items of input number ``index``."""
    if isinstance(items, Stream | AsyncIterable) or not isinstance(items, Iterable):
        hint = " Pass the model as model=." if callable(items) else ""
        text = (
            f"input {index} is {_kind(items)}; each input is a list of items, or another plain iterable, "
            f"from which the check makes a source: laws.check(lambda source: source | ..., range(5)).{hint}"
        )
        raise SubjectError(text)
    found = tuple(islice(items, MOST_ITEMS + 1))
    if len(found) > MOST_ITEMS:
        text = (
            f"input {index} has more than {MOST_ITEMS} items, or no end; the laws run the flow once and more "
            "for each item: pass five to ten"
        )
        raise SubjectError(text)
    return found


def refuse_inputs(inputs: Sequence[Any]) -> None:
    """Raise ``SubjectError`` unless each input is a sequence, as a ``Subject`` needs for its many runs."""
    for index, items in enumerate(inputs):
        if not isinstance(items, Sequence):
            text = (
                f"input {index} is {_kind(items)}; the inputs of a Subject are a tuple of lists (or ranges), "
                "one for each source: Subject(factory, (range(5),))"
            )
            raise SubjectError(text)


def refuse_style(style: object, page: Any) -> None:
    """Raise ``SubjectError`` unless ``TestSource`` has the style, and the sizes of pages are positive."""
    refuse_unknown("style", [str(style)], get_args(Style))
    if not page or any(type(size) is not int or size < 1 for size in page):
        raise SubjectError(f"page={page!r}: the sizes of pages are whole numbers, at least 1")


def build(factory: Callable[..., Any], sources: tuple[TestSource, ...]) -> Any:
    """Return the flow that ``factory`` builds on ``sources``."""
    if not callable(factory):
        text = f"the factory is {_kind(factory)}, not a function that returns a flow. "
        if isinstance(factory, Stream):
            text += "For a flow with its own source write laws.check(lambda: flow). "
        raise SubjectError(text + _EXAMPLE)
    try:
        flow = factory(*sources)
    except Exception as error:
        misfit = _misfit(factory, len(sources))
        if misfit is not None:
            text = (
                f"the factory {name_of(factory)} {misfit}. It gets one source for each input: pass "
                "the items of each, as in laws.check(lambda a, b: a | op.merge(b), range(3), range(3))"
            )
            raise SubjectError(text) from error
        text = f"the factory {name_of(factory)} raised {error!r}, so there is no flow to check"
        raise SubjectError(text) from error
    if not _is_flow(flow):
        raise SubjectError(f"the factory {name_of(factory)} returned {_returned(flow)}")
    return flow


def attached(attach: Callable[[Any, Any], Any], flow: Any, ledger: Any) -> Any:
    """Return the flow with a checkpoint that ``attach`` returns."""
    made = attach(flow, ledger)
    if not _is_flow(made):
        text = f"attach={name_of(attach)} returned {_returned(made)}. It puts a checkpoint after a flow: "
        raise SubjectError(text + 'lambda flow, ledger: flow | op.checkpoint(ledger, key="laws")')
    return made


def _is_flow(made: object) -> bool:
    return all(hasattr(type(made), name) or hasattr(made, name) for name in _FLOW)


_EXAMPLE = "Pass a function of one source for each input: laws.check(lambda source: source | ..., range(5))"


def _returned(given: Any) -> str:
    """Say what the factory returned in place of a flow, and what to do."""
    if inspect.iscoroutine(given):
        given.close()
        return "a coroutine: make it a plain function, without async"
    if given is None:
        return "None: return the flow"
    if isinstance(given, tuple | list):
        return f"{len(given)} objects in a {type(given).__name__}: return one flow, and check each alone"
    if isinstance(given, Subscription):
        return "a subscription: return the flow, and let the check subscribe"
    if callable(given):
        return f"an operator ({name_of(given)}): apply it, as in source | operator"
    return f"{_kind(given)}, which is not a flow: return what source | operator gives"


def call_model(model: Callable[..., Any], inputs: list[Iterable[Any]]) -> Iterable[Any]:
    """Return the items of the model, not read yet.

    Raises:
        SubjectError: the model cannot be called with these inputs, or returns no iterable.
    """
    misfit = _misfit(model, len(inputs)) if callable(model) else f"is {_kind(model)}"
    if misfit is not None:
        text = f"the model {name_of(model)} {misfit}. It is a function of one iterator for each input"
        raise SubjectError(text)
    made = model(*inputs)
    if inspect.iscoroutine(made):
        made.close()
    if not isinstance(made, Iterable):
        text = (
            f"the model {name_of(model)} returned {_kind(made)}; it must return the items as an iterable, "
            "without async: write a generator"
        )
        raise SubjectError(text)
    return made


def _misfit(function: Callable[..., Any], count: int) -> str | None:
    """Say that ``function`` cannot be called with ``count`` arguments, or return ``None``."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return None
    try:
        signature.bind(*range(count))
    except TypeError:
        return f"takes {signature}, and there {'is 1 input' if count == 1 else f'are {count} inputs'}"
    return None


def name_of(function: object) -> str:
    """Return the name of a function, and where it was written, if that is known."""
    name = getattr(function, "__name__", None) or repr(function)
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _kind(given: object) -> str:
    if isinstance(given, Stream):
        return "a Flow"
    return f"{str(given)[:80]} ({type(given).__name__})"
