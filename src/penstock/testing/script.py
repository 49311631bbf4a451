"""Scripts for ``TestSource``: items, and instructions among them.

Instructions make the source wait (``Wait``, ``Sleep``, ``Until``, ``Forever``), fail (``Raise``), or
misbehave as foreign sources do (``End``, ``Burst``, ``Cling``). A ``Poison`` is an item on which a user's
function fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, takewhile
from typing import Any, NoReturn, Self


class Planted(Exception):
    """The exception that tests plant; no other code raises it."""


class Stalled(BaseException):
    """A model reached the place at which its input waits for ever."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for ``turns`` turns of the event loop."""

    turns: int = 1


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep for virtual ``seconds``."""

    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until virtual ``seconds`` after the source was opened; do not wait if that has passed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Forever:
    """Wait until the source is closed; the script ends here."""


@dataclass(frozen=True, slots=True)
class Raise:
    """Fail with the exception that ``make()`` returns.

    The script ends here, except for an observable, which goes on after its error.
    """

    make: Callable[[], BaseException] = field(default=lambda: Planted("planted in the source"), repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """Complete here. An observable then goes on with the script, after its end."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Send these items at once, without regard to demand. Only an observable does that."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Cling:
    """Sleep for virtual ``seconds``; on the first cancellation, sleep for as long once more."""

    seconds: float = 1.0


Instruction = Wait | Sleep | Until | Forever | Raise | End | Burst | Cling


def items_in(element: Any) -> tuple[Any, ...]:
    """Return the items of one element of a script."""
    if isinstance(element, Burst):
        return element.items
    return () if isinstance(element, Instruction) else (element,)


def items_of(script: Iterable[Any]) -> list[Any]:
    """Return the items of a script before it fails, stalls, or completes."""
    before = takewhile(lambda element: not isinstance(element, Forever | Raise | End), script)
    return [item for element in before for item in items_in(element)]


def played(script: Iterable[Any]) -> Iterator[Any]:
    """Yield the items of a script without waiting.

    Raises:
        Stalled: at ``Forever``.
        BaseException: at ``Raise``, what it makes.
    """
    for element in script:
        if isinstance(element, Forever):
            raise Stalled
        if isinstance(element, Raise):
            raise element.make()
        if isinstance(element, End):
            return
        yield from items_in(element)


def paced(script: Iterable[Any], pace: Iterable[Wait | Sleep | None]) -> list[Any]:
    """Return ``script`` with one element of ``pace``, over and over, before each element and the end."""
    waits = cycle(pace)

    def wait() -> list[Any]:
        return [] if (element := next(waits, None)) is None else [element]

    result: list[Any] = []
    for element in script:
        result += [*wait(), element]
    return result + wait()


class Poison(int):
    """An integer that raises in arithmetic, order comparisons, formatting and truth tests.

    Passing on, storing, hashing, equality and ``repr`` work, so that only a user's function fails on it,
    not the code around that function.

    ``Poison(value)`` raises ``Planted``; ``Poison(value, make)`` raises what ``make()`` returns.
    """

    make: Callable[[], BaseException]
    _given: Callable[[], BaseException] | None

    def __new__(cls, value: int, make: Callable[[], BaseException] | None = None) -> Self:
        """Return a poisoned ``value``."""
        self = super().__new__(cls, value)
        self.make = make or (lambda: Planted(f"planted in item {value}"))
        self._given = make
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (int.__int__(self), self._given)

    def __repr__(self) -> str:
        """Show the value without using it."""
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
