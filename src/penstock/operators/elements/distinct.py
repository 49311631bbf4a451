"""The operators ``distinct`` and ``distinct_until_changed``, which drop repeated items."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, positive

if TYPE_CHECKING:
    from penstock.abc import JSON
    from penstock.operators.attach import Same

SNAPSHOT_EVERY = 1024
"""The least number of inputs between two snapshots: taking one copies all keys."""

State = tuple["Memory", int]
"""A memory, and the number of inputs since its snapshot."""


def distinct_until_changed(key: Callable[[Any], object] | None = None) -> Same:
    """Drop an item whose key equals the key of the item before.

    The key is ``key(item)``, or the item itself. The last key is part of the position, so it must be JSON
    for a run to be resumable.
    """
    if key is not None:
        function_for("distinct_until_changed", key, "key")
    return attach(lambda node: DistinctUntilChanged(inputs=(node,), function=key))


def distinct(key: Callable[[Any], object] | None = None, *, capacity: int) -> Same:
    """Drop an item whose key is one of the last ``capacity`` different keys.

    The key is ``key(item)``, or the item itself. When the memory is full, the key that was met longest ago
    is forgotten (least recently *met*: a repetition counts), and an item with that key passes again. With
    ``capacity=1`` this is ``distinct_until_changed``.

    Keys must be hashable. For a run to be resumable they must also be JSON, or tuples of JSON. A position
    holds up to ``capacity`` keys, and a checkpoint downstream writes all of them at each commit, so commit
    seldom (``every=``). A run may be resumed with another capacity.
    """
    positive("distinct", "capacity", capacity)
    if key is not None:
        function_for("distinct", key, "key")
    return attach(lambda node: Distinct(inputs=(node,), function=key, number=capacity))


class Memory:
    """The last ``capacity`` different keys, the one met longest ago first.

    The generated loop changes ``keys`` and appends to ``since``. When a position is
    written, ``at`` adds ``since`` to the snapshot; before that, a position costs nothing.
    """

    __slots__ = ("_snapshot", "capacity", "keys", "limit", "since")

    def __init__(self, capacity: int, keys: OrderedDict[Any, None]) -> None:
        self.capacity = capacity
        self.keys = keys
        """The present keys. All memories of a run share this object."""
        self._snapshot = tuple(keys)
        self.since: list[Any] = []
        """The keys of the inputs since the snapshot."""
        self.limit = max(capacity, SNAPSHOT_EVERY)

    def at(self, count: int) -> list[Any]:
        """Return the keys as they were ``count`` inputs after the snapshot."""
        keys = OrderedDict.fromkeys(self._snapshot)
        for key in self.since[:count]:
            keys[key] = None
            keys.move_to_end(key)
            if len(keys) > self.capacity:
                keys.popitem(last=False)
        return list(keys)

    def renewed(self) -> State:
        """Return the present state with a new snapshot. Earlier positions keep the old memory."""
        return Memory(self.capacity, self.keys), 0


class DistinctUntilChanged(Element):
    """Drops an item whose key (``function(item)``, or the item) equals the key before."""

    operator = "distinct_until_changed"
    stateful = True
    initial = ()

    def dump(self, state: Any) -> JSON:
        return list(state)

    def load(self, state: JSON) -> Any:
        return tuple(state)

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        key = f"f{k}(x)" if called else "x"
        return [f"y = {key}", f"if s{k} and s{k}[0] == y:", *indent(drop), f"s{k} = (y,)"]


class Distinct(Element):
    """Drops an item whose key (``function(item)``, or the item) is one of the last ``number`` keys."""

    operator = "distinct"
    stateful = True
    number_is = "capacity"

    def first(self) -> State:
        return Memory(self.number, OrderedDict()), 0

    def dump(self, state: State) -> JSON:
        memory, count = state
        return memory.at(count)

    def load(self, state: JSON) -> State:
        kept = list(_hashable(state))[-self.number :]  # the capacity may be smaller than before
        return Memory(self.number, OrderedDict.fromkeys(kept)), 0

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:
        key = f"f{k}(x)" if called else "x"
        return [
            f"y = {key}",
            f"m, q = s{k}",
            "r = m.keys",
            "z = y not in r",
            "if z:",
            "    r[y] = None",
            "    if len(r) > m.capacity:",
            "        r.popitem(False)",
            "else:",
            "    r.move_to_end(y)",
            "m.since.append(y)",
            "q += 1",
            f"s{k} = (m, q) if q < m.limit else m.renewed()",
            "if not z:",
            *indent(drop),
        ]


def _hashable(keys: Iterable[Any]) -> Iterable[Any]:
    """Turn the lists among ``keys`` back into the tuples that they were before JSON."""
    return (tuple(_hashable(key)) if isinstance(key, list) else key for key in keys)
