"""What the loop of a fused stage asks of each of its elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.abc import JSON


__all__ = ["LoopElement", "indent"]


@node
class LoopElement(Node):
    """A synchronous operator: one item in, none or one out, unless it ``ends`` a stage."""

    ends: ClassVar[bool] = False
    """Whether it must be the last of its stage, because it ``expands`` or ``gathers``."""
    expands: ClassVar[bool] = False
    """Whether ``function(item)`` is an iterable whose items go on."""
    gathers: ClassVar[bool] = False
    """Whether lists of ``number`` items go on."""
    takes: ClassVar[bool] = False
    """Whether it completes right behind the ``number``-th item that passed it; its state counts them."""
    one_to_one: ClassVar[bool] = False
    """Whether each input becomes exactly one output and no state: places can then be counted."""
    initial: ClassVar[Any] = None
    """The first value of ``sK``, the state."""
    helpers: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Global names that its lines use."""

    number_is: ClassVar[str | None] = None
    """The name under which users give ``number``; ``None`` if the operator has none."""

    function: Callable[..., Any] | None = None
    """``fK`` in the loop."""
    number: int = 0
    """``nK`` in the loop."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Its own fields, with ``number`` under the name that users know."""
        found = Node.parameters.__get__(self)
        found.pop("number", None)
        return found if self.number_is is None else {**found, self.number_is: self.number}

    @property
    def skippable(self) -> bool:
        """Whether it calls a function, or something above it does."""
        return self.function is not None or self.inputs[0].skippable

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        """Return the lines of this element, which turn ``x`` into the next ``x``.

        They may use ``fK`` (the function; ``called`` says whether one was given), ``nK`` (the number, if the
        operator has one) and ``sK`` (the state, if stateful). ``drop`` are the lines that drop the item.
        """
        raise NotImplementedError

    def first(self) -> Any:
        """Return the state at the beginning."""
        return self.initial

    def restore(self, state: JSON) -> Any:
        """Return the state to start from, given what a position holds (``None``: the beginning)."""
        return self.first() if state is None else self.load(state)

    def dump(self, state: Any) -> JSON:
        """Return the state as JSON that is not ``None``."""
        return state

    def load(self, state: JSON) -> Any:
        """Return the state that ``dump`` made."""
        return state

    def demand(self, n: int, state: Any) -> int:  # noqa: ARG002  part of the signature for those who need it
        """Return how many inputs may be asked for when ``n`` outputs are wanted."""
        return n

    def finished(self, state: Any) -> bool:  # noqa: ARG002
        """Whether nothing can come any more, whatever upstream still has."""
        return False


def indent(lines: list[str]) -> list[str]:
    """Return ``lines`` one level deeper."""
    return ["    " + line for line in lines]
