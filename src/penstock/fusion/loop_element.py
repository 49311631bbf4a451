"""``LoopElement``: what an operator writes to become a part of a fused loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.runtime.functions import Plain
from penstock.runtime.node import Node, node

if TYPE_CHECKING:
    from penstock.abc import JSON


@node
class LoopElement(Node):
    """A synchronous operator: one item in, none or one out, unless it ``reshapes``."""

    reshapes: ClassVar[bool] = False
    """Whether it must be the last of its stage, because it ``expands`` or ``gathers``."""
    expands: ClassVar[bool] = False
    """Whether ``function(item)`` is an iterable whose items go on."""
    folds: ClassVar[bool] = False
    """Whether it ``expands`` and has a state ``sK`` besides."""
    gathers: ClassVar[bool] = False
    """Whether lists of ``number`` items go on."""
    takes: ClassVar[bool] = False
    """Whether it completes directly behind the item that it passes when its state reaches ``number``."""
    one_to_one: ClassVar[bool] = False
    """Whether each input becomes exactly one output, without a state: positions can then be counted."""
    initial: ClassVar[Any] = None
    """The first value of ``sK``, the state."""
    calls: ClassVar[type[Plain]] = Plain
    """How the first result of ``function`` is checked."""
    helpers: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Global names that its lines use."""

    number_is: ClassVar[str | None] = None
    """The name of the operator's parameter that is ``number``; ``None`` if there is none."""

    function: Callable[..., Any] | None = None
    """``fK`` in the loop."""
    number: int = 0
    """``nK`` in the loop."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters, with ``number`` under the name ``number_is``."""
        found = Node.parameters.__get__(self)
        found.pop("number", None)
        return found if self.number_is is None else {**found, self.number_is: self.number}

    @property
    def skippable(self) -> bool:
        """Whether it calls a function, or an operator above it does."""
        return self.function is not None or self.inputs[0].skippable

    def checked(self) -> Plain:
        """Return what the loop of one run reads ``fK`` and ``nK`` from."""
        return self.calls(self.function, self.operator, self.origin, self.number)

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        """Return the lines of this element number ``k``, which turn ``x`` into the next ``x``.

        They may use ``fK`` (the function, if ``called``), ``nK`` (the number, if the operator has one) and
        ``sK`` (the state, if it is stateful). ``drop`` are the lines that drop the item. If ``fK`` raises and
        ``on_error_skip`` drops the item, the loop continues with ``sK`` as these lines left it.
        """
        raise NotImplementedError

    @staticmethod
    def expansion(k: int) -> list[str]:
        """Return the lines of an element that ``expands``: they turn ``x`` into the iterable ``x``."""
        return [f"x = f{k}(x)"]

    @classmethod
    def held(cls) -> bool:
        """Return whether the loop has a variable ``sK`` for it."""
        return cls.stateful and (cls.folds or not cls.reshapes)

    def expanded(self, state: JSON) -> int:
        """Return how many items of the next input's expansion a position with ``state`` has delivered."""
        return state or 0

    def dump_expanded(self, state: Any, expanded: int) -> JSON:  # noqa: ARG002  for overrides
        """Return the state in a position of an element that ``expands``."""
        return expanded

    def first(self) -> Any:
        """Return the state at the beginning."""
        return self.initial

    def restore(self, state: JSON) -> Any:
        """Return the state to start from, given the state in a position (``None``: the beginning)."""
        return self.first() if state is None else self.load(state)

    def dump(self, state: Any) -> JSON:
        """Return the state as JSON that is not ``None``."""
        return state

    def load(self, state: JSON) -> Any:
        """Return the state, given the JSON that ``dump`` returned."""
        return state

    def demand(self, n: int, state: Any) -> int:  # noqa: ARG002  for overrides
        """Return how many inputs may be requested for ``n`` outputs."""
        return n

    def finished(self, state: Any) -> bool:  # noqa: ARG002
        """Return whether this element has completed, even if upstream has more items."""
        return False


def indent(lines: list[str]) -> list[str]:
    """Return ``lines`` one level deeper."""
    return ["    " + line for line in lines]
