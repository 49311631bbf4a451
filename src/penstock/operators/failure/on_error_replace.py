"""The operator ``on_error_replace``: a value in the place of each item on which a function fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.fusion.loops import LONGEST_LOOP
from penstock.operators.attach import attach
from penstock.operators.concurrency.one_by_one import OneByOne
from penstock.operators.concurrency.pooled import Pooled
from penstock.operators.elements.unwrap import Unwrap
from penstock.operators.failure.answering import Answering, Answers, limits
from penstock.operators.failure.log import Log
from penstock.operators.failure.map_error import MapError, TapError
from penstock.runtime.arguments import at, function_for, refuse
from penstock.runtime.functions import plain_result
from penstock.runtime.node import Node, node
from penstock.runtime.passing import PassingStage
from penstock.runtime.skipping import Instead
from penstock.runtime.stage import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.flow import Flow
    from penstock.runtime.node import Site
    from penstock.runtime.skipping import Skipping

T = TypeVar("T")
U = TypeVar("U")


@overload
def on_error_replace(
    value: U,
    *,
    limit: int | None = None,
    errors: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Callable[[Flow[T]], Flow[T | U]]: ...
@overload
def on_error_replace(
    *,
    by: Callable[[Exception, Any], U],
    limit: int | None = None,
    errors: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Callable[[Flow[T]], Flow[T | U]]: ...
def on_error_replace(
    value: Any = None,
    *,
    by: Callable[[Exception, Any], Any] | None = None,
    limit: int | None = None,
    errors: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Callable[[Flow[Any]], Flow[Any]]:
    """Yield a value in the place of each item on which the function directly upstream fails, and continue.

    It answers for the operator directly upstream: ``map``, ``filter``, ``tap``, ``scan``, ``flat_map`` and
    others that call a plain function for each item, and those that await one, like ``map_async``. In a row of
    plain operators without a state, such as ``map(f).filter(g)``, it answers for all of them, and the
    operators between do not see the value. Items that a ``flat_map`` produced before the error stay; the
    value comes after them. An unordered operator yields the value when the call has failed.

    Nothing is restarted, and no state changes. Other operators of this kind, ``map_error``, ``tap_error`` and
    ``log`` may stand between. An error that it does not handle, because it is of another kind, comes from
    further up, or was raised by the function ``by``, goes to the next ``on_error_skip`` or
    ``on_error_replace`` downstream.

    Args:
        value: The value. It cannot be a function; pass ``by=lambda error, item: function`` to yield one.
        by: Returns the value: ``by(error, item)``, where ``item`` is the argument of the failing function.
        limit: How many items a run may replace; the next failure ends it. ``None`` sets no limit.
        errors: The kinds of errors whose items are replaced.

    Raises:
        GraphError: the operator directly upstream calls no function for each item.
    """
    limits("on_error_replace", limit, errors)
    if by is not None:
        function_for("on_error_replace", by, "by")
        if value is not None:
            refuse("on_error_replace", "either a value or by", value)
    elif callable(value):
        refuse("on_error_replace", "a value", value, advice="Pass a function of the error and item as by=.")
    return attach(
        lambda node: OnErrorReplace(inputs=(node,), value=value, function=by, limit=limit, errors=errors)
    )


@node
class OnErrorReplace(Answers):
    """Yields ``value``, or ``function(error, item)``, in the place of items on which a function fails."""

    operator = "on_error_replace"

    value: Any = None
    function: Callable[[Exception, Any], Any] | None = None

    def __post_init__(self) -> None:
        """Refuse an upstream in which nothing can be replaced."""
        Node.__post_init__(self)
        if next(self.covered(), None) is None:
            msg = (
                f"on_error_replace{at(self.origin)} has nothing to replace: {self.inputs[0].operator} "
                "before it calls no function for each item. Put it directly after the operator whose "
                "function may fail, such as map, filter or map_async."
            )
            raise GraphError(msg)

    def covered(self) -> Iterator[Node]:
        """Yield the nodes whose functions it answers for.

        An item must get from there to here without a change, or pass through elements of the same loop.
        """
        above = self.inputs[0]
        while isinstance(above, Answers | MapError | TapError | Log):
            above = above.inputs[0]
        if isinstance(above, Pooled | OneByOne):
            yield above
        elif isinstance(above, Element) and not above.gathers:
            yield from _calling(above)
            if not (above.stateful or above.reshapes):
                yield from _stateless(above.inputs[0])


def _calling(element: Element) -> Iterator[Element]:
    """Yield this element if it can fail on an item."""
    if element.function is not None or isinstance(element, Unwrap):
        yield element


def _stateless(above: Node) -> Iterator[Node]:
    """Yield the failing elements without a state, from ``above`` upwards, that stand in the same loop."""
    for _ in range(LONGEST_LOOP - 1):
        if not isinstance(above, Element) or above.stateful or above.reshapes:
            return
        yield from _calling(above)
        above = above.inputs[0]


class _Replacing(Answering):
    """One run of ``on_error_replace``, as the stages upstream see it."""

    __slots__ = ("_covered", "_function", "_origin", "_value")

    did = "replaced"

    def __init__(self, node: OnErrorReplace, following: Skipping | None) -> None:
        super().__init__(node, following)
        self._covered = frozenset(node.covered())
        self._function = node.function
        self._value = Instead(node.value)
        self._origin = node.origin

    def covers(self, node: Node) -> bool:
        return node in self._covered

    def answer(self, error: Exception, item: Any) -> Instead:
        if self._function is None:
            return self._value
        return Instead(plain_result(self._function(error, item), "on_error_replace", self._origin))


@runs(OnErrorReplace)
class _OnErrorReplaceStage(PassingStage):
    def __init__(self, site: Site, node: OnErrorReplace) -> None:
        super().__init__(replace(site, skipping=_Replacing(node, site.skipping)))

    async def _request(self, n: int) -> list[Any]:
        return await self.upstream.request(n)
