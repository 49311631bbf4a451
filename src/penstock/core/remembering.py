"""``distinct``: an element whose state is large, and yet costs neither a request nor a position a copy.

What a position captures for every item is a pair ``(memory, count)``: the keys as they were at the last
snapshot, and how many inputs since. Both of its lists only ever grow, so the pair stays valid, whatever
comes later; only when a position is really written down are the inputs since replayed on the snapshot.
A new snapshot is made when there are as many inputs since as keys may be kept: seldom enough to cost each
input about as much as remembering its key.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from penstock.core.elements import Element

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.abc import JSON

__all__ = ["Distinct", "Memory"]

FEWEST = 1024
"""A snapshot of fewer inputs since would be made too often to be worth it."""

State = tuple["Memory", int]


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
