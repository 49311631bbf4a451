"""Elements that look into an item: ``cast``, ``unwrap``, ``dematerialize``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from penstock.core.elements import Element
from penstock.core.notifications import Completed, Failed, Next
from penstock.errors import UnwrapError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Cast", "Dematerialize", "Unwrap"]


def _wrong_type(item: object, wanted: Any) -> NoReturn:
    name = getattr(wanted, "__name__", wanted)
    msg = f"cast wants {name}, and this item is {type(item).__name__}: {str(item)[:200]}"
    raise TypeError(msg)


class Cast(Element):
    """Items as they are; one that is not of the type ``function`` is an error."""

    operator = "cast"
    transparent = True
    even = True
    helpers: ClassVar[Mapping[str, Any]] = {"wrong_type": _wrong_type}

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [f"if not isinstance(x, f{k}):", f"    wrong_type(x, f{k})"]


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


def _no_notification(item: object) -> NoReturn:
    if isinstance(item, Failed):
        raise item.error
    msg = f"dematerialize wants Next, Failed or Completed, and this item is {type(item).__name__}"
    raise TypeError(msg)


class Dematerialize(Element):
    """The item of each ``Next``, the end at ``Completed``, the error of ``Failed``."""

    operator = "dematerialize"
    stateful = True
    initial = False
    helpers: ClassVar[Mapping[str, Any]] = {
        "Next": Next,
        "Completed": Completed,
        "no_notification": _no_notification,
    }

    def finished(self, state: bool) -> bool:  # noqa: D102, FBT001
        return state

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: ARG004, D102
        return [
            "if x.__class__ is Next:",
            "    x = x.item",
            "elif x.__class__ is Completed:",
            f"    s{k} = True",
            "    return",
            "else:",
            "    no_notification(x)",
        ]
