"""What functions of users return: somebody must await an awaitable, and an operator that does not refuses it.

``arguments.function_for`` refuses functions that are declared to be async when the graph is built. A lambda
that returns a coroutine is found here, when it is called for the first time.
"""

from __future__ import annotations

from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, TypeVar

from expression import Option, Result

from penstock.errors import NotAwaited
from penstock.runtime.arguments import at, instead_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.runtime.node import Node

T = TypeVar("T")


def plain_result(result: T, operator: str, origin: str = "", what: str = "the function") -> T:
    """Return what a function returned; raise ``NotAwaited`` if it should have been awaited.

    A coroutine is closed, so that Python does not warn of it. ``origin`` is where the operator was assembled;
    an empty one means the caller.
    """
    if iscoroutine(result):
        result.close()
    elif not isawaitable(result) or isinstance(result, Option | Result):  # values, though they can be awaited
        return result
    msg = (
        f"{operator}{at(origin or None)}: {what} returned an awaitable ({type(result).__name__}), "
        f"and {operator} does not await. {instead_of(operator, '...')}"
    )
    raise NotAwaited(msg)


class Plain:
    """A function that must not be async. Read ``function`` for each slice: it looks at the first result only.

    So checking costs nothing per item. ``origin`` is as in ``plain_result``.
    """

    __slots__ = ("_function", "_known", "_operator", "_origin", "number")

    def __init__(
        self, function: Callable[..., Any] | None, operator: str, origin: str = "", number: int = 0
    ) -> None:
        self._function = function
        self._operator = operator
        self._origin = origin
        self._known = function is None
        self.number = number

    @classmethod
    def of(cls, node: Node, function: Callable[..., Any] | None) -> Plain:
        """Return a function of ``node``."""
        return cls(function, node.operator, node.origin)

    @property
    def function(self) -> Any:
        """What to call: the function itself as soon as one of its results was seen."""
        return self._function if self._known else self._first

    def _first(self, *args: Any) -> Any:
        result: Any = self._function(*args)  # type: ignore[misc]  # None counts as known
        self.check(result)
        self._known = True
        return result

    def check(self, result: Any) -> None:
        """Raise ``NotAwaited`` if the result should have been awaited."""
        plain_result(result, self._operator, self._origin)


class NotCalled(Plain):
    """A ``function`` that the loop does not call: the type of ``cast``."""

    __slots__ = ()

    @property
    def function(self) -> Any:
        """The object itself."""
        return self._function


class Expansion(Plain):
    """The function of ``flat_map``, which must return an iterable."""

    __slots__ = ()

    def check(self, result: Any) -> None:
        """Raise ``TypeError`` unless the result can be iterated over without awaiting."""
        super().check(result)
        what = "an item" if self._operator == "unbatch" else "what the function returned"
        require_iterable(
            result,
            f"{self._operator}{at(self._origin)} takes iterables, and {what} is",
            flow="Use concat_map for one flow after the other, or flat_map_merge for several at once.",
            asynchronous="Use concat_map(lambda item: from_async_iterable(...)).",
            other="Use map for one result for each item.",
        )


def require_iterable(result: object, problem: str, *, flow: str, asynchronous: str, other: str) -> None:
    """Raise ``TypeError``, which begins with ``problem``, unless ``result`` can be iterated over.

    The last three arguments are the advice for a flow, for an async iterable, and for any other object.
    """
    from penstock.runtime.stream import Stream

    kind = type(result)
    if isinstance(result, Stream):
        advice = flow
    elif hasattr(kind, "__iter__") or hasattr(kind, "__getitem__"):
        return
    else:
        advice = asynchronous if hasattr(kind, "__aiter__") else other
    msg = f"{problem} of type {kind.__name__}. {advice}"
    raise TypeError(msg)
