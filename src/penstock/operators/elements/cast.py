"""``cast``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from penstock.errors import GraphError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.node import assembled_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.flow import Flow


__all__ = ["Cast", "cast"]

U = TypeVar("U")


def cast(kind: type[U]) -> Callable[[Flow[Any]], Flow[U]]:
    """Say that all items are of the type ``kind`` (also a union, or a tuple of types), and see to it.

    Nothing is converted: an item that is no instance raises ``TypeError``. To leave such items out, use
    ``filter``; to convert, ``map``.
    """
    try:
        isinstance(None, kind)
    except TypeError:
        msg = f"cast takes a type that isinstance takes, not {kind!r}, at {assembled_at()}"
        raise GraphError(msg) from None
    return attach(lambda node: Cast(inputs=(node,), function=kind))


def _wrong_type(item: object, wanted: Any) -> NoReturn:
    name = getattr(wanted, "__name__", wanted)
    msg = f"cast wants {name}, and this item is {type(item).__name__}: {str(item)[:200]}"
    raise TypeError(msg)


class Cast(Element):
    """Items as they are; one that is not of the type ``function`` is an error."""

    operator = "cast"
    transparent = True
    one_to_one = True
    helpers: ClassVar[Mapping[str, Any]] = {"wrong_type": _wrong_type}

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if not isinstance(x, f{k}):", f"    wrong_type(x, f{k})"]
