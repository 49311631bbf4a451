"""What ``on_error_skip`` and ``on_error_replace`` share: they answer when a function fails on an item."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from penstock.errors import GraphError, NotAwaited
from penstock.runtime.arguments import at, positive
from penstock.runtime.failures import calling
from penstock.runtime.node import Node, node
from penstock.runtime.skipping import Skipping

if TYPE_CHECKING:
    from penstock.runtime.run import Gate
    from penstock.runtime.skipping import Instead


def limits(operator: str, limit: int | None, errors: type[Exception] | tuple[type[Exception], ...]) -> None:
    """Check the options that both operators have."""
    if limit is not None:
        positive(operator, "limit", limit, least=0)
    try:
        isinstance(None, errors)
    except TypeError:
        msg = f"{operator}(errors={errors!r}){at()}: errors must be one or more exception types"
        raise GraphError(msg) from None


@node
class Answers(Node):
    """A node that handles failures of functions upstream, up to ``limit`` in one run."""

    limit: int | None
    errors: type[Exception] | tuple[type[Exception], ...] = Exception


class Answering(Skipping):
    """One run of such a node, as the stages upstream see it; ``following`` is the next one downstream."""

    __slots__ = ("_following", "_left", "_node")

    did: ClassVar[str]
    """What it has done with the items of failures, for a message."""

    def __init__(self, node: Answers, following: Skipping | None) -> None:
        self._node = node
        self._following = following
        self._left = node.limit

    @property
    def full(self) -> bool:
        return self._following is not None and self._following.full

    async def pause(self, gate: Gate) -> None:
        if self._following is not None:
            await self._following.pause(gate)

    def covers(self, node: Node) -> bool:  # noqa: ARG002  for subclasses
        """Return whether it answers for the function of ``node``."""
        return True

    @abstractmethod
    def answer(self, error: Exception, item: Any) -> Instead | None:
        """Call the user's function. What it raises goes to the next one downstream."""

    def handle(self, error: Exception, item: Any, node: Node) -> BaseException | Instead | None:
        if isinstance(error, NotAwaited):
            return error  # every item would fail
        if not isinstance(error, self._node.errors) or not self.covers(node):
            return self._pass_on(error, item, node)
        if self._left == 0:
            limit = self._node.limit
            error.add_note(f"penstock: {self._node.describe()} had {self.did} {limit} items, its limit")
            return error
        try:
            with calling(self._node):
                answer = self.answer(error, item)
        except BaseException as own:  # noqa: BLE001  the stage that asked raises it
            return self._pass_on(own, item, node) if isinstance(own, Exception) else own
        if self._left is not None:
            self._left -= 1
        return answer

    def _pass_on(self, error: Exception, item: Any, node: Node) -> BaseException | Instead | None:
        return error if self._following is None else self._following.handle(error, item, node)
