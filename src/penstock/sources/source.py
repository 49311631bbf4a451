"""What sources share: base classes of nodes and stages, and checks of their inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from penstock.errors import AlreadySubscribed
from penstock.runtime.node import Node, Site, node
from penstock.runtime.pump import PumpStage
from penstock.runtime.stage import Stage

if TYPE_CHECKING:
    from penstock.runtime.upstream import Marks, Upstream


@node
class SourceNode(Node):
    """A node without inputs. It holds no more items than were requested."""

    stateful = True

    @property
    def single_use(self) -> Node | None:
        return self if any(isinstance(value, OneShot) for value in self.parameters.values()) else None

    def bound(self, n: int) -> float:
        return n


class SourceStage(Stage[Any]):
    """A stage without upstream. It has no position unless a subclass overrides ``marks``."""

    def upstreams(self) -> Iterator[Upstream[Any]]:
        return iter(())

    def marks(self) -> Marks:
        return lambda _: {}


class IndexedStage(SourceStage):
    """A source stage whose position is the index of the next item."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._index: int = site.state or 0
        """The index of the next item to produce."""
        self._before = self._index
        """The index of the first item of the last chunk."""

    def marks(self) -> Marks:
        key, before = self.site.vertex.id, self._before
        return lambda i: {key: before + i}


class IndexedPumpStage(PumpStage):
    """A pump whose position is the index of the next item."""

    def __init__(self, site: Site, node: Node) -> None:
        super().__init__(site, node)
        self._start: int = site.state or 0
        """The index of the first item of this run."""

    def marks(self) -> Marks:
        key, index = self.site.vertex.id, self._start + self._before
        return lambda i: {key: index + i}


class OneShot:
    """An input that can be read only once: a second subscription raises ``AlreadySubscribed``."""

    __slots__ = ("_advice", "_input", "_used")

    def __init__(self, one: Any, advice: str) -> None:
        self._input = one
        self._advice = advice
        self._used = False

    def __call__(self) -> Any:
        """Return the input, the first time."""
        if self._used:
            msg = (
                f"this {type(self._input).__name__} can be read only once, and an earlier subscription has "
                f"started to read it. Pass a function that creates a new one: {self._advice}"
            )
            raise AlreadySubscribed(msg)
        self._used = True
        return self._input
