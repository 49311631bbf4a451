"""The operator ``stateful``, which maps items with a state: none, one or several outputs for each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from penstock.fusion.finishing import FinishingStage
from penstock.operators.attach import attach
from penstock.operators.shape.flat_map import FlatMap
from penstock.runtime.arguments import function_for, text_for
from penstock.runtime.functions import Plain
from penstock.runtime.node import node

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.flow import Flow

S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")


def stateful(
    initial: S,
    step: Callable[[S, T], tuple[S, Iterable[U]]],
    finish: Callable[[S], Iterable[U]] | None = None,
    *,
    name: str | None = None,
) -> Callable[[Flow[T]], Flow[U]]:
    """Call ``step(state, item)`` for each item; it returns the next state and the outputs.

    The outputs are any iterable, which may be empty or lazy. When the flow completes, the outputs of
    ``finish(state)`` follow. A run that fails or is drained does not call ``finish``.

    The state is part of the position, so a resumed run continues exactly. A position inside the outputs of
    an item holds the state before that item, and how many of its outputs were delivered: ``step`` must then
    return the same outputs again.

    Args:
        initial: The first state. Each run begins with a copy of it.
        step: Returns ``(state, outputs)``. It must return a new state and never change the old one in place:
            write ``[*state, item]`` instead of ``state.append(item)``.
        finish: Returns the last outputs.
        name: A name for the state in positions; see ``scan``.

    For a run to be resumable, states must be JSON.
    """
    function_for("stateful", step, "step")
    if finish is not None:
        function_for("stateful", finish, "finish")
    text_for("stateful", "name", name, optional=True)
    return attach(
        lambda node: Stateful(inputs=(node,), function=step, begin=initial, finish=finish, name=name)
    )


def _no_pair(result: object) -> NoReturn:
    msg = f"step must return (state, outputs), but it returned {str(result)[:200]} ({type(result).__name__})"
    raise TypeError(msg)


@node
class Stateful(FlatMap):
    """Replaces each item by the outputs of ``function(state, item)``, which also returns the next state."""

    operator = "stateful"
    transparent = False
    folds = True
    calls = Plain
    fused_stage = FinishingStage
    helpers: ClassVar[Mapping[str, Any]] = {"no_pair": _no_pair}
    remedy = (
        "downstream of an unordered operator, a resumed run may begin with another item than the one "
        "whose outputs were not all delivered. Pass ordered=True to that operator, or put this one before it."
    )

    begin: Any = None
    finish: Callable[[Any], Iterable[Any]] | None = None

    def first(self) -> Any:
        return copy.deepcopy(self.begin)

    def load(self, state: JSON) -> Any:
        return state[0]

    def expanded(self, state: JSON) -> int:
        return 0 if state is None else state[1]

    def dump_expanded(self, state: Any, expanded: int) -> JSON:
        return [state, expanded]

    @staticmethod
    def expansion(k: int) -> list[str]:
        return [
            f"y = f{k}(s{k}, x)",
            "try:",
            f"    s{k}, x = y",
            "except (TypeError, ValueError):",
            "    no_pair(y)",
        ]
