"""The operator ``unwrap``, which replaces results (``Ok`` and ``Error`` of ``expression``) by values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, TypeVar, overload

from penstock.errors import UnwrapError
from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import choice_for, function_for

if TYPE_CHECKING:
    from expression import Result

    from penstock.flow import Flow

E = TypeVar("E")
T = TypeVar("T")


@overload
def unwrap(errors: Callable[[E], object]) -> Callable[[Flow[Result[T, E]]], Flow[T]]: ...
@overload
def unwrap(errors: Literal["raise", "skip"] = "raise") -> Callable[[Flow[Result[T, Any]]], Flow[T]]: ...
def unwrap(errors: Any = "raise") -> Any:
    """Replace each ``Ok(value)`` by ``value``, and raise, skip or hand over each ``Error``.

    Args:
        errors: What happens to ``Error(error)``. ``"raise"`` raises ``error`` if it is an exception, and an
            ``UnwrapError`` that carries it otherwise; the position then stands before that item. ``"skip"``
            drops the item. A function is called with ``error``, and the item is dropped.
    """
    if not isinstance(errors, str):
        function_for("unwrap", errors, "errors")
        handler = errors
    else:
        choice_for("unwrap", "errors", errors, ("raise", "skip"), "or a function")
        handler = None if errors == "raise" else _ignore
    return attach(lambda node: Unwrap(inputs=(node,), function=handler))


def _ignore(_: object) -> None: ...


def _raise(error: object) -> NoReturn:
    raise error if isinstance(error, Exception) else UnwrapError(error)


class Unwrap(Element):
    """Yields the value of each ``Ok``; calls ``function`` with the value of an ``Error``, or raises it."""

    operator = "unwrap"
    transparent = True
    helpers: ClassVar[Mapping[str, Any]] = {"raise_error": _raise}

    @property
    def skippable(self) -> bool:
        return True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        refused = [f"f{k}(x.error)", *drop] if called else ["raise_error(x.error)"]
        return ["if x.is_error():", *indent(refused), "x = x.ok"]
