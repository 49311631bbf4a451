"""Checks of an operator's arguments, while the graph is built."""

from __future__ import annotations

import math
import sys
from functools import lru_cache, partial
from inspect import isasyncgenfunction, iscoroutinefunction
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from penstock.errors import GraphError
from penstock.notebook.cells import cell_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

AWAITING = {
    "map": "map_async({})",
    "starmap": "map_async(lambda item: {}(*item))",
    "map_thread": "map_async({})",
    "map_process": "map_async({})",
    "flat_map": "map_async({}) and unbatch()",
    "filter": "filter_async({})",
    "tap": "tap_async({})",
    "scan": "scan_async({})",
    "take_while": "take_while_async({})",
    "skip_while": "skip_while_async({})",
    "for_each": "for_each_async({})",
    "concat_map": "concat_map(lambda item: from_callable(lambda: {}(item)))",
    "flat_map_merge": "flat_map_merge(lambda item: from_callable(lambda: {}(item)))",
    "switch_map": "switch_map(lambda item: from_callable(lambda: {}(item)))",
    "exhaust_map": "exhaust_map(lambda item: from_callable(lambda: {}(item)))",
    "from_iterable": "from_callable({}) and unbatch()",
    "from_async_iterable": "an async generator function (one with yield)",
    "through": "an async generator function (one with yield)",
    "from_pages": "an async generator function (one with yield)",
    "unfold": "an async def function",
    "iterate": "an async def function",
}
"""What awaits a function that this operator or terminal only calls."""

ITERATING = {
    "map": "concat_map(lambda item: from_async_iterable({}(item)))",
    "flat_map": "concat_map(lambda item: from_async_iterable({}(item)))",
    "concat_map": "concat_map(lambda item: from_async_iterable({}(item)))",
    "flat_map_merge": "flat_map_merge(lambda item: from_async_iterable({}(item)))",
    "switch_map": "switch_map(lambda item: from_async_iterable({}(item)))",
    "exhaust_map": "exhaust_map(lambda item: from_async_iterable({}(item)))",
    "from_iterable": "from_async_iterable({})",
    "from_callable": "from_async_iterable({})",
}
"""What iterates over the items of an async generator function that this operator would only call."""

_NOBODY = ("penstock.cli.", "asyncio.", "uvloop", "threading", "concurrent.futures.thread")
"""Modules that begin a call by themselves: code of a user above them did not ask for it."""
_BETWEEN = {"penstock", "dataclasses", "contextlib", "functools", "asyncio.tasks", "asyncio.timeouts"}
"""Modules that may stand between a user's code and Penstock."""

_short = Repr()
_short.maxstring = _short.maxother = 60


def assembled_at(ours: int = 0) -> str:
    """Return ``file:line`` of the user's code that calls Penstock; the testkit counts as a user.

    In a notebook it is ``In[3]:line``.

    ``""`` if no code of a user does: the command line calls, or the event loop or a thread calls a callback.
    The caller and ``ours - 1`` callers above it are known to be of Penstock: to look at a frame takes time.
    """
    # the documented way to look at one frame without a stack
    frame: FrameType | None = sys._getframe(1 + ours)  # noqa: SLF001
    while frame is not None:
        role = _role_of(frame.f_globals.get("__name__", ""))
        if role == "user":
            file = frame.f_code.co_filename
            if file != "<string>" and not file.startswith("<penstock "):
                return f"{cell_of(file) or file}:{frame.f_lineno}"
        elif role == "nobody":
            break
        frame = frame.f_back
    return ""


@lru_cache(1024)
def _role_of(module: str) -> Literal["user", "nobody", "ours"]:
    """Return whose code a module is: the user's, that of what calls by itself, or Penstock's."""
    if module in _BETWEEN:
        return "ours"
    if module.startswith(_NOBODY):
        return "nobody"
    ours = module.startswith("penstock.") and not module.startswith("penstock.testing.")
    return "ours" if ours else "user"


def at(origin: str | None = None, before: str = " ") -> str:
    """Return ``" at file:line"`` for a message, with ``before`` in front; ``""`` if no line is known.

    ``origin`` is a line that is known already; without it, it is the line of the user's code that calls.
    """
    place = assembled_at() if origin is None else origin
    return f"{before}at {place}" if place else ""


def began_at() -> str:
    """Return where a run begins, for a message about a run that was dropped."""
    return assembled_at() or "an unknown line"


def shown(value: object) -> str:
    """Return a short ``repr`` of any object, also of one whose ``repr`` raises."""
    try:
        return _short.repr(value)
    except Exception:  # noqa: BLE001  of a user's object, or of a number of thousands of digits
        return f"a {type(value).__name__}"


def refuse(operator: str, wanted: str, given: object, parameter: str = "", advice: str = "") -> NoReturn:
    """Raise the ``GraphError`` for an argument of the wrong kind."""
    from penstock.runtime.stream import Stream

    if isinstance(given, Stream):
        value, uncalled = "", f"Wrong: flow | op.{operator}. Right: flow | op.{operator}(...)."
        advice = advice or ("" if parameter else uncalled)
    else:
        value = f" ({shown(given)})"
    named = f" as {parameter}" if parameter else ""
    msg = f"{operator} takes {wanted}{named}, not {type(given).__name__}{value}{at(before=', ')}"
    raise GraphError(f"{msg}. {advice}" if advice else msg)


def function_for(
    operator: str, function: object, parameter: str = "", *, asynchronous: bool = False, yields: bool = False
) -> None:
    """Raise ``GraphError`` unless ``function`` can be called.

    Async functions need ``asynchronous``, and async generator functions need ``yields``.
    """
    if not callable(function):
        refuse(operator, "a function", function, parameter)
    name = name_of(function)
    if not yields and _leads_to(function, isasyncgenfunction):
        wanted = ITERATING.get(operator)
        advice = "Pass a plain function." if wanted is None else f"Use {wanted.format(name)} instead."
        fault = f"an async generator function, and {operator} does not iterate over its items. {advice}"
    elif not asynchronous and is_async(function):
        fault = f"async, and {operator} does not await. {instead_of(operator, name)}"
    else:
        return
    call = f"{operator}({parameter}={name})" if parameter else f"{operator}({name})"
    msg = f"{call}{at()}: {name} is {fault}"
    raise GraphError(msg)


def is_async(function: object) -> bool:
    """Whether the function, what it is a ``partial`` of, or its ``__call__`` is an ``async def``."""
    return _leads_to(function, iscoroutinefunction)


def _leads_to(function: object, wanted: Callable[[Any], bool]) -> bool:
    while isinstance(function, partial):
        function = function.func
    if wanted(function):
        return True
    return callable(function) and not isinstance(function, type) and wanted(type(function).__call__)


def name_of(function: object) -> str:
    """Return the name of a function, or of what it is a ``partial`` of, or of its class."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def instead_of(operator: str, name: str) -> str:
    """Return the advice for an async function ``name``: what awaits it, or that nothing does."""
    awaiting = AWAITING.get(operator)
    return "Pass a plain function." if awaiting is None else f"Use {awaiting.format(name)} instead."


def positive(operator: str, parameter: str, value: float, *, least: float = 1, whole: bool = True) -> None:
    """Raise ``GraphError`` unless ``value`` is a number (a whole one if ``whole``) of at least ``least``."""
    right = isinstance(value, int) or (not whole and isinstance(value, float) and not math.isnan(value))
    if isinstance(value, bool) or not right or value < least:
        kind = "whole number" if whole else "number"
        _refuse_value(operator, parameter, value, f"{parameter} must be a {kind}, at least {least}")


def seconds_for(operator: str, parameter: str, value: object, *, zero: bool = False) -> float:
    """Return a finite number of seconds above 0 (or 0, if ``zero``), or raise ``GraphError``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
        if math.isfinite(seconds) and (seconds > 0 or (zero and seconds == 0)):
            return seconds
    least = "not negative" if zero else "greater than 0"
    return _refuse_value(operator, parameter, value, f"{parameter} must be a finite number, {least}")


def flag_for(operator: str, **flags: object) -> None:
    """Raise ``GraphError`` unless every value is ``True`` or ``False``."""
    for parameter, value in flags.items():
        if not isinstance(value, bool):
            _refuse_value(operator, parameter, value, f"{parameter} must be True or False")


def text_for(operator: str, parameter: str, value: object, *, optional: bool = False) -> None:
    """Raise ``GraphError`` unless ``value`` is a string that is not empty (or ``None``, if ``optional``)."""
    if not (isinstance(value, str) and value) and not (optional and value is None):
        kind = "a string, not empty" + (", or None" if optional else "")
        _refuse_value(operator, parameter, value, f"{parameter} must be {kind}")


def choice_for(
    operator: str, parameter: str, value: object, choices: Iterable[str | None], more: str = ""
) -> None:
    """Raise ``GraphError`` unless ``value`` is one of ``choices``; ``more`` says what else is taken."""
    known = list(choices)
    if not (value is None or isinstance(value, str)) or value not in known:
        names = ", ".join("None" if one is None else repr(str(one)) for one in known)
        _refuse_value(operator, parameter, value, f"{parameter} must be one of {names}{more and ', '}{more}")


def _refuse_value(operator: str, parameter: str, value: Any, rule: str) -> NoReturn:
    msg = f"{operator}({parameter}={shown(value)}){at()}: {rule}"
    raise GraphError(msg)
