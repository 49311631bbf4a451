"""Faults as data: what a ``TestSource`` plays besides plain items.

A script is a sequence of items in which some elements are not items but instructions: ``Wait`` some
turns of the loop, ``Sleep`` virtual seconds or ``Until`` a moment, wait ``Forever``, ``Raise``. A
``Poison`` is an item that makes a user's function fail when it is computed with.

``End``, ``Burst`` and ``Cling`` misbehave on purpose, as foreign sources do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, Self

__all__ = [
    "Burst",
    "Cling",
    "End",
    "Forever",
    "Planted",
    "Poison",
    "Raise",
    "Sleep",
    "Until",
    "Wait",
    "items_of",
    "paced",
]


class Planted(Exception):
    """The exception that tests plant, so that nothing else can be mistaken for it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Give the loop ``turns`` turns before going on."""

    turns: int = 1


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep for virtual ``seconds`` before going on."""

    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until virtual ``seconds`` after the source was opened; not at all if they are over."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Forever:
    """Wait until the source is closed; nothing behind this is ever played."""


@dataclass(frozen=True, slots=True)
class Raise:
    """Fail here with what ``make`` returns.

    Nothing behind this is ever played, except by an observable, which then sends after its error.
    """

    make: Callable[[], BaseException] = lambda: Planted("planted in the source")


@dataclass(frozen=True, slots=True)
class End:
    """Say that this is the end, and go on all the same: what is behind this is sent after the end.

    Only an observable can do that, or an async iterator that is no generator.
    """


@dataclass(frozen=True, slots=True)
class Burst:
    """Send these items all at once, whatever the demand. Only an observable can do that."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Cling:
    """While being closed, ignore the first cancellation, and take virtual ``seconds`` after it."""

    seconds: float = 1.0


Instruction = Wait | Sleep | Until | Forever | Raise | End | Burst | Cling


def items_of(script: Iterable[Any]) -> list[Any]:
    """Return the items of a script, up to where it fails, stalls, or says that it has ended."""
    items: list[Any] = []
    for element in script:
        if isinstance(element, Forever | Raise | End):
            break
        if isinstance(element, Burst):
            items += element.items
        if not isinstance(element, Instruction):
            items.append(element)
    return items


def paced(script: Iterable[Any], pace: Iterable[Wait | Sleep | None]) -> list[Any]:
    """Return ``script`` with the elements of ``pace``, over and over, before its elements and its end."""
    waits = list(pace)
    if not waits:
        return list(script)
    result: list[Any] = []
    script = list(script)
    for index in range(len(script) + 1):
        wait = waits[index % len(waits)]
        if wait is not None:
            result.append(wait)
        result += script[index : index + 1]
    return result


class Poison(int):
    """An integer that raises when it is computed with, compared, formatted or asked for its truth.

    It may be handed on, stored, hashed, checked for equality and shown by ``repr``, as a page of items
    or a list of results is. So whoever fails on it is a user's function and not the machinery.

    ``Poison(value)`` raises ``Planted``, and ``Poison(value, make)`` what ``make()`` returns.
    """

    make: Callable[[], BaseException]
    _given: Callable[[], BaseException] | None

    def __new__(cls, value: int, make: Callable[[], BaseException] | None = None) -> Self:
        """Make a poisoned ``value``."""
        self = super().__new__(cls, value)
        self.make = make or (lambda: Planted(f"planted in item {value}"))
        self._given = make
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (int.__int__(self), self._given)

    def __repr__(self) -> str:
        """Show it without touching it."""
        return f"Poison({int.__repr__(self)})"

    def _fail(self, *_: object) -> NoReturn:
        raise self.make()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _fail
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = __truediv__ = __rtruediv__ = _fail
    __divmod__ = __rdivmod__ = __pow__ = __rpow__ = _fail
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _fail
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _fail
    __neg__ = __pos__ = __abs__ = __invert__ = __bool__ = __index__ = __int__ = __float__ = _fail
    __lt__ = __le__ = __gt__ = __ge__ = __str__ = __format__ = bit_length = _fail
