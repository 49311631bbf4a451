"""``unwrap``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Protocol, TypeVar, overload

from penstock.errors import GraphError, UnwrapError
from penstock.fusion.element import Element
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for
from penstock.runtime.node import assembled_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from expression import Result

    from penstock.flow import Flow


__all__ = ["Unwrap", "unwrap"]

E = TypeVar("E")
T = TypeVar("T")


@overload
def unwrap(
    errors: Callable[[E], object],
) -> Callable[[Flow[Result[T, E]]], Flow[T]]: ...
@overload
def unwrap(errors: Literal["raise", "skip"] = "raise") -> Unwrapping: ...
def unwrap(errors: Any = "raise") -> Any:
    """Turn each ``Ok(value)`` (of ``expression``) into ``value``.

    Args:
        errors: What becomes of ``Error(error)``. ``"raise"``: ``error`` is raised if it is an exception,
            and in an ``UnwrapError`` otherwise; a position then stands before that item. ``"skip"``: the
            item is dropped. A function: it is called with ``error``, and the item is dropped.
    """
    if isinstance(errors, str) and errors not in {"raise", "skip"}:
        msg = f"unwrap(errors={errors!r}) at {assembled_at()}: 'raise', 'skip', or a function"
        raise GraphError(msg)
    if isinstance(errors, str):
        handler = None if errors == "raise" else _ignore
    else:
        function_for("unwrap", errors)
        handler = errors
    return attach(lambda node: Unwrap(inputs=(node,), function=handler))


def _ignore(_: object) -> None: ...


class Unwrapping(Protocol):
    """What ``unwrap`` returns when no function says which errors there are."""

    def __call__(self, flow: Flow[Result[T, Any]], /) -> Flow[T]:
        """Attach the operator to a flow."""
        ...


def _unwrapped(error: object) -> NoReturn:
    if isinstance(error, Exception):
        raise error
    raise UnwrapError(error)


class Unwrap(Element):
    """The value of each ``Ok``; the value of an ``Error`` goes to ``function``, or is raised."""

    operator = "unwrap"
    transparent = True
    helpers: ClassVar[Mapping[str, Any]] = {"unwrapped": _unwrapped}

    @property
    def skippable(self) -> bool:
        """True: it can fail on one ``Error`` and go on with the next item."""
        return True

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: D102
        refused = [f"f{k}(x.error)", *drop] if called else ["unwrapped(x.error)"]
        return ["if x.is_error():", *("    " + line for line in refused), "x = x.ok"]
