"""``distinct`` and ``distinct_until_changed``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penstock.fusion.element import Element, indent
from penstock.operators.attach import attach
from penstock.runtime.arguments import function_for, positive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.abc import JSON
    from penstock.operators.attach import Same


__all__ = ["Distinct", "DistinctUntilChanged", "Memory", "distinct", "distinct_until_changed"]


FEWEST = 1024
"""A snapshot of fewer inputs since would be made too often to be worth it."""

State = tuple["Memory", int]


def distinct_until_changed(key: Callable[[Any], object] | None = None) -> Same:
    """Drop items whose key (the item itself by default) equals that of the item before.

    The last key is part of the position, so it must be JSON for a run to be resumable.
    """
    if key is not None:
        function_for("distinct_until_changed", key)
    return attach(lambda node: DistinctUntilChanged(inputs=(node,), function=key))


def distinct(key: Callable[[Any], object] | None = None, *, capacity: int) -> Same:
    """Drop items whose key (the item itself by default) is one of the last ``capacity`` different keys.

    Memory is bounded, so ``capacity`` must be said: when it is full, the key that was met longest ago is
    forgotten (least recently *met*: a repetition counts), and an item that has it passes once more. With
    ``capacity=1`` this is ``distinct_until_changed``.

    Keys must be hashable, and JSON (tuples of it are fine) for a run to be resumable: a position holds
    them, up to ``capacity`` of them. A checkpoint behind this writes them all at each commit, so let it
    commit seldom (``every=``). A run may be resumed with another capacity.
    """
    positive("distinct", "capacity", capacity)
    if key is not None:
        function_for("distinct", key)
    return attach(lambda node: Distinct(inputs=(node,), function=key, number=capacity))


class DistinctUntilChanged(Element):
    """Items whose key (``function(item)``, or the item) differs from the one before."""

    operator = "distinct_until_changed"
    stateful = True
    initial = ()

    def dump(self, state: Any) -> JSON:  # noqa: D102
        return list(state)

    def load(self, state: JSON) -> Any:  # noqa: D102
        return tuple(state)

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: D102
        key = f"f{k}(x)" if called else "x"
        return [f"y = {key}", f"if s{k} and s{k}[0] == y:", *indent(drop), f"s{k} = (y,)"]


class Memory:
    """The last ``capacity`` different keys, the one met longest ago first, since one snapshot."""

    __slots__ = ("_snapshot", "capacity", "keys", "limit", "since")

    def __init__(self, capacity: int, keys: OrderedDict[Any, None]) -> None:
        self.capacity = capacity
        self.keys = keys
        """The keys as they are now; all memories of a run share it."""
        self._snapshot = tuple(keys)
        self.since: list[Any] = []
        """The keys of the inputs since the snapshot."""
        self.limit = max(capacity, FEWEST)

    def at(self, count: int) -> list[Any]:
        """Return the keys as they were ``count`` inputs behind the snapshot."""
        keys = OrderedDict.fromkeys(self._snapshot)
        for key in self.since[:count]:
            keys[key] = None
            keys.move_to_end(key)
            if len(keys) > self.capacity:
                keys.popitem(last=False)
        return list(keys)

    def renewed(self) -> State:
        """Return the state behind the input just met, on a snapshot of its own.

        The full log is left to the positions that point into it.
        """
        return Memory(self.capacity, self.keys), 0


class Distinct(Element):
    """Items whose key (``function(item)``, or the item) is none of the last ``number`` different ones."""

    operator = "distinct"
    stateful = True
    number_is = "capacity"

    def first(self) -> State:  # noqa: D102
        return Memory(self.number, OrderedDict()), 0

    def dump(self, state: State) -> JSON:  # noqa: D102
        memory, count = state
        return memory.at(count)

    def load(self, state: JSON) -> State:  # noqa: D102
        kept = list(_hashable(state))[-self.number :]  # the capacity may have been made smaller since
        return Memory(self.number, OrderedDict.fromkeys(kept)), 0

    @staticmethod
    def lines(k: int, drop: list[str], *, called: bool) -> list[str]:  # noqa: D102
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
            *("    " + line for line in drop),
        ]


def _hashable(keys: Iterable[Any]) -> Iterable[Any]:
    """Turn what JSON made a list back into the tuple that it was."""
    return (tuple(_hashable(key)) if isinstance(key, list) else key for key in keys)
