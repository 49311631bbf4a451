"""Checks of an operator's arguments, while the graph is built."""

from __future__ import annotations

import inspect
import math
import sys

from penstock.errors import GraphError


def assembled_at() -> str:
    """Return ``file:line`` of the nearest caller outside of Penstock (not counting its testkit)."""
    frame = sys._getframe(1)  # noqa: SLF001  the documented way to look at one frame without building a stack
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        own = module == "penstock" or module.startswith("penstock.")
        if module != "dataclasses" and frame.f_code.co_filename != "<string>" and not own:
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return "penstock"


def positive(operator: str, parameter: str, value: float, *, least: float = 1, whole: bool = True) -> None:
    """Raise ``GraphError`` unless ``value`` is a number (a whole one if ``whole``) of at least ``least``."""
    right = isinstance(value, int) or (not whole and isinstance(value, float) and not math.isnan(value))
    if isinstance(value, bool) or not right or value < least:
        kind = "whole number" if whole else "number"
        place = assembled_at()
        msg = f"{operator}({parameter}={value!r}) at {place}: {parameter} must be a {kind}, at least {least}"
        raise GraphError(msg)


def function_for(operator: str, function: object, *, asynchronous: bool = False) -> None:
    """Raise ``GraphError`` unless ``function`` can be called; async functions need ``asynchronous``."""
    if not callable(function):
        msg = (
            f"{operator} takes a function, not {type(function).__name__} ({function!r}), at {assembled_at()}"
        )
        raise GraphError(msg)
    if not asynchronous and inspect.iscoroutinefunction(function):
        name = getattr(function, "__name__", repr(function))
        msg = (
            f"{operator}({name}) at {assembled_at()}: {name} is async, and {operator} does not await. "
            f"Use map_async({name}) instead."
        )
        raise GraphError(msg)


def seconds_for(operator: str, parameter: str, value: object, *, zero: bool = False) -> float:
    """Return a finite number of seconds above 0 (or 0, if ``zero``), or raise ``GraphError``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and (value > 0 or (zero and value == 0)):  # type: ignore[arg-type,operator]
        return float(value)  # type: ignore[arg-type]
    least = "not negative" if zero else "greater than 0"
    msg = (
        f"{operator}({parameter}={value!r}) at {assembled_at()}: {parameter} must be a finite number, {least}"
    )
    raise GraphError(msg)
