"""The operator ``cast``, which checks the type of each item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import at
from penstock.runtime.functions import NotCalled

if TYPE_CHECKING:
    from penstock.flow import Flow

U = TypeVar("U")


def cast(kind: type[U]) -> Callable[[Flow[Any]], Flow[U]]:
    """Check that each item is an instance of ``kind``, and narrow the flow's type to it.

    ``kind`` may be a union or a tuple of types. No item is converted: any other item raises ``TypeError``.
    Use ``filter`` to drop such items and ``map`` to convert them.
    """
    try:
        isinstance(None, kind)
    except TypeError:
        msg = f"cast takes a type that isinstance accepts, not {kind!r}{at(before=', ')}"
        raise GraphError(msg) from None
    return attach(lambda node: Cast(inputs=(node,), function=kind))


def _wrong_type(item: object, wanted: Any) -> NoReturn:
    name = getattr(wanted, "__name__", wanted)
    msg = f"cast expected {name}, but this item is {type(item).__name__}: {str(item)[:200]}"
    raise TypeError(msg)


class Cast(Element):
    """Fails on an item that is not an instance of ``function``, which is a type."""

    operator = "cast"
    transparent = True
    one_to_one = True
    calls = NotCalled
    helpers: ClassVar[Mapping[str, Any]] = {"wrong_type": _wrong_type}

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        return [f"if not isinstance(x, f{k}):", f"    wrong_type(x, f{k})"]
