"""What is cut out of inputs by counting or by looking: small stages on the skeleton of ``shaping``."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.core.node import Node
from penstock.core.run import LARGEST_SLICE
from penstock.core.shaping import ShapingStage

if TYPE_CHECKING:
    from penstock.core.graph import Site
    from penstock.core.stage import Stage

__all__ = ["Collect", "Pairwise", "SkipLast", "Sliding", "Split", "TakeLast"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkipLast(Node):
    """All but the last ``count`` items."""

    operator = "skip_last"

    count: int

    def bound(self, n: int) -> float:
        """Return M_up(n + count)."""
        return self.inputs[0].bound(n + self.count)

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _SkipLastStage(site, self.count)


class _SkipLastStage(ShapingStage):
    def __init__(self, site: Site, count: int) -> None:
        super().__init__(site)
        self._count = count
        self._held: deque[Any] = deque()

    def wanted(self, n: int) -> int:
        return n + self._count - len(self._held)

    def take(self, items: list[Any]) -> None:
        held = self._held
        first = self.done - len(held)
        held.extend(items)
        free = max(0, len(held) - self._count)
        self.put([held.popleft() for _ in range(free)], range(first + 1, first + free + 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TakeLast(Node):
    """The last ``count`` items, at the end."""

    operator = "take_last"

    count: int

    def bound(self, n: int) -> float:
        """Return M_up(max(n, 256) + count): it reads in chunks of up to 256 until the end."""
        return self.inputs[0].bound(max(n, LARGEST_SLICE) + self.count)

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _TakeLastStage(site, self.count)


class _TakeLastStage(ShapingStage):
    def __init__(self, site: Site, count: int) -> None:
        super().__init__(site)
        self._held: deque[Any] = deque(maxlen=count)

    def wanted(self, n: int) -> int:
        return max(n, LARGEST_SLICE)

    def take(self, items: list[Any]) -> None:
        self._held.extend(items)
        self.low = max(self.low, self.done + len(items) - len(self._held))

    def finish(self) -> None:
        self.put(self._held, range(self.done - len(self._held) + 1, self.done + 1))
        self._held.clear()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sliding(Node):
    """Lists of ``size`` consecutive items, each beginning ``step`` items behind the one before."""

    operator = "sliding"
    stateful = True

    size: int
    step: int = 1
    partial: bool = False

    def bound(self, n: int) -> float:
        """Return M_up of what ``n`` windows span."""
        return self.inputs[0].bound(max(self.size, self.step) + (n - 1) * self.step)

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _SlidingStage(site, self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairwise(Sliding):
    """Each item with the one behind it, as a pair."""

    operator = "pairwise"
    stateful = False

    size: int = 2

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _PairwiseStage(site, self)


class _SlidingStage(ShapingStage):
    """``_next`` is the number of the input that the next window begins with; ``held`` begins there, too."""

    def __init__(self, site: Site, node: Sliding) -> None:
        super().__init__(site)
        self._node = node
        self._next = self.start
        self._held: list[Any] = []

    def wanted(self, n: int) -> int:
        return self._next + self._node.size + (n - 1) * self._node.step - self.done

    def take(self, items: list[Any]) -> None:
        end = self.done + len(items)
        self._held += items[max(0, self._next - self.done) :]
        size, step = self._node.size, self._node.step
        self._cut(max(0, (end - self._next - size) // step + 1))

    def _cut(self, count: int) -> None:
        """Put ``count`` windows, and forget what no later one needs."""
        held, size, step, first = self._held, self._node.size, self._node.step, self._next
        starts = range(0, count * step, step)
        self.put([held[at : at + size] for at in starts], range(first + step, first + count * step + 1, step))
        self._next = first + count * step
        del held[: count * step]

    def finish(self) -> None:
        if self._node.partial:
            self._cut(math.ceil(len(self._held) / self._node.step))


class _PairwiseStage(_SlidingStage):
    def _cut(self, count: int) -> None:
        held, first = self._held, self._next
        self.put(itertools.pairwise(held), range(first + 1, first + count + 1))
        self._next = first + count
        del held[:count]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collect(Node):
    """One value made of all items, at the end."""

    operator = "collect"
    stateful = True

    into: Callable[..., Any]
    add: Callable[[Any, Any], object] | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002
        """Return infinity: it holds all there is."""
        return math.inf

    @property
    def skippable(self) -> bool:
        """Whether ``add`` can fail on one item, or something above can."""
        return self.add is not None or self.inputs[0].skippable

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _CollectStage(site, self)


class _CollectStage(ShapingStage):
    """Its state is 1 once it has said all it had to say, so that a resumed run does not say it again."""

    def __init__(self, site: Site, node: Collect) -> None:
        super().__init__(site)
        self.low, self.said = 0, self.start
        self._node = node
        self._items: list[Any] = []
        self._value: Any = None
        self._made = False

    def wanted(self, n: int) -> int:
        return max(n, LARGEST_SLICE)

    def take(self, items: list[Any]) -> None:
        add = self._node.add
        if add is None:
            self._items += items
            return
        value = self._make()
        for item in items:
            try:
                add(value, item)
            except Exception as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)

    def forget(self) -> None:
        self.inputs.keep_ends()

    def _make(self) -> Any:
        if not self._made:
            self._value, self._made = self._node.into(), True
        return self._value

    def finish(self) -> None:
        if self.start and not self.done:
            return  # the run that this one resumes has said it, and nothing new has come
        value = self._make() if self._node.add is not None else self._node.into(self._items)
        self.put([value], [self.done + 1])
        self._items = []


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split(Node):
    """Lists of the items between those for which ``function(item)`` is true."""

    operator = "split"

    function: Callable[[Any], object]
    keep: str | None = None

    def bound(self, n: int) -> float:  # noqa: ARG002
        """Return infinity: how long a list gets is for the items to say."""
        return math.inf

    @property
    def skippable(self) -> bool:
        """True: its function can fail on one item and go on with the next."""
        return True

    def start(self, site: Site) -> Stage[Any]:
        """Start the stage."""
        return _SplitStage(site, self)


class _SplitStage(ShapingStage):
    def __init__(self, site: Site, node: Split) -> None:
        super().__init__(site)
        self._function = node.function
        self._keep = node.keep
        self._list: list[Any] = []

    def wanted(self, n: int) -> int:
        return n

    def take(self, items: list[Any]) -> None:
        function, keep = self._function, self._keep
        for number, item in enumerate(items, self.done):
            try:
                separates = function(item)
            except Exception as error:  # noqa: BLE001  it ends the run, or leaves out the item
                self.skip(error, item)
                continue
            if not separates:
                self._list.append(item)
            elif keep == "before":
                if self._list:
                    self._close(number)
                self._list.append(item)
            else:
                if keep == "after":
                    self._list.append(item)
                self._close(number + 1)

    def _close(self, low: int) -> None:
        done, self._list = self._list, []
        self.put([done], [low])

    def finish(self) -> None:
        if self._list:
            self._close(self.done)
